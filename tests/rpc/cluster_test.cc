// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Two nodes in one process: real TCP between them, the same shards under both.
#include <atoll/rpc/cluster.hh>

#include <functional>
#include <map>
#include <optional>

#include <atoll/sharding/diagnostics.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

#include "counter.hh"
#include "documented_metrics.hh"

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::cluster;
using atoll::future;
using atoll::sharded;
using atoll::status_code;
using demo::counter;

/// Addresses of ports that were free a moment ago.
std::vector<atoll::peer> free_peers(std::size_t count) {
  std::vector<std::unique_ptr<atoll::tcp_listener>> held;
  std::vector<atoll::peer> peers;
  for (std::size_t i = 0; i < count; ++i) {
    held.push_back(atoll::this_shard().io->listen({"127.0.0.1", 0}, {}).value());
    peers.push_back({static_cast<atoll::node_id>(i + 1), held.back()->address()});
  }
  return peers;
}

/// A node with counters of its own.
struct test_node {
  test_node(atoll::node_id id, std::vector<atoll::peer> peers)
      : node({.self = id, .peers = std::move(peers), .drain_timeout = 1s}) {}
  future<> start() {
    co_await counters.start();
    co_await node.start();
    co_await node.serve(counters.ref());
  }
  future<> stop() {
    co_await node.stop();
    co_await counters.stop();
  }
  cluster node;
  sharded<counter> counters;
};

/// Runs a body with two nodes, each of which knows that the other is up: before, calls may meet a link that backs off.
future<> with_two_nodes(future<> (*body)(test_node& one, test_node& two)) {
  const auto peers = free_peers(2);
  test_node one(1, peers), two(2, peers);
  co_await one.start();
  co_await two.start();
  co_await one.node.all_up();
  co_await two.node.all_up();
  auto outcome = co_await as_result(body(one, two));
  co_await one.stop();
  co_await two.stop();
  co_await atoll::or_fail(std::move(outcome));
}

