// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/call.hh>

#include <atomic>
#include <deque>

#include <atoll/actors/future/combinators.hh>
#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/sharding/shard_local.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

#include "fragile.hh"

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::sharded;
using atoll::status_code;

/// What happened to the calls of all tests: read after they have ended.
struct seen {
  static inline std::atomic<int> started = 0;
  static inline std::atomic<int> cancelled = 0;
  static inline std::atomic<int> ended = 0;
  static inline std::atomic<int> blocked = 0;
  static inline std::atomic<bool> shard_may_go_on = false;
  static void clear() {
    started = cancelled = ended = blocked = 0;
    shard_may_go_on = false;
  }
};

class sleeper : public atoll::peering<sleeper> {
 public:
  /// Sleeps until its caller gives it up.
  future<> sleep() {
    ++seen::started;
    const auto r = co_await as_result(atoll::sleep(1h));
    ++(r.error().code() == status_code::cancelled ? seen::cancelled : seen::ended);
  }
  /// Calls this method of the other shard, that calls it here, and so on; sleeps at the end.
  future<> down(std::uint32_t steps);
  /// Calls itself, and sleeps at the end.
  future<> deep(std::uint32_t steps);
  /// Keeps the shard busy until seen::shard_may_go_on.
  future<> block() {
    ++seen::blocked;
    while (!seen::shard_may_go_on) {
    }
    return atoll::make_ready_future();
  }
  /// Computes until its deadline has passed, and looks whether it has.
  future<> compute_for_too_long() {
    while (atoll::mono_now() <= atoll::current_deadline()) {
    }
    seen::cancelled += atoll::check_cancelled() ? 0 : 1;
    ++seen::ended;
    return atoll::make_ready_future();
  }
  future<> rest() { return atoll::sleep(1us); }
  future<std::int64_t> deadline() {
    return atoll::make_ready_future<std::int64_t>(atoll::current_deadline().time_since_epoch().count());
  }
  future<int> add(int a, int b) {
    ++seen::started;
    return atoll::make_ready_future<int>(a + b);
  }
  /// Works on after it has answered.
  future<> begin() {
    background_.spawn([] { return atoll::sleep(1h); });
    return atoll::make_ready_future();
  }
  bool works() const { return background_.running() > 0; }
  future<> stop() { return background_.stop(); }

 private:
  atoll::scope background_{"sleeper"};
};
ATOLL_SERVICE(sleeper, "test.Sleeper", ATOLL_METHOD(sleep), ATOLL_METHOD(down, steps), ATOLL_METHOD(deep, steps),
              ATOLL_METHOD(block), ATOLL_METHOD(deadline), ATOLL_METHOD(compute_for_too_long), ATOLL_METHOD(rest),
              ATOLL_METHOD(add, a, b), ATOLL_METHOD(begin));

future<> sleeper::down(std::uint32_t steps) {
  return steps == 0 ? sleep() : peers().at(1 - atoll::this_shard_id()).down(steps - 1);
}

future<> sleeper::deep(std::uint32_t steps) {
  return steps == 0 ? sleep() : peers().at(atoll::this_shard_id()).deep(steps - 1);
}

