// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// timer.arm_cancel/N: a timer cancelled and armed again, 50 ms ahead, as the deadlines of calls are, 64 of them under
// way, beside N others that are due in an hour or two; ns for both. timer.arm_cancel/growth: the figure with a million
// others, and as its limit the one with ten: "no slower", with a tenth for noise.
#include <memory>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/reactor/timer_queue.hh>

#include "bench.hh"
#include "shard_bench.hh"
#include "shard_limits.hh"

namespace bench {
namespace {

struct timer : atoll::timer_node {
  timer() noexcept : atoll::timer_node([](atoll::timer_node*) noexcept {}) {}
};

atoll::future<double> arm_cancel_ns(std::uint32_t others) {
  constexpr std::size_t calls = 100'000;
  auto& timers = *atoll::this_shard().timers;
  const auto far = std::make_unique<timer[]>(others);  // NOLINT: not movable, sized at run time
  for (std::uint32_t i = 0; i < others; ++i) {
    const auto ahead = std::chrono::hours(1) + std::chrono::microseconds(atoll::this_shard().random() % 3'600'000'000);
    timers.arm(far[i], atoll::mono_now() + ahead);
  }
  std::array<timer, 64> calls_under_way;
  laps measured;
  while (measured.next(calls)) {
    const auto base = atoll::mono_now() + std::chrono::milliseconds(50);
    for (std::size_t i = 0; i < calls; ++i) {
      auto& t = calls_under_way[i % calls_under_way.size()];
      t.cancel();
      timers.arm(t, base + std::chrono::nanoseconds(i));
    }
    measured.end();
    // Each lap begins with a queue that has moved on.
    for (auto& t : calls_under_way) t.cancel();
    co_await atoll::sleep(std::chrono::microseconds(100));
  }
  co_return measured.median_ns();
}

double with_others(std::uint32_t others) {
  return on_one_shard([others] { return arm_cancel_ns(others); });
}

}  // namespace

std::vector<benchmark> timer_benches() {
  const auto beside = [](std::uint32_t others) {
    const double limit = raw_list_ns();
    return pair{with_others(others), limit};
  };
  return {{"timer.arm_cancel/10", "ns", [beside] { return beside(10); }, value_at_most(12)},
          {"timer.arm_cancel/1m", "ns", [beside] { return beside(1'000'000); }, value_at_most(12)},
          {"timer.arm_cancel/growth", "ns",
           [] {
             const double with_ten = with_others(10);
             return pair{with_others(1'000'000), with_ten};
           },
           ratio_at_most(1.1)}};
}

}  // namespace bench
