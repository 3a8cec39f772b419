// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/group.hh>

#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include <atoll/actors/sync/scope.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::current_group;
using atoll::future;
using atoll::scheduling_group;
using atoll::status_code;
using atoll::this_shard;

scheduling_group make(const char* name, std::uint32_t shares, scheduling_group parent = atoll::scheduler::top()) {
  return this_shard().tasks.create_group(name, shares, parent).value();
}

future<std::vector<scheduling_group>> groups_on_the_way() {
  std::vector<scheduling_group> seen{current_group()};
  co_await atoll::yield();
  seen.push_back(current_group());
  co_await atoll::sleep(100us);
  seen.push_back(current_group());
  seen.push_back(co_await atoll::make_ready_future<int>(1).then([](int) { return current_group(); }));
  seen.push_back(co_await atoll::with_timeout(1h, [] { return atoll::sleep(1us).then(&current_group); }));
  atoll::scope spawned("spawned");
  const auto note = [&seen]() { seen.push_back(current_group()); };
  spawned.spawn(note);
  spawned.spawn([&note] { return atoll::sleep(1us).then(note); });
  co_await spawned.close();
  co_return seen;
}

ATOLL_TEST(with_group, follows_the_work_and_leaves_the_caller_alone) {
  const auto batch = make("batch", 100);
  EXPECT_EQ(current_group(), scheduling_group{});
  const auto seen = co_await atoll::with_group(batch, &groups_on_the_way);
  EXPECT_EQ(current_group(), scheduling_group{});
  EXPECT_EQ(seen, std::vector(7, batch));
}

ATOLL_TEST(with_group, does_not_start_f_inside_the_call) {
  const auto batch = make("batch", 100);
  bool ran = false;
  auto f = atoll::with_group(batch, [&ran] { ran = true; });
  EXPECT_FALSE(ran);
  EXPECT_EQ(current_group(), scheduling_group{});
  co_await std::move(f);
  EXPECT_TRUE(ran);
}

ATOLL_TEST(with_group, of_a_group_that_does_not_exist_fails) {
  bool ran = false;
  for (const auto bad : {scheduling_group{1}, scheduling_group{63}, atoll::scheduler::top(), scheduling_group{255}}) {
    const auto r = co_await as_result(atoll::with_group(bad, [&ran] { ran = true; }));
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error().code(), status_code::not_found);
  }
  EXPECT_FALSE(ran);
}

ATOLL_TEST(with_group, passes_failures_and_exceptions) {
  const auto batch = make("batch", 100);
  const auto lost = [] { return atoll::make_failed_future<int>(atoll::error(status_code::aborted)); };
  const auto r = co_await as_result(atoll::with_group(batch, lost));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::aborted);
  const auto throws = []() -> int { throw std::out_of_range("x"); };
  EXPECT_FALSE(co_await as_result(atoll::with_group(batch, throws)));
  EXPECT_EQ(current_group(), scheduling_group{});
}

ATOLL_TEST(with_group, nests) {
  const auto outer = make("outer", 100);
  const auto inner = make("inner", 100, outer);
  std::vector<scheduling_group> seen;
  const auto in_inner = [&seen] { seen.push_back(current_group()); };
  struct steps {
    static future<> run(std::vector<scheduling_group>& s, scheduling_group in, decltype(in_inner) f) {
      s.push_back(current_group());
      co_await atoll::with_group(in, f);
      s.push_back(current_group());
    }
  };
  co_await atoll::with_group(outer, [&] { return steps::run(seen, inner, in_inner); });
  EXPECT_EQ(seen, (std::vector{outer, inner, outer}));
}

ATOLL_TEST(with_group, keeps_deadline_and_cancellation) {
  const auto batch = make("batch", 100);
  const auto work = [batch] { return atoll::with_group(batch, [] { return atoll::sleep(1h); }); };
  const auto r = co_await as_result(atoll::with_timeout(1ms, work));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
}

/// Runs until told to stop, in steps of some us.
future<> saturate(bool& stop, std::uint64_t& steps, atoll::duration step) {
  while (!stop) {
    const auto until = atoll::mono_now() + step;
    while (atoll::mono_now() < until) {
    }
    ++steps;
    co_await atoll::yield();
  }
}

atoll::duration ran(scheduling_group g) { return this_shard().tasks.stats(g).value().ran; }