/// A test whose body has the nodes 1 and 2, both up, under the names `one` and `two`; it may stop them.
#define CLUSTER_TEST(name)                                                \
  future<> cluster_##name(test_node& one, test_node& two);                \
  ATOLL_TEST(cluster, name) { co_await with_two_nodes(&cluster_##name); } \
  future<> cluster_##name([[maybe_unused]] test_node& one, [[maybe_unused]] test_node& two)

CLUSTER_TEST(the_same_ref_calls_a_shard_of_another_node) {
  for (atoll::shard_id s = 0; s < atoll::shard_count(); ++s) {
    EXPECT_EQ(co_await one.node.ref<counter>(2, s).where(), s);
    EXPECT_EQ(co_await one.node.ref<counter>(2, s).add("x", 3), 3);
    EXPECT_EQ(co_await two.counters.at(s).add("x", 1), 4) << "the call did not reach node 2";
    EXPECT_EQ(co_await one.node.ref<counter>(1, s).add("x", 10), 10) << "a node is a peer of itself";
  }
  EXPECT_EQ((co_await one.node.ref<counter>(2, 0).read("x")).total, 4);
}

CLUSTER_TEST(a_node_may_stop_while_it_serves_a_call_whose_connection_is_gone) {
  auto call = one.node.ref<counter>(2, 1).within(10s).nap(300);
  std::int64_t napping = 0;
  for (int looks = 0; looks < 1'000 && napping == 0; ++looks) {
    co_await atoll::sleep(1ms);
    napping = co_await two.counters.map_reduce(&counter::napping, std::plus<>(), std::int64_t{0});
  }
  EXPECT_EQ(napping, 1);
  co_await one.node.stop();
  EXPECT_FALSE(co_await as_result(std::move(call)));
  co_await two.node.stop();      // nobody waits for the answer, so it does not either
  co_await two.counters.stop();  // this does: the call ends when all of the node is gone
}

CLUSTER_TEST(calls_can_be_made_from_every_shard) {
  const auto ref = one.node.ref<counter>(2, 0);
  EXPECT_EQ(co_await atoll::submit_to(1, [ref] { return ref.add("x", 2); }), 2);
}

/// Says on which shard a key is served; its slots move.
class nomad {
 public:
  static constexpr atoll::service_options options{.slots = 32};

  future<atoll::shard_id> where(std::string /*key*/) {
    return atoll::make_ready_future<atoll::shard_id>(atoll::this_shard_id());
  }
  future<std::int64_t> add(std::string key, std::int64_t by) {
    return atoll::make_ready_future<std::int64_t>(totals_[key] += by);
  }

  future<std::map<std::string, std::int64_t>> export_slot(atoll::slot_id slot) {
    std::map<std::string, std::int64_t> moved;
    std::erase_if(totals_, [&](const auto& each) {
      if (atoll::slot_of<nomad>(each.first) != slot) return false;
      moved.insert(each);
      return true;
    });
    return atoll::make_ready_future<std::map<std::string, std::int64_t>>(std::move(moved));
  }
  future<> import_slot(atoll::slot_id /*slot*/, std::map<std::string, std::int64_t> moved) {
    totals_.merge(moved);
    return atoll::make_ready_future();
  }

 private:
  std::map<std::string, std::int64_t> totals_;
};

ATOLL_SERVICE(nomad, "test.v1.Nomad", ATOLL_METHOD(where, key(key)), ATOLL_METHOD(add, key(key), by));

CLUSTER_TEST(calls_by_key_from_another_node_follow_a_slot_that_moves) {
  sharded<nomad> nomads;
  co_await nomads.start();
  co_await two.node.serve(nomads.ref());
  std::string key;  // one that is node 2's
  for (int i = 0; key.empty(); ++i) {
    auto each = "key" + std::to_string(i);
    if (one.node.owner_of(atoll::key_hash(each)).value().first == 2) key = std::move(each);
  }
  const auto slots = nomads.slots();
  const auto slot = slots.of(key);
  const auto remote = one.node.by_key<nomad>(key);
  std::int64_t added = 0;
  for (int round = 0; round < 6; ++round) {
    const auto to = (slots.owner(slot) + 1) % atoll::shard_count();
    std::vector<future<std::int64_t>> calls;
    for (int i = 0; i < 50; ++i) calls.push_back(remote.add(key, 1));
    auto moving = slots.move(slot, to);
    for (int i = 0; i < 50; ++i) calls.push_back(remote.add(key, 1));
    co_await std::move(moving);
    for (auto& each : calls) EXPECT_EQ(co_await std::move(each), ++added) << "lost, doubled or out of order";
    EXPECT_EQ(co_await remote.where(key), to);
  }
  co_await two.node.stop();
  co_await nomads.stop();
}

CLUSTER_TEST(a_key_has_the_same_owner_on_every_node) {
  int on_two = 0;
  for (int i = 0; i < 100; ++i) {
    const auto key = "key" + std::to_string(i);
    co_await one.node.by_key<counter>(key).add(key, 1);
    EXPECT_EQ((co_await two.node.by_key<counter>(key).read(key)).total, 1);
    const auto owner = two.node.owner_of(atoll::key_hash(key));
    ATOLL_REQUIRE(owner);
    EXPECT_EQ(one.node.owner_of(atoll::key_hash(key)).value(), *owner);
    on_two += owner->first == 2 ? 1 : 0;
  }
  EXPECT_GT(on_two, 25);
  EXPECT_LT(on_two, 75);
}

CLUSTER_TEST(failures_of_the_far_side_arrive_as_they_are) {
  const auto remote = one.node.ref<counter>(2, 1);
  const auto refused = co_await as_result(remote.refuse(9, "not now"));
  ATOLL_REQUIRE(!refused);
  EXPECT_EQ(refused.error(), atoll::error(status_code::failed_precondition, "not now"));
  const auto thrown = co_await as_result(remote.throw_it("oops"));
  ATOLL_REQUIRE(!thrown);
  EXPECT_EQ(thrown.error(), atoll::error(status_code::unknown, "oops"));
  const auto bad_text = co_await as_result(remote.make_bad_text());
  ATOLL_REQUIRE(!bad_text);
  EXPECT_EQ(bad_text.error().code(), status_code::internal);
  const auto bad_argument = co_await as_result(remote.echo("\xff"));
  ATOLL_REQUIRE(!bad_argument);
  EXPECT_EQ(bad_argument.error().code(), status_code::invalid_argument);
  EXPECT_EQ(co_await remote.echo("still there"), "still there");
}

CLUSTER_TEST(a_deadline_ends_the_wait_on_both_sides) {
  const auto r = co_await as_result(one.node.ref<counter>(2, 1).within(30ms).nap(3'600'000));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
  while (co_await two.counters.at(1).naps_cut_short() == 0) co_await atoll::sleep(1ms);
  // And the callee knew how long it had: the default, where the caller named none.
  const auto left = co_await one.node.ref<counter>(2, 1).nap(0);
  EXPECT_GT(left, 5'000);
  EXPECT_LE(left, 10'000);
}

ATOLL_TEST(cluster, a_service_that_the_peer_does_not_serve_is_unimplemented) {
  const auto peers = free_peers(2);
  cluster one({.self = 1, .peers = peers});
  cluster two({.self = 2, .peers = peers});
  co_await one.start();
  co_await two.start();
  co_await one.all_up();
  for (const atoll::node_id node : {1U, 2U}) {
    const auto r = co_await as_result(one.ref<counter>(node, 0).where());
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error().code(), status_code::unimplemented);
    EXPECT_NE(r.error().message().find("demo.v1.Counter"), std::string::npos);
  }
  // Served from now on, it is found, on the same connection.
  sharded<counter> counters;
  co_await counters.start();
  co_await two.serve(counters.ref());
  EXPECT_EQ(co_await one.ref<counter>(2, 0).where(), 0U);
  co_await one.stop();
  co_await two.stop();
  co_await counters.stop();
}

CLUSTER_TEST(nodes_and_shards_that_do_not_exist_are_errors) {
  const auto no_node = co_await as_result(one.node.ref<counter>(7, 0).where());
  ATOLL_REQUIRE(!no_node);
  EXPECT_EQ(no_node.error().code(), status_code::not_found);
  const auto no_shard = co_await as_result(one.node.ref<counter>(2, 99).where());
  ATOLL_REQUIRE(!no_shard);
  EXPECT_EQ(no_shard.error().code(), status_code::unavailable);
  EXPECT_NE(no_shard.error().message().find("2 shards"), std::string::npos) << no_shard.error().message();
}

ATOLL_TEST(cluster, a_peer_that_is_down_is_connected_to_when_it_comes) {
  const auto peers = free_peers(2);
  test_node one(1, peers);
  co_await one.start();
  auto r = co_await as_result(one.node.ref<counter>(2, 0).where());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::unavailable);
  r = co_await as_result(one.node.by_key<counter>("k3").where());
  {
    test_node two(2, peers);
    co_await two.start();
    co_await one.node.all_up();
    EXPECT_EQ(co_await one.node.ref<counter>(2, 0).where(), 0U);
    EXPECT_EQ(one.node.members()[1].shards, 2U);
    co_await two.stop();
  }
  while (one.node.members()[1].up) co_await atoll::sleep(1ms);
  test_node two_again(2, peers);
  co_await two_again.start();
  co_await one.node.all_up();
  r = co_await as_result(one.node.ref<counter>(2, 0).where());
  EXPECT_TRUE(r);
  co_await two_again.stop();
  co_await one.stop();
}

CLUSTER_TEST(stop_lets_calls_finish_that_are_being_served) {
  auto served = one.node.ref<counter>(2, 1).nap(50);
  while (co_await two.counters.map_reduce(&counter::napping, std::plus<>{}, std::int64_t{0}) == 0) {
    co_await atoll::sleep(1ms);
  }
  co_await two.stop();
  EXPECT_TRUE(co_await as_result(std::move(served)));
  const auto late = co_await as_result(one.node.ref<counter>(2, 1).where());
  ATOLL_REQUIRE(!late);
  EXPECT_EQ(late.error().code(), status_code::unavailable);
}

CLUSTER_TEST(messages_may_be_as_large_as_a_frame_and_no_larger) {
  const auto remote = one.node.ref<counter>(2, 0);
  const std::size_t fits = atoll::rpc::frame_bytes_max - 2'048;
  const std::string large(fits, 'y');
  EXPECT_EQ((co_await remote.echo(large)).size(), fits);
  const std::string larger(atoll::rpc::frame_bytes_max, 'y');
  const auto request = co_await as_result(remote.echo(larger));
  ATOLL_REQUIRE(!request);
  EXPECT_EQ(request.error().code(), status_code::resource_exhausted);
  const auto reply = co_await as_result(remote.make_bytes(atoll::rpc::frame_bytes_max + 1));
  ATOLL_REQUIRE(!reply);
  EXPECT_EQ(reply.error().code(), status_code::resource_exhausted);
  EXPECT_EQ(co_await remote.where(), 0U);
}

ATOLL_TEST(cluster, a_peer_that_takes_the_connection_and_says_nothing_is_down) {
  auto mute = atoll::this_shard().io->listen({"127.0.0.1", 0}, {}).value();
  const auto peers = free_peers(1);
  cluster one({.self = 1, .peers = {peers[0], {2, mute->address()}}, .connect_timeout = 20ms});
  co_await one.start();
  const auto r = co_await as_result(one.ref<counter>(2, 0).within(1h).where());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::unavailable);
  co_await one.stop();
}

CLUSTER_TEST(calls_in_a_full_link_start_in_the_order_made) {
  const auto ref = one.node.ref<counter>(2, 0).within(60s);
  std::vector<future<std::int64_t>> calls;
  for (std::uint32_t i = 0; i < 2 * atoll::rpc::link::calls_in_flight_max; ++i) calls.push_back(ref.add("x", 1));
  // One more for each that comes back: none may overtake those that wait.
  for (std::size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(co_await std::move(calls[i]), static_cast<std::int64_t>(i + 1));
    if (calls.size() < 3 * atoll::rpc::link::calls_in_flight_max) calls.push_back(ref.add("x", 1));
  }
}

/// Keeps this shard busy.
void compute_for(atoll::duration d) {
  const auto until = atoll::mono_now() + d;
  while (atoll::mono_now() < until) continue;
}

CLUSTER_TEST(a_caller_s_deadline_ends_nobody_else_s_call) {
  const auto ref = one.node.ref<counter>(2, 1);
  EXPECT_EQ(co_await ref.within(60s).where(), 1U);
  auto busy = atoll::submit_to(1, [] { compute_for(100ms); });
  // More than the sockets take while nobody reads.
  std::vector<future<std::string>> late;
  const auto send_much = [ref] { return ref.echo(std::string(8U << 20, 'x')); };
  for (int i = 0; i < 4; ++i) late.push_back(atoll::with_timeout(20ms, send_much));
  auto other = ref.within(60s).add("x", 1);
  int expired = 0;
  for (auto& each : late) expired += co_await as_result(std::move(each)) ? 0 : 1;
  EXPECT_GT(expired, 0);
  EXPECT_EQ(co_await std::move(other), 1);
  co_await std::move(busy);
}

CLUSTER_TEST(a_stop_waits_for_one_that_is_under_way) {
  auto first = one.node.stop();
  auto second = one.node.stop();
  EXPECT_FALSE(second.available());
  co_await std::move(second);
  EXPECT_EQ((co_await as_result(two.node.ref<counter>(1, 0).where())).error().code(), status_code::unavailable);
  co_await std::move(first);
}

ATOLL_TEST(cluster, start_within_a_deadline_leaves_a_cluster_that_outlives_it) {
  const auto peers = free_peers(2);
  test_node one(1, peers), two(2, peers);
  const auto start = [&one] { return one.start(); };
  co_await atoll::with_deadline(atoll::mono_now() + 100ms, start);
  co_await atoll::sleep(110ms);
  co_await two.start();
  co_await one.node.all_up();
  co_await two.node.all_up();
  EXPECT_EQ(co_await two.node.ref<counter>(1, 1).where(), 1U);
  co_await one.stop();
  co_await two.stop();
}

CLUSTER_TEST(many_calls_at_once_all_come_back) {
  std::vector<future<std::int64_t>> calls;
  constexpr std::int64_t count = 3 * atoll::rpc::link::calls_in_flight_max;
  for (std::int64_t i = 0; i < count; ++i) calls.push_back(one.node.ref<counter>(2, 1).within(60s).add("x", 1));
  std::int64_t last = 0;
  for (auto& c : calls) last = std::max(last, co_await std::move(c));
  EXPECT_EQ(last, count);
}

/// The sum over all shards of a counter or gauge of a node; -1 where there is none.
double value_of(const std::string& page, const std::string& name, const std::string& labels) {
  const std::string series = "\natoll_rpc_" + name + "{" + labels + "} ";
  const auto at = page.find(series);
  return at == std::string::npos ? -1 : std::stod(page.substr(at + series.size()));
}

CLUSTER_TEST(metrics_tell_what_links_and_servers_did) {
  for (int i = 0; i < 5; ++i) co_await one.node.ref<counter>(2, 1).add("x", 1);
  static_cast<void>(co_await as_result(one.node.ref<counter>(2, 1).refuse(5, "because")));
  const auto all = co_await atoll::collect_metrics();
  EXPECT_EQ(demo::exported_metrics(all),
            demo::documented_metrics({"A shard", "Shards of a process", "Lanes", "Services", "Nodes of a cluster"}));
  const auto page = atoll::render_prometheus(all, {.sum_shards = true});
  const std::string first = R"(cluster="atoll",node="1")", second = R"(cluster="atoll",node="2")";
  const std::string ok = R"(,code="ok")", not_found = R"(,code="not_found")";
  const auto with = [](const std::string& code, const char* node) {
    return R"(cluster="atoll")" + code + R"(,node=")" + node + '"';
  };
  EXPECT_EQ(value_of(page, "calls_total", with(ok, "1")), 5) << page;
  EXPECT_EQ(value_of(page, "calls_total", with(not_found, "1")), 1);
  EXPECT_EQ(value_of(page, "calls_served_total", with(ok, "2")), 5);
  EXPECT_EQ(value_of(page, "calls_served_total", with(not_found, "2")), 1);
  EXPECT_EQ(value_of(page, "calls_served_total", with(ok, "1")), 0);
  EXPECT_EQ(value_of(page, "links_up", first), 2);  // to shard 0, to know that it is up, and to shard 1
  EXPECT_EQ(value_of(page, "links_up", second), 1);
  EXPECT_EQ(value_of(page, "connections", first), 1);
  EXPECT_EQ(value_of(page, "connections", second), 2);
  EXPECT_GE(value_of(page, "connects_total", first), 2);
  EXPECT_EQ(value_of(page, "connects_total", first) - value_of(page, "connects_failed_total", first), 2);
  EXPECT_NE(page.find("\natoll_metrics_refused_total 0\n"), std::string::npos);
  // What one has sent the other has received, for all that was read is answered.
  EXPECT_GT(value_of(page, "sent_bytes_total", first), 100);
  EXPECT_EQ(value_of(page, "sent_bytes_total", first), value_of(page, "received_bytes_total", second));
}

