// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The event loop of one shard.
//
//   atoll::reactor loop({.id = 0, .count = 1, ...}, atoll::system_clock(), std::move(io));
//   loop.run();                               // returns when stop() was called and the loop is idle
//
// One pass: run ready tasks, at most `tasks_a_pass`, then ask the pollers in order: what other shards sent
// comes first, because looking costs a few loads. The clock, the timers and the kernel cost 25 ns to 1 us to
// ask, so they are asked once for each `full_pass_every` tasks, a pass counting for `pass_counts` at least, and at each tick.
// A shard without work spins for `spin_for`, then declares itself asleep and waits in the kernel until I/O, a
// timer or another shard wakes it.
// Shard rules: constructed and run on the thread that is to be the shard; stop() is called on the shard.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include <atoll/actors/future/future.hh>
#include <atoll/actors/io/io_backend.hh>
#include <atoll/actors/reactor/poller.hh>
#include <atoll/actors/reactor/shard.hh>
#include <atoll/actors/reactor/ticker.hh>
#include <atoll/actors/reactor/timer_queue.hh>

namespace atoll_root::atoll {

struct reactor_options {
  shard_id id = 0;
  shard_id count = 1;
  std::uint64_t seed = 0;                                    // of this_shard().random
  duration spin_for = std::chrono::microseconds(40);         // before sleeping; 0 sleeps at once
  bool shares_processor = false;                             // with other shards: it lets them run while it spins
  duration task_quota = std::chrono::microseconds(500);      // of a scheduling group before another gets its turn
  duration stall_threshold = std::chrono::milliseconds(25);  // a task that runs longer is reported; 0: none
  // Run ready tasks in random order, and let awaits of what is ready give way at random: for tests.
  bool shuffle = false;
  bool ticks = true;  // false: no ticker, nothing interrupts a task; for who drives the loop by step()
};

class reactor {
 public:
  reactor(const reactor_options& options, clock& time, std::unique_ptr<io_backend> io);
  reactor(const reactor&) = delete;
  reactor& operator=(const reactor&) = delete;
  ~reactor();

  /// Makes this thread the shard and runs the loop until stop().
  void run();
  void stop() noexcept { stopping_ = true; }

  /// What a step found.
  struct progress {
    enum class kind : std::uint8_t { busy, idle, ended };
    kind is = kind::busy;
    std::uint32_t ran = 0;       // tasks
    time_point wake_at = never;  // where it is idle: what it waits for may come earlier, by interrupt()
  };
  /// One pass, for who runs many loops in one thread instead of run(): at most so many tasks, and everything is asked. Idle,
  /// the loop has declared itself asleep, and the next step is what wakes it. REQUIRES: this is the thread's current shard.
  progress step(std::uint32_t tasks_max) noexcept;

  [[nodiscard]] shard& context() noexcept { return shard_; }
  [[nodiscard]] io_backend& io() noexcept { return *io_; }
  [[nodiscard]] const ticker& ticks() const noexcept { return ticks_; }

 private:
  static constexpr std::uint32_t tasks_a_pass = 256;
  static constexpr std::uint32_t full_pass_every = 256;
  static constexpr std::uint32_t pass_counts = 4;

  std::uint32_t run_tasks(std::uint32_t most) noexcept;
  void look(bool idle) noexcept;
  bool poll_kernel(bool busy) noexcept;
  void sleep() noexcept;
  bool wait_until(time_point next) noexcept;
  /// True if no poller has anything to do, to send or to take.
  bool nothing_left() noexcept;

  shard shard_;
  std::unique_ptr<io_backend> io_;
  timer_queue timers_;
  poller_list pollers_;
  ticker ticks_;
  struct metrics;
  std::unique_ptr<metrics> metrics_;
  duration spin_for_;
  bool shares_processor_;
  time_point idle_since_ = never;  // never: not idle
  std::uint32_t since_full_pass_ = 0;
  std::uint64_t looks_busy_ = 0;  // at the kernel, since the shard woke
  bool stopping_ = false;
  bool declared_asleep_ = false;  // by step()
  std::uint64_t sleeps_ = 0;
};

}  // namespace atoll_root::atoll
