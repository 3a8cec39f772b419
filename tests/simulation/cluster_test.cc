// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A cluster of nodes that call each other while things go wrong. What must hold is checked by a book that all nodes write into:
// it lies outside the world.
#include <map>
#include <memory>

#include <atoll/actors/future/combinators.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/rpc/cluster.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/simulation/testing/sim_test.hh>

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::status_code;
namespace sim = atoll::sim;

namespace {

/// What became of one call.
struct entry {
  int begun = 0;
  int ended = 0;
  bool answered = false;  // its caller has an outcome:
  status_code code = status_code::ok;
};

struct book {
  std::map<std::uint64_t, entry> calls;
  std::uint64_t next = 0;
  bool must_succeed = false;                                              // calls that begin and end under this
  std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint64_t> good;  // answers by (from, to)
  std::map<std::string, std::uint64_t> last_of_line;
  std::map<std::string, std::int64_t> sums;
  bool written = false;
};
// The world's onlooker: one a seed, and a seed has a process.
book* the_book = nullptr;  // NOLINT

class ledger {
 public:
  /// `line`: those of one are sent one after the other, and must begin so.
  future<std::uint64_t> add(std::uint64_t id, std::string line, std::uint32_t ms, std::string /*ballast*/) {
    auto& e = the_book->calls[id];
    ++e.begun;
    EXPECT_LE(e.begun, 1) << "call " << id << " was carried out twice";
    const auto left = atoll::current_deadline() - atoll::mono_now();
    EXPECT_LT(left, 2s) << "the caller's deadline did not come along";
    // One that its caller has given up may begin late, where it went over another connection.
    if (!e.answered) {
      auto& last = the_book->last_of_line[line];
      EXPECT_LT(last, id) << "calls of " << line << " began in another order";
      last = id;
    }
    if (ms > 0) co_await atoll::sleep(std::chrono::milliseconds(ms));
    ++e.ended;
    co_return id * 3;
  }
};
ATOLL_SERVICE(ledger, "test.v1.Ledger", ATOLL_METHOD(add, id, line, ms, ballast));

atoll::cluster_options options_of(const sim::world& world, std::uint32_t self, std::uint32_t nodes) {
  atoll::cluster_options options;
  options.self = self;
  for (std::uint32_t n = 0; n < nodes; ++n) options.peers.push_back({n, world.address(n, 7000)});
  return options;
}

struct load {
  atoll::duration pause = 20ms;  // between two calls of a caller
  atoll::duration timeout_max = 500ms;
  atoll::duration timeout_min = 1ms;
  std::uint32_t work_max_ms = 20;    // of a call
  atoll::duration late_max = 100ms;  // an outcome after its call's deadline
};

void check(const atoll::result<std::uint64_t>& outcome, std::uint64_t id, bool must) {
  entry& e = the_book->calls[id];
  EXPECT_FALSE(e.answered) << "two outcomes of call " << id;
  e.answered = true;
  if (outcome) {
    EXPECT_EQ(*outcome, id * 3) << "the answer of another call";
    EXPECT_EQ(e.begun, 1) << "an answer to what was not carried out";
    EXPECT_EQ(e.ended, 1);
    return;
  }
  EXPECT_FALSE(must) << outcome.error().to_string();
  const auto code = e.code = outcome.error().code();
  EXPECT_TRUE(code == status_code::unavailable || code == status_code::deadline_exceeded ||
              code == status_code::cancelled)
      << outcome.error().to_string();
}

/// Calls one node again and again, until this one stops.
future<> call_often(atoll::cluster_ref cluster, std::uint32_t self, std::uint32_t to, std::uint32_t caller, load how) {
  const std::string line = std::to_string(self) + "." + std::to_string(caller) + "." + std::to_string(to) + "/" +
                           std::to_string(++the_book->next);
  auto& random = atoll::this_shard().random;
  while (atoll::cancellation() == nullptr) {
    const auto shard = static_cast<atoll::shard_id>(caller % 2);
    const std::uint64_t id = ++the_book->next;
    const auto timeout =
        how.timeout_min +
        atoll::duration(static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(how.timeout_max.count()))));
    const auto work = static_cast<std::uint32_t>(random.below(how.work_max_ms + 1));
    const auto began = atoll::mono_now();
    const bool must = the_book->must_succeed;
    std::string ballast(random.below(4) == 0 ? random.below(5'000) : 0, 'b');
    auto call = cluster.ref<ledger>(to, shard).within(timeout).add(id, line, work, std::move(ballast));
    const auto outcome = co_await as_result(std::move(call));
    check(outcome, id, must && the_book->must_succeed);
    if (outcome) ++the_book->good[{self, to}];
    EXPECT_LT(atoll::mono_now() - began, timeout + how.late_max) << "an outcome long after the deadline";
    const auto pause = 1 + random.below(static_cast<std::uint64_t>(how.pause.count()));
    static_cast<void>(co_await as_result(atoll::sleep(atoll::duration(static_cast<std::int64_t>(pause)))));
  }
}

future<int> run_node(atoll::cluster_options options, load how) {
  const auto self = options.self;
  const auto peers = options.peers;
  atoll::cluster cluster(std::move(options));
  atoll::sharded<ledger> ledgers;
  co_await ledgers.start();
  co_await cluster.start();
  co_await cluster.serve(ledgers.ref());
  atoll::scope callers("callers");
  for (const auto& peer : peers) {
    if (peer.id == self) continue;
    for (std::uint32_t caller = 0; caller < 4; ++caller) {
      callers.spawn(&call_often, cluster.ref_to_self(), self, peer.id, caller, how);
    }
  }
  co_await atoll::stop_signal();
  co_await callers.stop();
  co_await cluster.stop();
  co_await ledgers.stop();
  co_return 0;
}

std::vector<sim::node_id> add_cluster(sim::world& world, std::uint32_t nodes, load how) {
  std::vector<sim::node_id> all;
  for (std::uint32_t n = 0; n < nodes; ++n) {
    all.push_back(
        world.add_node({.shards = 2}, [&world, n, nodes, how] { return run_node(options_of(world, n, nodes), how); }));
  }
  return all;
}

/// Each node gets answers from each other one within that time.
bool all_talk(sim::world& world, std::uint32_t nodes, atoll::duration within) {
  the_book->good.clear();
  const auto all_have = [nodes] { return the_book->good.size() == std::size_t{nodes} * (nodes - 1); };
  return world.run_until(all_have, within);
}

void stop_all(sim::world& world, const std::vector<sim::node_id>& nodes) {
  for (const auto n : nodes) world.stop(n);
  world.run_until_ended(nodes, 2min);
}

ATOLL_SIM_TEST(rpc, calls_go_to_every_node_and_are_answered) {
  book b;
  the_book = &b;
  // Where nothing breaks, nothing may fail once all have met.
  const load patient{.pause = 5ms, .timeout_max = 1400ms, .timeout_min = 500ms, .work_max_ms = 5};
  const auto nodes = add_cluster(world, 3, patient);
  world.heal();  // no points that break things
  EXPECT_TRUE(all_talk(world, 3, 30s));
  the_book->must_succeed = true;
  world.run_for(2s);
  the_book->must_succeed = false;
  stop_all(world, nodes);
}

ATOLL_SIM_TEST(rpc, survives_chaos) {
  book b;
  the_book = &b;
  const auto count = static_cast<std::uint32_t>(world.random().between(2, 4));
  const auto chaos = world.some_chaos();
  load how;
  if (chaos.pauses > 0s) how.late_max = 1h;  // who is paused is late
  const auto nodes = add_cluster(world, count, how);
  world.run_for(1s);
  world.begin_chaos(chaos);
  world.run_for(20s);
  world.heal();
  EXPECT_TRUE(all_talk(world, count, 2min)) << "not all nodes found each other again\n" << world.dump_tasks();
  stop_all(world, nodes);
}

ATOLL_SIM_TEST(rpc, a_node_that_stops_answers_what_it_serves) {
  book b;
  the_book = &b;
  // Long enough that only an outcome that was lost is late, and the node that is asked does not fail by itself.
  const load patient{.pause = 5ms, .timeout_max = 1500ms, .work_max_ms = 30};
  const auto nodes = add_cluster(world, 2, patient);
  world.heal();  // no points that break connections
  EXPECT_TRUE(all_talk(world, 2, 30s));
  world.run_for(world.random().between(atoll::duration(0), atoll::duration(500ms)));
  world.stop(nodes[0]);
  world.run_until_ended({nodes[0]}, 1min);
  world.run_for(5s);
  for (const auto& [id, e] : b.calls) {
    EXPECT_TRUE(e.begun == 0 || e.code != status_code::unavailable) << "call " << id << " was begun and then dropped";
  }
  world.start(nodes[0]);
  EXPECT_TRUE(all_talk(world, 2, 1min));
  stop_all(world, nodes);
}

// --- Nodes that stop and start while others call them, and keys whose slots move meanwhile.

ATOLL_SIM_TEST(rpc, survives_nodes_that_stop_and_start) {
  book b;
  the_book = &b;
  const auto nodes = add_cluster(world, 3, {});
  auto chaos = world.some_chaos();
  chaos.crashes = atoll::duration(0);  // who stops in its own time is not started by others
  chaos.pauses = atoll::duration(0);
  world.begin_chaos(chaos);
  for (int round = 0; round < 5; ++round) {
    world.run_for(world.random().between(atoll::duration(0), atoll::duration(3s)));
    const auto n = static_cast<sim::node_id>(world.random().between(0, 2));
    world.stop(n);
    world.run_until_ended({n}, 1min);
    EXPECT_TRUE(world.outcome(n).value().has_value());
    world.run_for(world.random().between(atoll::duration(0), atoll::duration(3s)));
    world.start(n);
  }
  world.heal();
  EXPECT_TRUE(all_talk(world, 3, 2min)) << world.dump_tasks();
  stop_all(world, nodes);
}

/// Totals by key, which move with their slots.
class totals {
 public:
  static constexpr atoll::service_options options{.slots = 8};
  future<std::int64_t> add(std::string key, std::int64_t by) {
    the_book->sums[key] += by;
    co_return totals_[key] += by;
  }
  future<std::int64_t> read(std::string key) const {
    const auto at = totals_.find(key);
    return atoll::make_ready_future<std::int64_t>(at == totals_.end() ? 0 : at->second);
  }
  future<std::map<std::string, std::int64_t>> export_slot(atoll::slot_id slot) {
    std::map<std::string, std::int64_t> moved;
    std::erase_if(totals_, [&](const auto& each) {
      if (atoll::slot_of<totals>(each.first) != slot) return false;
      moved.insert(each);
      return true;
    });
    return atoll::make_ready_future<std::map<std::string, std::int64_t>>(std::move(moved));
  }
  future<> import_slot(atoll::slot_id /*slot*/, std::map<std::string, std::int64_t> moved) {
    for (const auto& [key, sum] : moved) EXPECT_FALSE(totals_.contains(key)) << key;
    totals_.merge(moved);
    return atoll::make_ready_future();
  }

