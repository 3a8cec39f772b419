// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/timer_queue.hh>

#include <algorithm>
#include <memory>
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

TEST(timer_queue, holds_a_deadline_at_the_end_of_time) {
  atoll::timer_queue q(at(5));
  recorder t;
  q.arm(t, atoll::never);
  EXPECT_EQ(q.advance(at(std::int64_t{1} << 60)), 0U);
  t.cancel();
}

}  // namespace