/// Groups that have always something to do.
struct contest {
  /// Whether each gets this much of what the first gets, within 7%. Where the machine takes the processor away, whoever had
  /// it is charged for that, so it is looked at for longer until the parts have evened out.
  static future<bool> is_fair(std::vector<scheduling_group> groups, std::vector<double> expected,
                              atoll::duration step = 20us) {
    bool stop = false;
    std::uint64_t steps = 0;
    std::vector<future<>> working;
    const auto referee = make("referee", 10'000);
    for (const auto g : groups) {
      for (int i = 0; i < 2; ++i) {
        working.push_back(atoll::with_group(g, [&stop, &steps, step] { return saturate(stop, steps, step); }));
      }
    }
    const bool fair = co_await atoll::with_group(referee, [&] { return watch(groups, expected); });
    stop = true;
    for (auto& w : working) co_await std::move(w);
    co_return fair;
  }
  static future<bool> watch(const std::vector<scheduling_group>& groups, const std::vector<double>& expected) {
    co_await atoll::sleep(5ms);
    std::vector<atoll::duration> before;
    for (const auto g : groups) before.push_back(ran(g));
    std::string seen;
    for (int window = 0; window < 20; ++window) {
      co_await atoll::sleep(300ms);
      bool fair = true;
      seen.clear();
      const auto first = static_cast<double>((ran(groups[0]) - before[0]).count());
      for (std::size_t i = 0; i < groups.size(); ++i) {
        const double part = static_cast<double>((ran(groups[i]) - before[i]).count()) / first;
        fair = fair && std::abs(part - expected[i]) <= expected[i] * 0.07;
        seen += " " + std::to_string(part);
      }
      if (fair) co_return true;
    }
    ADD_FAILURE() << "parts of the processor:" << seen;
    co_return false;
  }
};

ATOLL_TEST(scheduling_group, share_the_shard_by_weight) {
  const std::vector groups{make("a", 100), make("b", 200), make("c", 400)};
  const std::vector<double> expected{1, 2, 4};
  EXPECT_TRUE(co_await contest::is_fair(groups, expected));
}

ATOLL_TEST(scheduling_group, share_by_weight_however_long_their_tasks_are) {
  const std::vector groups{make("short", 200), make("long", 200)};
  bool stop = false;
  std::uint64_t longs = 0;
  // Beside two coroutines with steps of 10 us each, one of these groups has a third with steps of 2 ms.
  auto slow = atoll::with_group(groups[1], [&] { return saturate(stop, longs, 2ms); });
  const std::vector<double> expected{1, 1};
  EXPECT_TRUE(co_await contest::is_fair(groups, expected, 10us));
  stop = true;
  co_await std::move(slow);
  EXPECT_GT(longs, 0U);
}

ATOLL_TEST(scheduling_group, of_a_tree_divide_what_their_parent_gets) {
  // family (200): itself idle, with children 100 and 300; beside it alone (200).
  const auto alone = make("alone", 200);
  const auto family = make("family", 200);
  const std::vector groups{make("small", 100, family), make("large", 300, family), alone};
  const std::vector<double> expected{1, 3, 4};
  EXPECT_TRUE(co_await contest::is_fair(groups, expected));
}

ATOLL_TEST(scheduling_group, shares_can_be_changed_while_it_runs) {
  const auto a = make("a", 100);
  const auto b = make("b", 100);
  auto change = atoll::sleep(1ms).then([b] { EXPECT_TRUE(this_shard().tasks.set_shares(b, 300)); });
  const std::vector groups{a, b};
  const std::vector<double> expected{1, 3};
  EXPECT_TRUE(co_await contest::is_fair(groups, expected));
  co_await std::move(change);
}

ATOLL_TEST(scheduling_group, that_wakes_among_busy_ones_has_its_latency_recorded) {
  const auto batch = make("batch", 100);
  const auto urgent = make("urgent", 1000);
  struct scene {
    static future<> wake_often() {
      for (int i = 0; i < 50; ++i) co_await atoll::sleep(200us);
    }
  };
  bool stop = false;
  std::uint64_t steps = 0;
  auto a = atoll::with_group(batch, [&] { return saturate(stop, steps, 50us); });
  auto b = atoll::with_group(batch, [&] { return saturate(stop, steps, 50us); });
  co_await atoll::with_group(urgent, &scene::wake_often);
  stop = true;
  co_await std::move(a);
  co_await std::move(b);
  const auto stats = this_shard().tasks.stats(urgent).value();
  EXPECT_GT(stats.latency.count(), 0U);
  EXPECT_GE(stats.wakeups, 50U);
}

}  // namespace
