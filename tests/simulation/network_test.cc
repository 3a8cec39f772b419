// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What sockets do: one list, on the kernel's backend and on the simulated one. And what only a simulated network does.
#include <algorithm>

#include <atoll/actors/future/cancel.hh>
#include <atoll/actors/future/combinators.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/simulation/testing/sim_test.hh>
#include <atoll/testing/atoll_test.hh>

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::socket_address;
using atoll::status_code;
using atoll::this_shard;
namespace sim = atoll::sim;

namespace {

/// Two ends of a connection on this shard.
struct connected {
  std::unique_ptr<atoll::tcp_listener> listener;
  std::unique_ptr<atoll::tcp_stream> near;
  std::unique_ptr<atoll::tcp_stream> far;
};

future<connected> connect_here() {
  connected all;
  all.listener = this_shard().io->listen({"127.0.0.1", 0}, {}).value();
  auto accepted = all.listener->accept();
  all.near = co_await this_shard().io->connect(all.listener->address());
  all.far = co_await std::move(accepted);
  co_return all;
}

future<std::string> read_all(atoll::tcp_stream& from, std::size_t bytes) {
  std::string text;
  std::array<char, 1000> buffer{};
  while (text.size() < bytes) {
    const std::size_t n = co_await from.read_some(buffer);
    if (n == 0) break;
    text.append(buffer.data(), n);
  }
  co_return text;
}

std::string pattern(std::size_t bytes) {
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
  return text;
}

// --- The list. Each is a coroutine on shard 0.

future<> bytes_arrive_in_order_and_all() {
  auto c = co_await connect_here();
  const std::string text = pattern(300'000);
  auto writing = c.near->write_all(text);
  const std::string got = co_await read_all(*c.far, text.size());
  co_await std::move(writing);
  EXPECT_TRUE(got == text);
}

future<> both_directions_are_apart() {
  auto c = co_await connect_here();
  const std::string there = pattern(50'000);
  const std::string back = pattern(70'000);
  auto a = c.near->write_all(there);
  auto b = c.far->write_all(back);
  auto got_back = read_all(*c.near, back.size());
  EXPECT_TRUE(co_await read_all(*c.far, there.size()) == there);
  EXPECT_TRUE(co_await std::move(got_back) == back);
  co_await std::move(a);
  co_await std::move(b);
}

future<> the_end_comes_after_what_was_written() {
  auto c = co_await connect_here();
  co_await c.near->write_all("last words");
  c.near.reset();
  EXPECT_EQ(co_await read_all(*c.far, 1000), "last words");
  std::array<char, 10> buffer{};
  EXPECT_EQ(co_await c.far->read_some(buffer), 0U);
}

future<> a_full_connection_makes_the_writer_wait() {
  auto c = co_await connect_here();
  const std::string text = pattern(16U << 20U);
  auto writing = c.near->write_all(text);
  co_await atoll::sleep(20ms);
  EXPECT_FALSE(writing.available());
  EXPECT_TRUE(co_await read_all(*c.far, text.size()) == text);
  co_await std::move(writing);
}

future<> nobody_listening_is_unavailable() {
  socket_address gone;
  {
    auto listener = this_shard().io->listen({"127.0.0.1", 0}, {}).value();
    gone = listener->address();
  }
  const auto refused = co_await as_result(this_shard().io->connect(gone));
  ATOLL_REQUIRE(!refused);
  EXPECT_EQ(refused.error().code(), status_code::unavailable) << refused.error().to_string();
}

future<> an_address_in_use_is_refused() {
  auto first = this_shard().io->listen({"127.0.0.1", 0}, {}).value();
  auto second = this_shard().io->listen(first->address(), {});
  ATOLL_REQUIRE(!second);
  EXPECT_EQ(second.error().code(), status_code::already_exists) << second.error().to_string();
  first.reset();
}

future<> what_is_no_address_is_refused() {
  const auto listening = this_shard().io->listen({"localhost", 0}, {});
  ATOLL_REQUIRE(!listening);
  EXPECT_EQ(listening.error().code(), status_code::invalid_argument);
  const socket_address nowhere{"nowhere", 1};
  const auto connecting = co_await as_result(this_shard().io->connect(nowhere));
  ATOLL_REQUIRE(!connecting);
  EXPECT_EQ(connecting.error().code(), status_code::invalid_argument);
}

future<> a_closed_stream_fails_what_waits() {
  auto c = co_await connect_here();
  std::array<char, 10> buffer{};
  auto reading = c.near->read_some(buffer);
  c.near.reset();
  const auto ended = co_await as_result(std::move(reading));
  ATOLL_REQUIRE(!ended);
  EXPECT_EQ(ended.error().code(), status_code::unavailable);
}

future<> a_stream_that_is_shut_down_ends_for_both() {
  auto c = co_await connect_here();
  std::array<char, 10> buffer{};
  auto reading = c.near->read_some(buffer);
  c.near->shutdown();
  c.near->shutdown();
  EXPECT_EQ(co_await std::move(reading), 0U);
  std::array<char, 10> others{};
  EXPECT_EQ(co_await c.far->read_some(others), 0U);
  EXPECT_FALSE(co_await as_result(c.near->write_all("more")));
}

future<> a_peer_that_closed_with_bytes_unread_breaks_the_connection() {
  auto c = co_await connect_here();
  co_await c.near->write_all("never read");
  std::array<char, 1> one{};
  EXPECT_EQ(co_await c.far->read_some(one), 1U);
  c.far.reset();
  const auto ended = co_await as_result(read_all(*c.near, 1));
  ATOLL_REQUIRE(!ended);
  EXPECT_EQ(ended.error().code(), status_code::unavailable) << ended.error().to_string();
}

future<> writing_to_who_has_closed_fails_in_the_end() {
  auto c = co_await connect_here();
  c.far.reset();
  const std::string text = pattern(1000);
  bool failed = false;
  for (int i = 0; i < 1000 && !failed; ++i) {
    const auto wrote = co_await as_result(c.near->write_all(text));
    failed = !wrote;
    if (failed) {
      EXPECT_EQ(wrote.error().code(), status_code::unavailable) << wrote.error().to_string();
    } else {
      co_await atoll::sleep(1ms);
    }
  }
  EXPECT_TRUE(failed);
}

future<> a_closed_listener_ends_accept() {
  auto listener = this_shard().io->listen({"127.0.0.1", 0}, {}).value();
  auto accepting = listener->accept();
  listener->close();
  const auto ended = co_await as_result(std::move(accepting));
  ATOLL_REQUIRE(!ended);
  EXPECT_EQ(ended.error().code(), status_code::cancelled);
}

future<> reads_end_by_the_callers_deadline() {
  auto c = co_await connect_here();
  std::array<char, 10> buffer{};
  const auto late = co_await as_result(atoll::with_timeout(5ms, [&] { return c.near->read_some(buffer); }));
  ATOLL_REQUIRE(!late);
  EXPECT_EQ(late.error().code(), status_code::deadline_exceeded);
  // And the connection lives on.
  co_await c.far->write_all("later");
  EXPECT_EQ(co_await read_all(*c.near, 5), "later");
}

future<> a_socket_goes_from_shard_to_shard() {
  auto c = co_await connect_here();
  co_await c.near->write_all("hel");
  auto moved = this_shard().io->attach(c.far->detach());
  co_await c.near->write_all("lo");
  c.far->shutdown();  // what was detached is another's
  EXPECT_EQ(c.far->peer(), "(disconnected)");
  EXPECT_FALSE(co_await as_result(c.far->write_all("no")));
  EXPECT_EQ(co_await read_all(*moved, 5), "hello");
  {
    const auto dropped = moved->detach();
  }
  const auto rest = co_await as_result(read_all(*c.near, 1));
  EXPECT_TRUE(!rest || rest->empty());
}

future<> timers_fire_in_their_order_and_never_early() {
  const auto began = atoll::mono_now();
  std::vector<int> order;
  std::vector<future<>> all;
  for (const int ms : {30, 10, 20}) {
    all.push_back([](int after, std::vector<int>& out) -> future<> {
      co_await atoll::sleep(std::chrono::milliseconds(after));
      out.push_back(after);
    }(ms, order));
  }
  for (auto& each : all) co_await std::move(each);
  EXPECT_GE(atoll::mono_now() - began, 30ms);
  EXPECT_EQ(order, (std::vector<int>{10, 20, 30}));
}

future<> timers_that_are_cancelled_never_fire() {
  int fired = 0;
  atoll::cancel_source source;
  const auto wait = [] { return atoll::sleep(2ms); };
  auto waiting = source.run(wait);
  source.cancel();
  if (co_await as_result(std::move(waiting))) ++fired;
  co_await atoll::sleep(5ms);
  EXPECT_EQ(fired, 0);
}

future<> deadlines_come_in_time() {
  const auto began = atoll::mono_now();
  const auto wait = [] { return atoll::sleep(1min); };
  const auto late = co_await as_result(atoll::with_timeout(10ms, wait));
  ATOLL_REQUIRE(!late);
  EXPECT_EQ(late.error().code(), status_code::deadline_exceeded);
  EXPECT_GE(atoll::mono_now() - began, 10ms);
}

future<> messages_between_shards_start_in_order() {
  static std::vector<int> came;
  came.clear();
  std::vector<future<>> sent;
  for (int i = 0; i < 1000; ++i) {
    sent.push_back(atoll::submit_to(1, [i] { came.push_back(i); }));
    if (i % 100 == 99) co_await atoll::yield();
  }
  for (auto& each : sent) co_await std::move(each);
  EXPECT_EQ(came.size(), 1000U);
  EXPECT_TRUE(std::is_sorted(came.begin(), came.end()));
}

future<> a_call_to_a_shard_that_sleeps_wakes_it() {
  for (int i = 0; i < 20; ++i) {
    co_await atoll::sleep(1ms);
    EXPECT_EQ(co_await atoll::submit_to(1, [i] { return i + static_cast<int>(atoll::this_shard_id()); }), i + 1);
  }
}

future<> cancellation_reaches_the_other_shard() {
  static bool ended = false;
  ended = false;
  atoll::cancel_source source;
  const auto far = []() -> future<> {
    const auto slept = co_await as_result(atoll::sleep(1min));
    ended = !slept;
  };
  auto call = source.run([&far] { return atoll::submit_to(1, far); });
  co_await atoll::sleep(2ms);
  source.cancel();
  EXPECT_FALSE(co_await as_result(std::move(call)));
  for (int i = 0; i < 10'000 && !co_await atoll::submit_to(1, [] { return ended; }); ++i) co_await atoll::sleep(100us);
  EXPECT_TRUE(co_await atoll::submit_to(1, [] { return ended; }));
}

#define BEHAVES(what)                                                                 \
  ATOLL_TEST(conformance_of_the_kernels, what) { co_await what(); }                   \
  ATOLL_SIM_TEST(conformance_of_the_simulated, what) {                                \
    const auto run = []() -> future<int> {                                            \
      co_await what();                                                                \
      co_return 0;                                                                    \
    };                                                                                \
    const auto n = world.add_node({.shards = 2}, run);                                \
    world.run_until_ended({n}, 10min);                                                \
    const auto outcome = world.outcome(n).value();                                    \
    EXPECT_TRUE(outcome.has_value()) << (outcome ? "" : outcome.error().to_string()); \
  }                                                                                   \
  static_assert(true)

BEHAVES(bytes_arrive_in_order_and_all);
BEHAVES(both_directions_are_apart);
BEHAVES(the_end_comes_after_what_was_written);
BEHAVES(a_full_connection_makes_the_writer_wait);
BEHAVES(nobody_listening_is_unavailable);
BEHAVES(an_address_in_use_is_refused);
BEHAVES(what_is_no_address_is_refused);
BEHAVES(a_closed_stream_fails_what_waits);
BEHAVES(a_stream_that_is_shut_down_ends_for_both);
BEHAVES(a_peer_that_closed_with_bytes_unread_breaks_the_connection);
BEHAVES(writing_to_who_has_closed_fails_in_the_end);
BEHAVES(a_closed_listener_ends_accept);
BEHAVES(reads_end_by_the_callers_deadline);
BEHAVES(a_socket_goes_from_shard_to_shard);
BEHAVES(timers_fire_in_their_order_and_never_early);
BEHAVES(timers_that_are_cancelled_never_fire);
BEHAVES(deadlines_come_in_time);
BEHAVES(messages_between_shards_start_in_order);
BEHAVES(a_call_to_a_shard_that_sleeps_wakes_it);
BEHAVES(cancellation_reaches_the_other_shard);

// --- What a simulated network does.

int echoes_open = 0;  // the onlooker's

future<> echo_one(std::unique_ptr<atoll::tcp_stream> s) {
  ++echoes_open;
  const struct closes {
    ~closes() { --echoes_open; }
  } mark;
  std::array<char, 100> buffer{};
  while (true) {
    const auto n = co_await as_result(s->read_some(buffer));
    if (!n || *n == 0) co_return;
    if (!co_await as_result(s->write_all({buffer.data(), *n}))) co_return;
  }
}

/// A node that sends back what it gets, to all who connect.
future<int> echo(std::string address) {
  auto listener = this_shard().io->listen({address, 7000}, {}).value();
  atoll::scope streams("echo");
  while (true) streams.spawn(&echo_one, co_await listener->accept());
}

/// Says something again and again on one connection; how often it was answered, and what ended it.
struct talk {
  int answers = 0;
  std::optional<atoll::error> ended{};
};
future<> talk_until_it_ends(socket_address peer, talk& t) {
  auto stream = co_await this_shard().io->connect(peer);
  while (true) {
    co_await stream->write_all("hello");
    if ((co_await read_all(*stream, 5)).size() < 5) co_return;
    ++t.answers;
    co_await atoll::sleep(10ms);
  }
}
future<int> talk_with(socket_address peer, talk& t) {
  const auto outcome = co_await as_result(talk_until_it_ends(std::move(peer), t));
  t.ended = outcome ? atoll::error(status_code::unavailable, "the end") : outcome.error();
  co_return 0;
}

struct pair_of_nodes {
  sim::node_id server = 0;
  sim::node_id client = 0;
};
pair_of_nodes two_that_talk(sim::world& world, talk& t) {
  pair_of_nodes both;
  both.server = world.add_node({}, [&world] { return echo(world.address(0)); });
  world.run_for(100ms);
  both.client = world.add_node({}, [&world, &t] { return talk_with(world.address(0, 7000), t); });
  world.run_for(1s);
  EXPECT_GT(t.answers, 10);
  return both;
}

ATOLL_SIM_TEST(network, goes_on_after_a_short_cut) {
  talk t;
  const auto [server, client] = two_that_talk(world, t);
  const bool one_way = world.random().happens(0.5);
  world.cut(client, server);
  if (!one_way) world.cut(server, client);
  world.run_for(50ms);
  const int before = t.answers;
  world.run_for(5s);
  EXPECT_LE(t.answers, before + 1);
  world.mend(client, server);
  world.mend(server, client);
  world.run_for(5s);
  EXPECT_GT(t.answers, before + 10);
  EXPECT_FALSE(t.ended);
}

ATOLL_SIM_TEST(network, a_long_cut_ends_both_sides) {
  talk t;
  const auto [server, client] = two_that_talk(world, t);
  world.isolate({client});
  world.run_for(13s);
  EXPECT_FALSE(t.ended);
  world.run_for(10s);
  EXPECT_TRUE(t.ended);
  EXPECT_EQ(echoes_open, 0) << "the server still has its half";
}

ATOLL_SIM_TEST(network, the_end_of_a_process_is_told_to_its_peers) {
  talk t;
  const auto [server, client] = two_that_talk(world, t);
  world.crash(server, sim::host_end::told);
  world.run_for(1s);
  EXPECT_TRUE(t.ended);
  talk again;
  const auto another = world.add_node({}, [&] { return talk_with(world.address(0, 7000), again); });
  world.run_until_ended({another}, 10s);
  EXPECT_EQ(again.ended->code(), status_code::unavailable) << again.ended->to_string();
}

ATOLL_SIM_TEST(network, a_power_failure_is_noticed_after_a_while) {
  talk t;
  const auto [server, client] = two_that_talk(world, t);
  world.crash(server, sim::host_end::silent);
  const bool comes_back = world.random().happens(0.5);
  world.run_for(5s);
  EXPECT_FALSE(t.ended);
  if (comes_back) world.start(server);
  world.run_for(20s);
  EXPECT_TRUE(t.ended);
}

ATOLL_SIM_TEST(network, what_is_clogged_comes_later) {
  talk t;
  const auto [server, client] = two_that_talk(world, t);
  world.clog(client, server, 3s);
  world.run_for(100ms);
  const int before = t.answers;
  world.run_for(2s);
  EXPECT_LE(t.answers, before + 1);
  world.run_for(5s);
  EXPECT_GT(t.answers, before + 10);
}

ATOLL_SIM_TEST(network, a_connection_can_be_broken) {
  talk t;
  const auto [server, client] = two_that_talk(world, t);
  EXPECT_TRUE(world.break_connection(client, server));
  world.run_for(1s);
  EXPECT_TRUE(t.ended);
  EXPECT_FALSE(world.break_connection(client, server));
}

ATOLL_SIM_TEST(network, random_breaks_happen_and_end_when_healed) {
  world.network().reset_probability = 0.05;
  talk t;
  const auto server = world.add_node({}, [&world] { return echo(world.address(0)); });
  world.run_for(100ms);
  const auto client = world.add_node({}, [&world, &t] { return talk_with(world.address(0, 7000), t); });
  world.run_until_ended({client}, 10min);
  EXPECT_TRUE(t.ended);
  world.heal();
  talk after;
  world.add_node({}, [&world, &after] { return talk_with(world.address(0, 7000), after); });
  world.run_for(10s);
  EXPECT_FALSE(after.ended);
  EXPECT_GT(after.answers, 100);
  static_cast<void>(server);
}

}  // namespace
