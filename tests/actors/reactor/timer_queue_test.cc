// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/timer_queue.hh>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <atoll/actors/base/rng.hh>

namespace {

using atoll::duration;
using atoll::time_point;

time_point at(std::int64_t ns) { return time_point(duration(ns)); }

struct recorder : atoll::timer_node {
  recorder() : atoll::timer_node(&on_fire) {}
  static void on_fire(atoll::timer_node* t) noexcept { ++static_cast<recorder*>(t)->fired; }
  int fired = 0;
};

TEST(timer_queue, fires_what_is_due_and_nothing_else) {
  atoll::timer_queue q(at(1000));
  recorder early, late;
  q.arm(early, at(1500));
  q.arm(late, at(1501));
  EXPECT_EQ(q.advance(at(1499)), 0U);
  EXPECT_EQ(q.advance(at(1500)), 1U);
  EXPECT_EQ(early.fired, 1);
  EXPECT_EQ(late.fired, 0);
  EXPECT_EQ(q.advance(at(1501)), 1U);
}

TEST(timer_queue, fires_a_time_that_has_passed_at_the_next_look) {
  atoll::timer_queue q(at(1000));
  recorder t;
  q.arm(t, at(10));
  EXPECT_LE(q.next(), at(1000));
  EXPECT_EQ(q.advance(at(1000)), 1U);
}

TEST(timer_queue, does_not_fire_what_was_cancelled) {
  atoll::timer_queue q(at(0));
  recorder t;
  q.arm(t, at(5));
  t.cancel();
  EXPECT_FALSE(t.armed());
  EXPECT_EQ(q.advance(at(100)), 0U);
  EXPECT_EQ(q.next(), atoll::never);
}

TEST(timer_queue, knows_no_time_before_the_earliest_and_comes_to_it) {
  atoll::timer_queue q(at(12'345));
  recorder t;
  q.arm(t, at(1'000'000'007));
  // next() may be early, never late, and going there brings it nearer.
  int steps = 0;
  for (auto n = q.next(); t.fired == 0; n = q.next(), ++steps) {
    ASSERT_LE(n, at(1'000'000'007));
    ASSERT_LT(steps, 64);
    q.advance(n);
  }
}

TEST(timer_queue, agrees_with_a_sorted_list_over_random_times) {
  atoll::rng random(7);
  atoll::timer_queue q(at(0));
  std::vector<std::unique_ptr<recorder>> timers;
  std::int64_t now = 0;
  for (int round = 0; round < 2'000; ++round) {
    timers.push_back(std::make_unique<recorder>());
    q.arm(*timers.back(), at(now + static_cast<std::int64_t>(random.below(std::uint64_t{1} << random.below(40)))));
    if (random.below(4) == 0) timers[random.below(timers.size())]->cancel();
    now += static_cast<std::int64_t>(random.below(std::uint64_t{1} << random.below(36)));
    q.advance(at(now));
    for (const auto& t : timers) {
      ASSERT_LE(t->fired, 1);
      ASSERT_TRUE(!t->armed() || t->at > now) << "a due timer was not fired";
    }
  }
}

/// A brief timer, and the timer that it becomes.
struct brief : atoll::brief_timer {
  brief() : atoll::brief_timer(actions_of_brief) {}
  static atoll::timer_node& becomes_timer(atoll::brief_timer& t) noexcept {
    auto& self = static_cast<brief&>(t);
    self.is_brief = false;
    self.timer.at = self.until.time_since_epoch().count();
    return self.timer;
  }
  static constexpr actions actions_of_brief{&becomes_timer};

  void arm(atoll::timer_queue& q, time_point when) {
    until = when;
    is_brief = true;
    place = q.arm_briefly(*this, when);
  }
  void end(atoll::timer_queue& q) {
    if (std::exchange(is_brief, false)) q.end_brief(place);
    timer.cancel();
  }
  [[nodiscard]] bool armed() const { return is_brief || timer.armed(); }

  recorder timer;
  time_point until;
  bool is_brief = false;
  atoll::timer_queue::brief_place place = 0;
};

TEST(timer_queue, a_brief_timer_fires_like_another_where_it_lasts) {
  atoll::timer_queue q(at(1000));
  brief t;
  t.arm(q, at(1500));
  EXPECT_EQ(q.next(), at(1000)) << "the clock has to be read before anybody sleeps";
  EXPECT_EQ(q.advance(at(1000)), 0U);
  EXPECT_EQ(q.next(), at(1500));
  EXPECT_EQ(q.waiting(10), 1U);
  EXPECT_EQ(q.advance(at(1499)), 0U);
  EXPECT_EQ(q.advance(at(1500)), 1U);
  EXPECT_EQ(t.timer.fired, 1);
  EXPECT_EQ(q.armed(), 1U);
  EXPECT_EQ(q.fired(), 1U);
  EXPECT_EQ(q.waiting(10), 0U);
  EXPECT_EQ(q.next(), atoll::never);
}

TEST(timer_queue, a_brief_timer_that_has_ended_does_nothing_any_more) {
  atoll::timer_queue q(at(0));
  brief ended, lasting;
  ended.arm(q, at(10));
  lasting.arm(q, at(20));
  ended.end(q);
  EXPECT_EQ(q.advance(at(5)), 0U);
  EXPECT_LE(q.next(), at(20));
  EXPECT_EQ(q.advance(at(25)), 1U);
  EXPECT_EQ(ended.timer.fired, 0);
  EXPECT_EQ(lasting.timer.fired, 1);
}

TEST(timer_queue, one_brief_timer_more_than_there_is_room_for_makes_a_timer_of_the_oldest) {
  constexpr std::size_t most = atoll::timer_queue::briefs_max;
  atoll::timer_queue q(at(0));
  const auto all = std::make_unique<brief[]>(most + 1);
  for (std::size_t i = 0; i < most; ++i) all[i].arm(q, at(1'000));
  EXPECT_TRUE(all[0].is_brief);
  all[most].arm(q, at(1'000));
  EXPECT_FALSE(all[0].is_brief) << "it is in the way of the newest";
  EXPECT_TRUE(all[0].armed());
  EXPECT_TRUE(all[1].is_brief);
  EXPECT_EQ(q.waiting(10'000), most + 1);
  EXPECT_EQ(q.advance(at(999)), 0U);
  // They were armed at some time until then, and are not early.
  EXPECT_EQ(q.advance(at(1'998)), 0U);
  EXPECT_EQ(q.advance(at(1'999)), most + 1);
  for (std::size_t i = 0; i <= most; ++i) ASSERT_EQ(all[i].timer.fired, 1);
}

TEST(timer_queue, a_brief_timer_after_a_long_time_without_a_look_is_not_early_and_makes_no_other_late) {
  const std::int64_t late = atoll::timer_queue::brief_late_max.count();
  atoll::timer_queue q(at(0));
  brief before, after;
  before.arm(q, at(10 * late));
  EXPECT_EQ(q.advance(at(0)), 0U);
  after.arm(q, at(10 * late));  // by a clock that was read at 0: it may be any time until the next look
  EXPECT_EQ(q.advance(at(5 * late)), 0U);
  EXPECT_EQ(q.advance(at(10 * late)), 1U);
  EXPECT_EQ(before.timer.fired, 1);
  EXPECT_EQ(q.advance(at(15 * late - 1)), 0U);
  EXPECT_EQ(q.advance(at(15 * late)), 1U);
}

TEST(timer_queue, when_no_brief_timer_is_left_the_next_is_exact_again) {
  atoll::timer_queue q(at(0));
  brief one, next;
  one.arm(q, at(1'000'000));
  EXPECT_EQ(q.advance(at(50'000)), 0U);  // so it may be late by that
  one.end(q);
  EXPECT_EQ(q.next(), atoll::never);
  next.arm(q, at(100'000));
  EXPECT_EQ(q.advance(at(50'000)), 0U);
  EXPECT_EQ(q.advance(at(100'000)), 1U);
}

TEST(timer_queue, brief_timers_are_never_early_and_late_by_little) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    atoll::rng random(seed);
    const auto below = [&random](std::int64_t most) {
      return static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(most)));
    };
    std::int64_t now = 1'000;  // as of the last look
    atoll::timer_queue q(at(now));
    struct promised {
      brief timer;
      std::int64_t earliest = 0, latest = 0;
    };
    const auto all = std::make_unique<promised[]>(2'000);
    std::size_t fired_in_all = 0;
    for (int round = 0; round < 3'000; ++round) {
      const std::int64_t step = below(std::int64_t{1} << random.below(20));
      for (auto n = random.below(1U << random.below(8)); n > 0; --n) {
        promised& p = all[random.below(2'000)];
        if (p.timer.armed()) {
          p.timer.end(q);
          continue;
        }
        const std::int64_t d = 1 + below(std::int64_t{1} << (1 + random.below(24)));
        p.timer.arm(q, at(now + d));
        p.timer.timer.fired = 0;
        // It is really armed at some time until the next look.
        p.earliest = now + step + d;
        p.latest = p.earliest + std::max<std::int64_t>(step, atoll::timer_queue::brief_late_max.count());
      }
      now += step;
      fired_in_all += q.advance(at(now));
      std::int64_t next = INT64_MAX;
      for (std::size_t i = 0; i < 2'000; ++i) {
        promised& p = all[i];
        if (p.timer.timer.fired != 0) {
          ASSERT_EQ(p.timer.timer.fired, 1);
          ASSERT_LE(p.earliest, now) << "early: seed " << seed << " round " << round;
          p.timer.timer.fired = 0;
        } else if (p.timer.armed()) {
          ASSERT_GT(p.latest, now) << "late: seed " << seed << " round " << round;
          next = std::min(next, p.latest);
        }
      }
      ASSERT_LE(q.next().time_since_epoch().count(), next) << "sleeps too long: seed " << seed << " round " << round;
      ASSERT_GT(q.next(), at(now)) << "would not sleep at all: seed " << seed << " round " << round;
    }
    EXPECT_GT(fired_in_all, 1'000U) << "seed " << seed;
    for (std::size_t i = 0; i < 2'000; ++i) all[i].timer.end(q);
  }
}

TEST(timer_queue, holds_a_deadline_at_the_end_of_time) {
  atoll::timer_queue q(at(5));
  recorder t;
  q.arm(t, atoll::never);
  EXPECT_EQ(q.advance(at(std::int64_t{1} << 60)), 0U);
  t.cancel();
}

}  // namespace