 private:
  std::map<std::string, std::int64_t> totals_;
};
ATOLL_SERVICE(totals, "test.v1.Totals", ATOLL_METHOD(add, key(key), by), ATOLL_METHOD(read, key(key)));

future<> move_slots_until_stopped(atoll::slot_table<totals> slots) {
  auto& random = atoll::this_shard().random;
  while (atoll::cancellation() == nullptr) {
    const auto slot = static_cast<atoll::slot_id>(random.below(8));
    const auto to = static_cast<atoll::shard_id>(random.below(atoll::shard_count()));
    static_cast<void>(co_await as_result(slots.move(slot, to, 100ms)));
    static_cast<void>(co_await as_result(atoll::sleep(std::chrono::microseconds(random.below(5'000)))));
  }
}

future<> add_to_totals(atoll::cluster_ref cluster) {
  co_await cluster.all_up();
  auto& random = atoll::this_shard().random;
  for (int i = 0; i < 300; ++i) {
    const std::string key = "key " + std::to_string(random.below(10));
    const auto by = static_cast<std::int64_t>(random.below(100));
    // Answered or not: what counts is what was carried out.
    static_cast<void>(co_await as_result(cluster.by_key<totals>(key).within(200ms).add(key, by)));
    if (random.below(3) == 0) co_await atoll::sleep(std::chrono::microseconds(random.below(10'000)));
  }
  the_book->written = true;
}

future<> check_totals(atoll::cluster_ref cluster) {
  for (int k = 0; k < 10; ++k) {
    const std::string key = "key " + std::to_string(k);
    for (int attempt = 0;; ++attempt) {
      const auto sum = co_await as_result(cluster.by_key<totals>(key).within(5s).read(key));
      if (sum) {
        EXPECT_EQ(*sum, the_book->sums[key]) << key;
        break;
      }
      EXPECT_LT(attempt, 50) << sum.error().to_string();
      if (attempt >= 50) break;
      co_await atoll::sleep(200ms);
    }
  }
}

future<int> serve_totals(atoll::cluster_options options) {
  const bool writes = options.self == 0;
  atoll::cluster cluster(std::move(options));
  atoll::sharded<totals> all;
  co_await all.start();
  co_await cluster.start();
  co_await cluster.serve(all.ref());
  atoll::scope movers("movers");
  movers.spawn(&move_slots_until_stopped, all.slots());
  if (writes) co_await add_to_totals(cluster.ref_to_self());
  co_await atoll::stop_signal();
  if (writes) co_await check_totals(cluster.ref_to_self());
  co_await movers.stop();
  co_await cluster.stop();
  co_await all.stop();
  co_return 0;
}

ATOLL_SIM_TEST(rpc, calls_by_key_follow_slots_that_move) {
  book b;
  the_book = &b;
  std::vector<sim::node_id> servers;
  for (std::uint32_t n = 0; n < 2; ++n) {
    servers.push_back(world.add_node({.shards = 3}, [&world, n] { return serve_totals(options_of(world, n, 2)); }));
  }
  // Connections break and are slow, but no node loses what it has.
  auto chaos = world.some_chaos();
  chaos.crashes = atoll::duration(0);
  world.begin_chaos(chaos);
  world.run_for(5s);
  world.heal();
  EXPECT_TRUE(world.run_until([&b] { return b.written; }, 10min));
  world.stop(servers[0]);
  world.run_until_ended({servers[0]}, 5min);
  stop_all(world, {servers[1]});
}

}  // namespace
