// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/periodic.hh>

#include <optional>

#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::mono_now;
using atoll::periodic_timer;
using atoll::status_code;

ATOLL_CLOCK_TEST(manual_clock, stands_still_until_it_is_moved, clock) {
  const auto begin = mono_now();
  auto f = atoll::sleep(10s);
  for (int i = 0; i < 1'000; ++i) co_await atoll::yield();
  EXPECT_EQ(mono_now(), begin);
  co_await clock.advance(10s - 1ns);
  EXPECT_FALSE(f.available());
  co_await clock.advance(1ns);
  EXPECT_TRUE(f.available());
  co_await std::move(f);
}

ATOLL_CLOCK_TEST(manual_clock, ends_deadlines, clock) {
  auto f = as_result(atoll::with_timeout(1h, [] { return atoll::sleep(2h); }));
  co_await clock.advance(1h);
  const auto r = co_await std::move(f);
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
}

ATOLL_CLOCK_TEST(periodic_timer, ticks_at_multiples_of_its_period_whatever_its_user_does, clock) {
  periodic_timer every("test", 10s);
  const auto begin = mono_now();
  for (int tick = 1; tick <= 5; ++tick) {
    auto next = every.next();
    EXPECT_FALSE(next.available());
    co_await clock.advance(begin + tick * 10s - mono_now());
    EXPECT_EQ(co_await std::move(next), 0U);
    clock.set_forward(std::chrono::seconds(tick));  // the user's work
  }
}

ATOLL_CLOCK_TEST(periodic_timer, skips_and_counts_what_was_missed, clock) {
  periodic_timer every("test", 10s);
  clock.set_forward(35s);  // 10 and 20 are missed, 30 is taken late
  auto late = every.next();
  ATOLL_REQUIRE(late.available());
  EXPECT_EQ(co_await std::move(late), 2U);
  auto next = every.next();
  EXPECT_FALSE(next.available());
  co_await clock.advance(5s);
  EXPECT_EQ(co_await std::move(next), 0U);
  // A loop that wakes late skips as well.
  auto slept_through = every.next();
  co_await clock.advance(29s);
  EXPECT_EQ(co_await std::move(slept_through), 1U);
  EXPECT_EQ(every.next_at() - mono_now(), 1s);
}

ATOLL_CLOCK_TEST(periodic_timer, exactly_on_the_tick_misses_none, clock) {
  periodic_timer every("test", 10s);
  clock.set_forward(10s);
  EXPECT_EQ(co_await every.next(), 0U);
  clock.set_forward(20s);
  EXPECT_EQ(co_await every.next(), 1U);
}

ATOLL_CLOCK_TEST(periodic_timer, serves_all_who_wait_for_a_tick, clock) {
  periodic_timer every("test", 10s);
  auto a = every.next();
  auto b = every.next();
  co_await clock.advance(10s);
  EXPECT_EQ(co_await std::move(a), 0U);
  EXPECT_EQ(co_await std::move(b), 0U);
}

ATOLL_CLOCK_TEST(periodic_timer, can_be_cancelled_and_started_again, clock) {
  periodic_timer every("flush", 10s);
  auto waiting = every.next();
  every.cancel();
  for (auto* f : {&waiting}) {
    const auto r = co_await as_result(std::move(*f));
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error().code(), status_code::cancelled);
    EXPECT_EQ(r.error().message(), "in periodic_timer flush");
  }
  EXPECT_FALSE(co_await as_result(every.next()));
  every.restart(3s);
  auto next = every.next();
  co_await clock.advance(3s);
  EXPECT_EQ(co_await std::move(next), 0U);
  auto moved = every.next();
  every.restart(1h);
  co_await clock.advance(30min);
  EXPECT_FALSE(moved.available());
  co_await clock.advance(30min);
  EXPECT_EQ(co_await std::move(moved), 0U);
}

ATOLL_CLOCK_TEST(periodic_timer, ends_a_wait_with_its_context_and_ticks_on, clock) {
  periodic_timer every("test", 10s);
  auto bounded = as_result(atoll::with_timeout(5s, [&every] { return every.next(); }));
  co_await clock.advance(5s);
  const auto r = co_await std::move(bounded);
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
  auto next = every.next();
  co_await clock.advance(5s);
  EXPECT_TRUE(next.available());
  co_await std::move(next);
}

ATOLL_CLOCK_TEST(periodic_timer, of_no_period_ticks_at_the_shortest_and_fails_who_waits_when_it_goes, clock) {
  std::optional<periodic_timer> every(std::in_place, "test", 0s);
  EXPECT_EQ(every->period(), periodic_timer::period_min);
  clock.set_forward(10us);
  EXPECT_EQ(co_await every->next(), 9U);
  auto waiting = every->next();
  every.reset();
  const auto r = co_await as_result(std::move(waiting));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::cancelled);
}

ATOLL_TEST(periodic_timer, ticks_on_the_machines_clock) {
  periodic_timer every("test", 1ms);
  const auto begin = mono_now();
  std::uint64_t ticks = 0;
  while (ticks < 10) ticks += 1 + co_await every.next();
  EXPECT_GE(mono_now() - begin, 10ms);
}

}  // namespace
