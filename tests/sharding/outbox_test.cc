// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/outbox.hh>

#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/sharding/shard_local.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::outbox;

/// Keeps its calls unanswered until it is opened.
class valve {
 public:
  future<> pass() {
    ++waiting_;
    while (!open_) co_await opened_.wait();
    ++passed_;
  }
  future<> open() {
    open_ = true;
    opened_.notify_all();
    return atoll::make_ready_future();
  }
  int passed() const { return passed_; }
  int waiting() const { return waiting_; }

 private:
  bool open_ = false;
  int waiting_ = 0;
  int passed_ = 0;
  atoll::condition_variable opened_;
};
ATOLL_SERVICE(valve, "test.Valve", ATOLL_METHOD(pass), ATOLL_METHOD(open));

/// As from within a call that is being served.
template <class F>
auto nested(F f) {
  return atoll::with_context({.depth = 1}, std::move(f));
}

ATOLL_TEST(outbox, lets_as_many_calls_out_as_its_bound_and_the_rest_in_their_turn) {
  constexpr int count = static_cast<int>(outbox::calls_in_flight_max) + 10;
  atoll::sharded<valve> valves;
  co_await valves.start();
  std::vector<future<>> calls;
  for (int i = 0; i < count; ++i) calls.push_back(valves.at(1).pass());
  EXPECT_EQ(atoll::local_sharding().outboxes[1].in_flight(), outbox::calls_in_flight_max);
  const auto waiting = [&valves] { return valves.map_reduce(&valve::waiting, std::plus<>{}, 0); };
  while (co_await nested(waiting) < static_cast<int>(outbox::calls_in_flight_max)) co_await atoll::yield();
  EXPECT_EQ(co_await nested(waiting), static_cast<int>(outbox::calls_in_flight_max)) << "more went out than the bound";
  // A call made while serving a call passes: its caller holds a place already.
  co_await nested([&valves] { return valves.at(1).open(); });
  for (auto& c : calls) co_await std::move(c);
  EXPECT_EQ(co_await valves.map_reduce(&valve::passed, std::plus<>{}, 0), count);
  EXPECT_EQ(atoll::local_sharding().outboxes[1].in_flight(), 0U);
  co_await valves.stop();
}

ATOLL_TEST(outbox, a_call_that_waits_in_it_fails_at_its_deadline_and_is_never_made) {
  atoll::sharded<valve> valves;
  co_await valves.start();
  std::vector<future<>> calls;
  for (std::uint32_t i = 0; i < outbox::calls_in_flight_max; ++i) calls.push_back(valves.at(1).pass());
  const auto r = co_await as_result(valves.at(1).within(5ms).pass());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::deadline_exceeded);
  co_await nested([&valves] { return valves.at(1).open(); });
  for (auto& c : calls) co_await std::move(c);
  EXPECT_EQ(co_await valves.map_reduce(&valve::passed, std::plus<>{}, 0),
            static_cast<int>(outbox::calls_in_flight_max));
  co_await valves.stop();
}

ATOLL_TEST(outbox, bounds_the_calls_of_each_level_apart) {
  constexpr int most = static_cast<int>(outbox::calls_in_flight_max);
  atoll::sharded<valve> valves;
  co_await valves.start();
  const auto pass = [&valves] { return valves.at(1).pass(); };
  std::vector<future<>> calls;
  for (int i = 0; i < most + 10; ++i) calls.push_back(nested(pass));
  // Those of level 2 are at their bound, and no other level's.
  const auto& way = atoll::local_sharding().outboxes[1];
  EXPECT_EQ(way.in_flight(), outbox::calls_in_flight_max);
  EXPECT_EQ(way.waiting(), 10U);
  calls.push_back(pass());
  calls.push_back(atoll::with_context({.depth = 2}, pass));
  EXPECT_EQ(way.in_flight(), outbox::calls_in_flight_max + 2);
  EXPECT_EQ(way.waiting(), 10U);
  const auto in_time = [&valves] { return valves.at(1).within(5ms).pass(); };
  const auto late = co_await as_result(nested(in_time));
  ATOLL_REQUIRE(!late);
  EXPECT_EQ(late.error().code(), atoll::status_code::deadline_exceeded);
  co_await valves.at(1).open();
  for (auto& c : calls) co_await std::move(c);
  EXPECT_EQ(co_await valves.map_reduce(&valve::passed, std::plus<>{}, 0), most + 12);
  EXPECT_EQ(way.in_flight(), 0U);
  co_await valves.stop();
}

