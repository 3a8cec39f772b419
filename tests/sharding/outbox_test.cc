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