future<> wait_for(std::atomic<int>& count, int least) {
  for (int tries = 0; tries < 20'000 && count < least; ++tries) co_await atoll::sleep(1ms);
  EXPECT_GE(count, least);
}

ATOLL_TEST(call, a_cancelled_caller_cancels_its_callee) {
  for (const atoll::shard_id to : {0U, 1U}) {
    seen::clear();
    sharded<sleeper> sleepers;
    co_await sleepers.start();
    atoll::cancel_source source;
    const auto call = [&sleepers, to] { return sleepers.at(to).sleep(); };
    auto asleep = source.run(call);
    co_await wait_for(seen::started, 1);
    source.cancel();
    EXPECT_EQ((co_await as_result(std::move(asleep))).error().code(), status_code::cancelled);
    co_await wait_for(seen::cancelled, 1);
    co_await sleepers.stop();
  }
}

ATOLL_TEST(call, cancelling_goes_down_a_chain_of_calls) {
  seen::clear();
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  atoll::cancel_source source;
  const auto call = [&sleepers] { return sleepers.at(1).down(9); };
  auto asleep = source.run(call);
  co_await wait_for(seen::started, 1);
  source.cancel();
  EXPECT_FALSE(co_await as_result(std::move(asleep)));
  co_await wait_for(seen::cancelled, 1);
  EXPECT_EQ(seen::started, 1);
  co_await sleepers.stop();
}

ATOLL_TEST(call, cancelling_a_long_chain_within_a_shard_uses_no_stack) {
  seen::clear();
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  atoll::cancel_source source;
  const auto call = [&sleepers] { return sleepers.at(0).deep(50'000); };
  auto asleep = source.run(call);
  co_await wait_for(seen::started, 1);
  source.cancel();
  EXPECT_FALSE(co_await as_result(std::move(asleep)));
  co_await wait_for(seen::cancelled, 1);
  co_await sleepers.stop();
}

ATOLL_TEST(call, the_first_of_when_any_ends_the_calls_of_the_others) {
  seen::clear();
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  const auto slow = [&sleepers] { return sleepers.at(1).sleep(); };
  const auto quick = [] { return atoll::sleep(1ms); };
  EXPECT_EQ((co_await atoll::when_any(slow, quick)).index, 1U);
  co_await wait_for(seen::cancelled, seen::started);
  co_await sleepers.stop();
}

ATOLL_TEST(call, that_found_its_deadline_passed_leaves_nothing_to_the_next) {
  seen::clear();
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  co_await sleepers.at(1).rest();
  while (seen::ended == 0) {  // where the machine is busy, one may not begin in time
    static_cast<void>(co_await as_result(sleepers.at(1).within(20ms).compute_for_too_long()));
  }
  for (int i = 0; i < 3; ++i) {
    const auto next = co_await as_result(sleepers.at(1).rest());
    EXPECT_TRUE(next) << next.error().to_string();
  }
  EXPECT_EQ(seen::cancelled, seen::ended);
  co_await sleepers.stop();
}

ATOLL_TEST(call, given_up_before_its_turn_is_never_started) {
  seen::clear();
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  auto blocked = sleepers.at(1).block();
  co_await wait_for(seen::blocked, 1);
  std::vector<future<int>> calls;
  atoll::cancel_source source;
  const auto add = [&sleepers] { return sleepers.at(1).add(1, 2); };
  for (int i = 0; i < 100; ++i) calls.push_back(source.run(add));
  co_await atoll::sleep(1ms);  // they are in the lane
  source.cancel();
  for (auto& each : calls) EXPECT_EQ((co_await as_result(std::move(each))).error().code(), status_code::cancelled);
  // Callers needn't wait for the callee to learn it; the notes are on their way now.
  co_await atoll::sleep(1ms);
  seen::shard_may_go_on = true;
  co_await std::move(blocked);
  EXPECT_EQ(co_await sleepers.at(1).add(1, 2), 3);
  EXPECT_EQ(seen::started, 1);
  co_await sleepers.stop();
}

ATOLL_TEST_ON(call, a_shard_that_is_busy_holds_up_no_other, 3) {
  seen::clear();
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  auto blocked = sleepers.at(1).block();
  co_await wait_for(seen::blocked, 1);
  auto behind = sleepers.at(1).add(1, 2);
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(co_await sleepers.at(2).add(i, 1), i + 1);
  const auto from_other = [ref = sleepers.ref()] { return ref.at(0).add(2, 2); };
  for (int i = 0; i < 100; ++i) EXPECT_EQ(co_await atoll::submit_to(2, from_other), 4);
  EXPECT_FALSE(behind.available());
  seen::shard_may_go_on = true;
  co_await std::move(blocked);
  EXPECT_EQ(co_await std::move(behind), 3);
  co_await sleepers.stop();
}

ATOLL_TEST(call, may_be_cancelled_at_each_of_its_steps) {
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  int failed = 0;
  int succeeded = 0;
  for (const atoll::shard_id to : {0U, 1U}) {
    for (int steps = 0; steps < 300; ++steps) {
      atoll::cancel_source source;
      const auto one = [&sleepers, to] { return sleepers.at(to).add(1, 2); };
      const auto chain = [&sleepers, to] { return sleepers.at(to).down(3); };
      auto simple = source.run(one);
      auto deep = source.run(chain);
      for (int i = 0; i < steps; ++i) co_await atoll::yield();
      source.cancel();
      const auto r = co_await as_result(std::move(simple));
      ++(r ? succeeded : failed);
      EXPECT_EQ(r.has_value() ? *r : 3, 3);
      EXPECT_FALSE(co_await as_result(std::move(deep)));
    }
  }
  EXPECT_GT(failed, 0);
  EXPECT_GT(succeeded, 0);
  co_await sleepers.stop();
}

ATOLL_TEST(call, deadlines_that_meet_replies_lose_nothing) {
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  int failed = 0;
  int succeeded = 0;
  std::deque<future<int>> calls;
  for (int i = 0; i < 20'000; ++i) {
    calls.push_back(sleepers.at(1).within(std::chrono::microseconds(1 + i % 400)).add(i, 1));
    if (calls.size() < 100) continue;
    const auto r = co_await as_result(std::move(calls.front()));
    calls.pop_front();
    ++(r ? succeeded : failed);
    EXPECT_TRUE(r || r.error().code() == status_code::deadline_exceeded);
  }
  for (auto& each : calls) ++(co_await as_result(std::move(each)) ? succeeded : failed);
  EXPECT_EQ(failed + succeeded, 20'000);
  co_await sleepers.stop();
  EXPECT_EQ(atoll::local_sharding().outboxes[1].in_flight(), 0U);
}

/// A call with a deadline of 20 ms, of what would take longer: not over before.
future<> ends_by_its_deadline(sharded<sleeper>& sleepers) {
  const auto from = atoll::mono_now();
  const auto r = co_await as_result(sleepers.at(1).within(20ms).sleep());
  // Its callee, whose wait ends a little later, may be the first to be heard all the same.
  EXPECT_TRUE(r || r.error().code() == status_code::deadline_exceeded);
  EXPECT_GE(atoll::mono_now(), from + 20ms);
}

ATOLL_TEST(call, of_many_with_deadlines_each_ends_by_its_own) {
  // More than are brief timers, of which some last, some are cancelled and most are over soon.
  constexpr int many = 3 * static_cast<int>(atoll::timer_queue::briefs_max) / 2;
  seen::clear();
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  atoll::cancel_source source;
  std::vector<future<>> end, long_ones;
  const auto call_all = [&] {
    for (int i = 0; i < many; ++i) long_ones.push_back(sleepers.at(1).within(1h).sleep());
    return atoll::make_ready_future();
  };
  co_await source.run(call_all);
  for (int i = 0; i < many; ++i) end.push_back(ends_by_its_deadline(sleepers));
  for (int i = 0; i < 10 * many; ++i) EXPECT_EQ(co_await sleepers.at(1).within(1h).add(i, 1), i + 1);
  for (auto& each : end) co_await std::move(each);
  for (const auto& each : long_ones) EXPECT_FALSE(each.available());
  source.cancel();
  for (auto& each : long_ones) EXPECT_EQ((co_await as_result(std::move(each))).error().code(), status_code::cancelled);
  co_await sleepers.stop();
  // One that came after its deadline did not begin.
  EXPECT_EQ(seen::cancelled + seen::ended, seen::started - 10 * many);
  EXPECT_GE(seen::cancelled + seen::ended, many);
}

ATOLL_TEST(call, within_a_shard_takes_no_place_with_a_deadline_either) {
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  for (int i = 0; i < 1'000; ++i) EXPECT_EQ(co_await sleepers.at(0).within(1h).add(i, 1), i + 1);
  EXPECT_EQ(atoll::local_sharding().outboxes[0].in_flight(), 0U);
  co_await sleepers.stop();
}

ATOLL_TEST(call, a_million_queued_calls_may_lose_their_callers) {
#if defined(__has_feature)
  constexpr int count = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ? 50'000 : 1'000'000;
#else
  constexpr int count = 1'000'000;
#endif
  seen::clear();
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  auto blocked = sleepers.at(1).block();
  co_await wait_for(seen::blocked, 1);
  atoll::cancel_source source;
  {
    std::vector<future<int>> calls;
    calls.reserve(count);
    const auto call_all = [&] {
      for (int i = 0; i < count; ++i) calls.push_back(sleepers.at(1).add(i, 1));
      return atoll::make_ready_future();
    };
    co_await source.run(call_all);
    source.cancel();
    int failed = 0;
    for (auto& each : calls) failed += co_await as_result(std::move(each)) ? 0 : 1;
    EXPECT_EQ(failed, count);
  }
  seen::shard_may_go_on = true;
  co_await std::move(blocked);
  EXPECT_EQ(co_await sleepers.at(1).add(1, 2), 3);
  // Those in the ring when the shard goes on are given up; a ring is full before the last of them.
  EXPECT_LE(seen::started, static_cast<int>(atoll::outbox::calls_in_flight_max) + 1);
  co_await sleepers.stop();
}

ATOLL_TEST(call, a_callee_s_deadline_is_not_before_the_caller_s) {
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  for (int i = 0; i < 100; ++i) {
    const auto from = atoll::mono_now();
    const auto at = atoll::time_point(atoll::duration(co_await sleepers.at(1).within(1h).deadline()));
    EXPECT_GE(at, from + 1h);
    EXPECT_LE(at, atoll::mono_now() + 1h + 10ms);
  }
  // Nor where the shard has slept for a little, so that no tick tells for a while how late it is.
  for (int i = 0; i < 20; ++i) {
    co_await atoll::sleep(200us);
    const auto woken = atoll::mono_now();
    while (atoll::mono_now() < woken + 1200us) {
    }
    const auto from = atoll::mono_now();
    const auto at = atoll::time_point(atoll::duration(co_await sleepers.at(1).within(1h).deadline()));
    EXPECT_GE(at, from + 1h);
  }
  co_await sleepers.stop();
}

ATOLL_TEST(call, without_time_is_not_made) {
  seen::clear();
  sharded<sleeper> sleepers;
  co_await sleepers.start();
  for (const auto none : {0ms, -5ms}) {
    const auto r = co_await as_result(sleepers.at(1).within(none).add(1, 2));
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
  }
  EXPECT_EQ(seen::started, 0);
  co_await sleepers.stop();
}

ATOLL_TEST(call, what_a_callee_leaves_behind_is_not_cancelled_with_the_next_call) {
  for (const atoll::shard_id to : {0U, 1U}) {
    seen::clear();
    sharded<sleeper> sleepers;
    co_await sleepers.start();
    co_await sleepers.at(to).begin();
    atoll::cancel_source source;
    const auto call = [&sleepers, to] { return sleepers.at(to).sleep(); };
    auto asleep = source.run(call);
    co_await wait_for(seen::started, 1);
    source.cancel();
    EXPECT_FALSE(co_await as_result(std::move(asleep)));
    co_await wait_for(seen::cancelled, 1);
    EXPECT_EQ(co_await sleepers.map_reduce(&sleeper::works, std::plus<>{}, 0), 1);
    co_await sleepers.stop();
  }
}

future<demo::fragile> give_late(int moves) {
  co_await atoll::sleep(1us);
  co_return demo::fragile(moves);
}

ATOLL_TEST_ON(call, a_late_result_that_can_not_be_moved_is_a_failure, 2) {
  for (const atoll::shard_id to : {0U, 1U}) {
    for (int moves = 1; moves < 12; ++moves) {
      const auto work = [moves] { return give_late(moves); };
      co_await demo::settle(atoll::submit_to(to, work));
    }
  }
}

}  // namespace
