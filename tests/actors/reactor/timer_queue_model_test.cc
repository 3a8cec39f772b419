// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The timer wheel against a sorted map.
#include <atoll/actors/reactor/timer_queue.hh>

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include <atoll/actors/base/rng.hh>

namespace {

using atoll::duration;
using atoll::time_point;

time_point at(std::int64_t ns) { return time_point(duration(ns)); }

struct counting : atoll::timer_node {
  counting() : atoll::timer_node(&count) {}
  static void count(atoll::timer_node* t) noexcept { ++static_cast<counting*>(t)->fired; }
  int fired = 0;
};

/// Random arming, cancelling and advancing; after each advance exactly what the model says has fired.
void compare(std::uint64_t seed, unsigned bits_of_step) {
  atoll::rng random(seed);
  const auto drawn = [&random](unsigned bits) {
    return static_cast<std::int64_t>(random.below(std::uint64_t{1} << random.below(bits)));
  };
  std::int64_t now = drawn(50);
  atoll::timer_queue q(at(now));
  std::vector<std::unique_ptr<counting>> timers(300);
  for (auto& t : timers) t = std::make_unique<counting>();
  std::multimap<std::int64_t, counting*> model;
  std::vector<std::pair<counting*, std::int64_t>> fresh;
  const auto forget = [&](counting* t) {
    std::erase_if(model, [t](const auto& each) { return each.second == t; });
    std::erase_if(fresh, [t](const auto& each) { return each.first == t; });
  };
  for (int round = 0; round < 3'000; ++round) {
    for (auto n = random.below(6); n > 0; --n) {
      counting* t = timers[random.below(timers.size())].get();
      if (t->armed()) {
        if (random.below(3) == 0) {
          t->cancel();
          forget(t);
        }
        continue;
      }
      const std::int64_t d = drawn(50) - (random.below(8) == 0 ? drawn(20) : 0);
      if (random.below(2) == 0) {
        q.arm(*t, at(now + d));
        model.emplace(now + d, t);
      } else {
        q.arm_after(*t, duration(d));
        fresh.emplace_back(t, d);
      }
    }
    now += drawn(bits_of_step);
    for (const auto& [t, d] : fresh) model.emplace(now + d, t);
    fresh.clear();
    std::size_t due = 0;
    for (auto& t : timers) t->fired = 0;
    const std::size_t fired = q.advance(at(now));
    while (!model.empty() && model.begin()->first <= now) {
      ASSERT_EQ(model.begin()->second->fired, 1) << "seed " << seed << " round " << round;
      ASSERT_FALSE(model.begin()->second->armed());
      model.erase(model.begin());
      ++due;
    }
    ASSERT_EQ(fired, due) << "seed " << seed << " round " << round;
    if (model.empty()) {
      ASSERT_EQ(q.next(), atoll::never);
    } else {
      ASSERT_LE(q.next(), at(model.begin()->first)) << "sleeps too long: seed " << seed << " round " << round;
      ASSERT_GT(q.next(), at(now)) << "would not sleep at all: seed " << seed << " round " << round;
    }
  }
}

TEST(timer_queue_model, agrees_over_short_and_long_steps) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) compare(seed, 10 + static_cast<unsigned>(seed) * 3);
}

TEST(timer_queue_model, a_million_armed_fire_bounded_by_an_advance) {
  constexpr std::size_t count = 1'000'000;
  constexpr std::size_t at_once = atoll::timer_queue::fired_at_once_max;
  atoll::timer_queue q(at(0));
  const auto timers = std::make_unique<counting[]>(count);
  for (std::size_t i = 0; i < count; ++i) q.arm(timers[i], at(1'000'000 + static_cast<std::int64_t>(i % 1'000)));
  std::size_t fired = 0, advances = 0;
  for (std::size_t now_fired = at_once; now_fired == at_once; ++advances) {
    now_fired = q.advance(at(2'000'000));
    ASSERT_LE(now_fired, at_once);
    fired += now_fired;
    if (fired < count) {
      ASSERT_LE(q.next(), at(2'000'000)) << "what is left is due";
    }
  }
  EXPECT_EQ(fired, count);
  EXPECT_EQ(advances, count / at_once + 1);
  for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(timers[i].fired, 1);
}

TEST(timer_queue_model, what_is_due_but_not_fired_yet_can_be_cancelled) {
  atoll::timer_queue q(at(0));
  std::vector<counting> timers(atoll::timer_queue::fired_at_once_max + 10);
  for (auto& t : timers) q.arm(t, at(5));
  EXPECT_EQ(q.advance(at(10)), atoll::timer_queue::fired_at_once_max);
  std::size_t cancelled = 0;
  for (auto& t : timers) {
    cancelled += t.armed();
    t.cancel();
  }
  EXPECT_EQ(cancelled, 10U);
  EXPECT_EQ(q.advance(at(10)), 0U);
}

TEST(timer_queue_model, arm_after_saturates) {
  atoll::timer_queue q(at(1'000));
  counting longest, past;
  q.arm_after(longest, duration::max());
  q.arm_after(past, duration::min());
  EXPECT_EQ(q.advance(at(2'000)), 1U);
  EXPECT_EQ(past.fired, 1);
  EXPECT_LE(q.next(), atoll::never);
  longest.cancel();
  EXPECT_EQ(q.next(), atoll::never);
}

struct rearming : atoll::timer_node {
  explicit rearming(atoll::timer_queue& queue) : atoll::timer_node(&again), q(queue) {}
  static void again(atoll::timer_node* t) noexcept {
    auto& self = *static_cast<rearming*>(t);
    ++self.fired;
    self.q.arm_after(self, duration(0));
  }
  atoll::timer_queue& q;
  int fired = 0;
};

TEST(timer_queue_model, one_that_arms_itself_anew_waits_for_the_next_advance) {
  atoll::timer_queue q(at(0));
  rearming t(q);
  q.arm_after(t, duration(0));
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(q.advance(at(7)), 1U);
    EXPECT_EQ(t.fired, i);
  }
}

}  // namespace
