// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The scheduler by itself, on a clock that stands still: what each task takes is exact.
#include <atoll/actors/reactor/scheduler.hh>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include <atoll/testing/manual_clock.hh>

namespace {

using namespace std::chrono_literals;
using atoll::duration;
using atoll::scheduler;
using atoll::scheduling_group;
using atoll::status_code;

struct loop {
  atoll::testing::manual_clock time;
  scheduler tasks{time};

  struct busy : atoll::task {
    busy(loop& l, scheduling_group g, duration d) : atoll::task(&run_it, nullptr, g.id), in(l), takes(d) {}
    static void run_it(atoll::task* t) noexcept {
      auto& self = *static_cast<busy*>(t);
      self.in.time.set_forward(self.takes);
      ++self.runs;
      if (self.again) self.in.tasks.push(self);
    }
    loop& in;
    duration takes;
    bool again = true;
    int runs = 0;
  };

  void run_for(duration d) {
    const auto until = time.now() + d;
    while (time.now() < until) {
      atoll::run_queue* ready = tasks.pick();
      if (ready == nullptr) return;
      atoll::task& t = ready->pop();
      t.run(&t);
      tasks.look(time.now(), false);
    }
  }
  busy& add(scheduling_group g, duration takes) {
    all.push_back(std::make_unique<busy>(*this, g, takes));
    tasks.push(*all.back());
    return *all.back();
  }
  scheduling_group make(const char* name, std::uint32_t shares, scheduling_group parent = scheduler::top()) {
    return tasks.create_group(name, shares, parent).value();
  }
  double ran(scheduling_group g) { return static_cast<double>(tasks.stats(g).value().ran.count()); }
  std::vector<std::unique_ptr<busy>> all;
};

TEST(scheduler, divides_by_shares_whatever_the_length_of_tasks) {
  loop l;
  const auto a = l.make("a", 100), b = l.make("b", 200), c = l.make("c", 400);
  l.add(a, 7us);
  l.add(b, 300us);
  l.add(c, 50us);
  l.add(c, 2us);
  l.run_for(3s);
  EXPECT_NEAR(l.ran(b) / l.ran(a), 2, 2 * 0.02);
  EXPECT_NEAR(l.ran(c) / l.ran(a), 4, 4 * 0.02);
}

TEST(scheduler, divides_a_tree_level_by_level) {
  loop l;
  const auto other = l.make("other", 300);
  const auto family = l.make("family", 100);
  const auto son = l.make("son", 50, family), daughter = l.make("daughter", 150, family);
  const auto grandchild = l.make("grandchild", 150, daughter);
  for (const auto g : {other, son, daughter, grandchild}) l.add(g, 20us);
  l.run_for(4s);
  const double all = l.ran(other) + l.ran(son) + l.ran(daughter) + l.ran(grandchild);
  EXPECT_NEAR(l.ran(other) / all, 0.75, 0.01);
  EXPECT_NEAR(l.ran(son) / all, 0.25 * 0.25, 0.01);
  // A parent that runs tasks itself is one more child of itself.
  EXPECT_NEAR(l.ran(daughter) / all, 0.25 * 0.75 * 0.5, 0.01);
  EXPECT_NEAR(l.ran(grandchild) / all, 0.25 * 0.75 * 0.5, 0.01);
}

TEST(scheduler, gives_no_credit_for_sleep) {
  loop l;
  const auto a = l.make("a", 100), b = l.make("b", 100);
  l.add(a, 20us);
  l.run_for(1s);
  l.add(b, 20us);  // slept for a second
  const auto before_a = l.ran(a);
  l.run_for(100ms);
  EXPECT_NEAR(l.ran(b) / (l.ran(a) - before_a), 1, 0.05);
}

TEST(scheduler, one_that_always_wakes_anew_gets_no_more_than_its_part) {
  loop l;
  const auto a = l.make("a", 100), b = l.make("b", 100);
  l.add(a, 10us);
  auto& sleeper = l.add(b, 10us);
  sleeper.again = false;
  for (int i = 0; i < 20'000; ++i) {
    const int before = sleeper.runs;
    while (sleeper.runs == before) l.run_for(1ns);
    l.tasks.push(sleeper);
  }
  EXPECT_LT(l.ran(b) / l.ran(a), 1.1);
}

TEST(scheduler, follows_shares_that_change) {
  loop l;
  const auto a = l.make("a", 100), b = l.make("b", 100);
  l.add(a, 20us);
  l.add(b, 20us);
  l.run_for(500ms);
  EXPECT_NEAR(l.ran(b) / l.ran(a), 1, 0.02);
  ASSERT_TRUE(l.tasks.set_shares(b, 400));
  const double was_a = l.ran(a), was_b = l.ran(b);
  l.run_for(1s);
  EXPECT_NEAR((l.ran(b) - was_b) / (l.ran(a) - was_a), 4, 0.1);
}

TEST(scheduler, lets_one_that_wakes_run_at_once_and_records_how_long_it_waited) {
  loop l;
  const auto batch = l.make("batch", 100), urgent = l.make("urgent", 1'000);
  l.add(batch, 100us);
  l.add(batch, 100us);
  l.run_for(10ms);
  l.time.set_forward(1us);  // a task of batch runs
  auto& u = l.add(urgent, 1us);
  u.again = false;
  EXPECT_TRUE(l.tasks.preempted());
  l.run_for(1us);
  EXPECT_EQ(u.runs, 1);
  EXPECT_EQ(l.tasks.stats(urgent).value().latency.count(), 1U);
  EXPECT_EQ(l.tasks.stats(urgent).value().wakeups, 1U);
}

TEST(scheduler, preempts_at_the_end_of_the_quota) {
  loop l;
  l.tasks.set_quota(500us);
  const auto a = l.make("a", 100), b = l.make("b", 100);
  auto& first = l.add(a, 400us);
  auto& second = l.add(b, 400us);
  l.run_for(400us);
  l.run_for(400us);
  l.run_for(400us);
  EXPECT_GE(first.runs, 1);
  EXPECT_GE(second.runs, 1);
}

TEST(scheduler, has_limits) {
  loop l;
  const auto code = [&l](const std::string& name, std::uint32_t shares, scheduling_group parent = scheduler::top()) {
    const auto made = l.tasks.create_group(name, shares, parent);
    return made ? status_code::ok : made.error().code();
  };
  EXPECT_EQ(code("none", 0), status_code::out_of_range);
  EXPECT_EQ(code("many", 10'001), status_code::out_of_range);
  EXPECT_EQ(code("least", 1), status_code::ok);
  EXPECT_EQ(code("most", 10'000), status_code::ok);
  EXPECT_EQ(code("least", 1), status_code::already_exists);
  EXPECT_EQ(code("main", 1), status_code::already_exists);
  EXPECT_EQ(code("orphan", 1, {63}), status_code::not_found);
  const auto taken = l.tasks.create_group("id", 1, scheduler::top(), atoll::group_id{1});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code(), status_code::already_exists);
  const auto past = l.tasks.create_group("id", 1, scheduler::top(), atoll::group_id{64});
  ASSERT_FALSE(past);
  EXPECT_EQ(past.error().code(), status_code::out_of_range);
  for (std::size_t i = l.tasks.groups(); i < scheduler::groups_max; ++i) {
    EXPECT_EQ(code("g" + std::to_string(i), 1), status_code::ok);
  }
  EXPECT_EQ(code("one more", 1), status_code::resource_exhausted);
  EXPECT_EQ(l.tasks.ids_used(), ~std::uint64_t{0});
  for (const scheduling_group unknown : {scheduler::top(), scheduling_group{200}}) {
    EXPECT_FALSE(l.tasks.set_shares(unknown, 5));
    EXPECT_FALSE(l.tasks.stats(unknown));
  }
  EXPECT_FALSE(l.tasks.set_shares({1}, 0));
  EXPECT_FALSE(l.tasks.set_shares({1}, 10'001));
  EXPECT_TRUE(l.tasks.set_shares({0}, 10'000));
}

TEST(scheduler, runs_the_64th_group) {
  loop l;
  scheduling_group last;
  for (std::size_t i = 1; i < scheduler::groups_max; ++i) last = l.make(std::to_string(i).c_str(), 1);
  auto& only = l.add(last, 1us);
  only.again = false;
  l.run_for(1ms);
  EXPECT_EQ(only.runs, 1);
  EXPECT_TRUE(l.tasks.empty());
}

TEST(scheduler, a_group_that_gets_a_child_while_its_tasks_wait_keeps_them) {
  loop l;
  const auto a = l.make("a", 100);
  auto& waiting = l.add(a, 1us);
  waiting.again = false;
  const auto child = l.make("child", 100, a);
  auto& of_child = l.add(child, 1us);
  of_child.again = false;
  l.run_for(1ms);
  EXPECT_EQ(waiting.runs, 1);
  EXPECT_EQ(of_child.runs, 1);
  EXPECT_TRUE(l.tasks.empty());
}

}  // namespace
