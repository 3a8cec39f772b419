// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// ticker: what interrupts a shard's thread from time to time while it is busy.
//
// Each tick (a POSIX timer's signal to this thread alone) makes the loop look at the clock after the task that runs
// now, so that quotas hold however long tasks are. A task that outlives `threshold` is a stall: the tick reports it at
// once, from inside, with the shard, the coroutine it last resumed, the line of its last await and the return
// addresses; at most one report in `report_every`, the others counted. While the shard sleeps, no timer runs. Ticks that
// come while the thread has no processor count once, so a busy machine makes no stalls.
// Where the kernel gives no timer, quotas are looked at once in 256 tasks, nothing reports stalls, and one line says so.
// Shard rules: made and used on the shard's thread. The signal is SIGRTMIN + 2, unblocked there.
#pragma once

#include <csignal>
#include <cstdint>
#include <ctime>
#include <optional>

#include <atoll/actors/base/result.hh>
#include <atoll/actors/reactor/clock.hh>

namespace atoll_root::atoll {

struct shard;

class ticker {
 public:
  static constexpr auto report_every = std::chrono::seconds(1);

  /// threshold 0: no stall is reported. The shard is the one of this thread.
  ticker(shard& s, duration period, duration threshold);
  ticker(const ticker&) = delete;
  ticker& operator=(const ticker&) = delete;
  ~ticker();

  /// True where the kernel gave the timer.
  [[nodiscard]] bool works() const noexcept { return timer_.has_value(); }

  void start() noexcept;  // the shard is awake
  void stop() noexcept;   // it goes to sleep

  /// The loop turns: what ran until now is no stall.
  void turn() noexcept { turns_ = turns_ + 1; }

  [[nodiscard]] std::uint64_t stalls() const noexcept { return stalls_; }

 private:
  static void on_signal(int number, siginfo_t* info, void* context) noexcept;
  void tick() noexcept;
  void report(std::uint32_t ticks) noexcept;

  shard& shard_;
  duration period_;
  std::uint32_t stall_ticks_;  // 0: never
  std::optional<timer_t> timer_;
  volatile std::uint64_t turns_ = 0;
  std::uint64_t turns_seen_ = 0;  // the tick's own, as all below
  std::uint32_t ticks_in_turn_ = 0;
  time_point report_again_at_{};
  std::uint64_t unreported_ = 0;
  volatile std::uint64_t stalls_ = 0;
  bool running_ = false;
};

}  // namespace atoll_root::atoll
