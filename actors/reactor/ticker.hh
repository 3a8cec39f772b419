// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// ticker: what interrupts a shard's thread from time to time while it is busy.
//
// Each tick (a POSIX timer's signal to this thread alone) makes the loop look at the clock after the task that runs
// now, so that quotas hold however long tasks are. A task that outlives `threshold` is a stall: the tick reports it at
// once, from inside, with the shard, the method or function that began, or the coroutine that was resumed and the line of
// its last await, and the return addresses; at most one report in `report_every`, the others counted. Ticks that come while the thread has no processor
// count once, so a busy machine makes no stalls.
// A shard that sleeps for long has no ticks. Setting a timer takes as long as a tenth of a wake-up, so one is not set on
// the way from a short sleep to the task that ended it: asleep, the next tick is put off by `rest_for`, and a shard that
// wakes before has that one, and stays with it until it has been busy for two looks at the kernel.
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
  static constexpr auto rest_for = std::chrono::milliseconds(2);  // or a period, where that is longer

  /// threshold 0: no stall is reported. The shard is the one of this thread. `on` false: there are no ticks.
  ticker(shard& s, duration period, duration threshold, bool on = true);
  ticker(const ticker&) = delete;
  ticker& operator=(const ticker&) = delete;
  ~ticker();

  /// True where there are ticks: the kernel gave the timer.
  [[nodiscard]] bool works() const noexcept { return timer_.has_value(); }

  void start() noexcept;  // the shard is awake, and begins or goes on to work
  void sleeps() noexcept;
  /// False where no tick comes any more: asleep, after the last one.
  [[nodiscard]] bool is_on() const noexcept { return state_ != state::off; }
  void wakes() noexcept;
  void stop() noexcept;  // for good

  /// The loop turns: what ran until now is no stall.
  void turn() noexcept { turns_ = turns_ + 1; }

  [[nodiscard]] std::uint64_t stalls() const noexcept { return stalls_; }

 private:
  enum class state : std::uint8_t { off, running, resting };

  void set_timer(duration first) noexcept;
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
  // Changed by the thread and by its signal handler.
  volatile state state_ = state::off;
  volatile bool asleep_ = false;
};

}  // namespace atoll_root::atoll