ATOLL_TEST(cluster, bad_options_are_refused_in_words) {
  for (const auto& [self, peers, why] : std::vector<std::tuple<atoll::node_id, std::vector<atoll::peer>, std::string>>{
           {3, {{1, {"127.0.0.1", 0}}}, "node 3 is not among the peers"},
           {1, {{1, {"127.0.0.1", 0}}, {1, {"127.0.0.1", 0}}}, "two peers are node 1"},
           {1, {{1, {"127.0.0.1", 9}}, {2, {"127.0.0.1", 9}}}, "two peers have the address 127.0.0.1:9"},
           {0, {}, "node 0 is not among the peers"}}) {
    cluster c({.self = self, .peers = peers});
    const auto r = co_await as_result(c.start());
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error().code(), status_code::invalid_argument);
    EXPECT_NE(r.error().message().find(why), std::string::npos) << r.error().message();
  }
}

TEST(static_peers, are_read_and_mistakes_named) {
  const auto good = atoll::static_peers("1=127.0.0.1:7001,2=[::1]:7002");
  ASSERT_TRUE(good);
  EXPECT_EQ((*good)[1], (atoll::peer{2, {"::1", 7002}}));
  for (const char* bad :
       {"x=127.0.0.1:1", "1", "=127.0.0.1:1", "1=127.0.0.1", "1=127.0.0.1:1,", "4294967296=127.0.0.1:1"}) {
    const auto r = atoll::static_peers(bad);
    if (std::string(bad).back() == ',') continue;  // a comma at the end is nobody's peer
    ASSERT_FALSE(r) << bad;
    EXPECT_EQ(r.error().code(), status_code::invalid_argument);
  }
}

}  // namespace