ATOLL_TEST(outbox, refuses_deep_calls_past_their_bound) {
  atoll::sharded<valve> valves;
  co_await valves.start();
  const auto pass = [&valves] { return valves.at(1).pass(); };
  const auto deep = [&pass] { return atoll::with_context({.depth = outbox::levels - 1}, pass); };
  std::vector<future<>> calls;
  for (std::uint32_t i = 0; i < outbox::deep_in_flight_max; ++i) calls.push_back(deep());
  EXPECT_EQ(atoll::local_sharding().outboxes[1].in_flight(), outbox::deep_in_flight_max);
  const auto r = co_await as_result(deep());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::resource_exhausted);
  // The deepest of those that wait has a place.
  calls.push_back(atoll::with_context({.depth = outbox::levels - 2}, pass));
  co_await valves.at(1).open();
  for (auto& c : calls) co_await std::move(c);
  co_await deep();
  EXPECT_EQ(atoll::local_sharding().outboxes[1].in_flight(), 0U);
  co_await valves.stop();
}

/// Calls itself on the next shard, so often.
class relay : public atoll::peering<relay> {
 public:
  future<int> pass_on(int times);
};
ATOLL_SERVICE(relay, "test.Relay", ATOLL_METHOD(pass_on, times));
future<int> relay::pass_on(int times) {
  if (times == 0) co_return 0;
  const auto next = (atoll::this_shard_id() + 1) % atoll::shard_count();
  co_return 1 + co_await atoll::or_fail(peers().at(next).pass_on(times - 1));
}

ATOLL_TEST(outbox, circles_of_calls_go_on_when_every_lane_is_full) {
  constexpr int times = 6;
  atoll::sharded<relay> all;
  co_await all.start();
  // From each shard more than the bound, each of which wants to come back, three times over.
  const auto flood = [](relay& here) -> future<int> {
    std::vector<future<int>> calls;
    const auto next = (atoll::this_shard_id() + 1) % atoll::shard_count();
    for (std::uint32_t i = 0; i < outbox::calls_in_flight_max + 500; ++i)
      calls.push_back(here.peers().at(next).pass_on(times));
    int passed = 0;
    for (auto& c : calls) passed += co_await std::move(c);
    co_return passed;
  };
  const int passed = co_await all.map_reduce(flood, std::plus<>{}, 0);
  EXPECT_EQ(passed, 2 * times * static_cast<int>(outbox::calls_in_flight_max + 500));
  co_await all.stop();
}

/// Ends its calls only when it is stopped.
class long_poll {
 public:
  future<> wait() {
    while (!stopping_) co_await changed_.wait();
  }
  future<> stop() {
    stopping_ = true;
    changed_.notify_all();
    return atoll::make_ready_future();
  }

 private:
  bool stopping_ = false;
  atoll::condition_variable changed_;
};
ATOLL_SERVICE(long_poll, "test.LongPoll", ATOLL_METHOD(wait));

ATOLL_TEST(outbox, a_service_can_be_stopped_behind_a_full_one) {
  atoll::sharded<long_poll> polls;
  co_await polls.start();
  std::vector<future<>> calls;
  for (std::uint32_t i = 0; i < outbox::calls_in_flight_max + 10; ++i) calls.push_back(polls.at(1).wait());
  co_await polls.stop();
  int served = 0;
  for (auto& c : calls) served += co_await as_result(std::move(c)) ? 1 : 0;
  EXPECT_GE(served, static_cast<int>(outbox::calls_in_flight_max));
}

}  // namespace
