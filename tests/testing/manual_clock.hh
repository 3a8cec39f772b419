// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// manual_clock: a clock that stands still until a test moves it.
//
//   ATOLL_CLOCK_TEST(lease, ends_after_an_hour, clock) {
//     auto f = hold_lease();
//     co_await clock.advance(1h);              // every timer of this shard that is due has fired
//     EXPECT_TRUE(f.available());
//   }
//
// All shards of the runtime read it, so any thread may; one shard moves it. Others see the new time at their next look,
// within `idle_look_every` where they sleep. Nothing measures how long tasks run: quotas and shares mean nothing.
#pragma once

#include <atomic>
#include <chrono>

#include <atoll/actors/future/sleep.hh>

namespace atoll_root::atoll::testing {

class manual_clock final : public clock {
 public:
  explicit manual_clock(time_point start = time_point(std::chrono::hours(1))) noexcept
      : now_(start.time_since_epoch().count()) {}

  time_point now() noexcept override { return time_point(duration(now_.load(std::memory_order_acquire))); }
  /// Goes along, from 2000-01-01 00:00:00 on.
  wall_time wall_now() noexcept override {
    return std::chrono::sys_days(std::chrono::year(2000) / 1 / 1) + now().time_since_epoch();
  }
  [[nodiscard]] bool runs_alone() const noexcept override { return false; }

  /// Moves the time on without telling anybody. REQUIRES: not negative.
  void set_forward(duration by) noexcept { now_.fetch_add(by.count(), std::memory_order_acq_rel); }

  /// The same; ready when this shard's timers that are due by then have fired (up to timer_queue::fired_at_once_max).
  future<> advance(duration by) {
    co_await sleep(duration::zero());  // a sleep that was begun before begins at the loop's next look at the clock
    set_forward(by);
    co_await sleep(duration::zero());
  }

 private:
  std::atomic<std::int64_t> now_;
};

}  // namespace atoll_root::atoll::testing
