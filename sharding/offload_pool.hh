// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// offload_pool: the threads of a runtime that run what blocks. Internal to atoll; users call offload().
//
//   if (auto refused = pool.submit(job)) ...        // on a shard
//
// Made by the runtime; a thread starts when a job finds none idle, and ends after `idle_for` without work. They run on
// all processors of the process, not on the shard's. A job is the pool's from submit() until a thread, or stop(), sends
// it home, where it runs as a task.
// The lock is held for a few instructions, and while a thread is made.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <atoll/actors/future/future.hh>
#include <atoll/sharding/mailroom.hh>
#include <atoll/sharding/runtime.hh>
#include <atoll/sharding/topology.hh>

namespace atoll_root::atoll {

/// Work on its way to a thread and back. As a task it runs on the shard it was made on, once.
class offload_job : public task {
 public:
  explicit offload_job(task::run_function* complete) noexcept : task(complete), home_(this_shard_id()) {}

  [[nodiscard]] shard_id home() const noexcept { return home_; }
  /// On a thread of the pool.
  void run_unless_unwanted() noexcept {
    if (!unwanted_.load(std::memory_order_relaxed)) work();
  }
  /// On the home shard: nobody waits for it, so it need not begin.
  void set_unwanted() noexcept { unwanted_.store(true, std::memory_order_relaxed); }

 protected:
  ~offload_job() = default;

 private:
  virtual void work() noexcept = 0;

  const shard_id home_;
  std::atomic<bool> unwanted_{false};
};

/// Runs jobs where there are to be no threads: in a simulated world.
class offload_runner {
 public:
  /// To pass the job to offload_pool::run_job(), some time later and on no shard.
  virtual void begin(offload_job& job) noexcept = 0;

 protected:
  ~offload_runner() = default;
};

class offload_pool {
 public:
  struct counts {
    std::uint32_t threads = 0;  // that live
    std::uint32_t idle = 0;     // of them
    std::uint32_t queued = 0;   // jobs that no thread has taken
    std::uint64_t taken = 0;    // jobs that threads have taken so far
    std::uint64_t refused = 0;  // jobs that submit() refused so far
  };

  /// `runner`: null where threads run the jobs.
  offload_pool(mailroom& room, const offload_limits& limits, const std::vector<processor>& allowed,
               offload_runner* runner = nullptr);
  offload_pool(const offload_pool&) = delete;
  offload_pool& operator=(const offload_pool&) = delete;
  ~offload_pool();

  /// Queues a job. Else, with the job untouched: `resource_exhausted` at the bound of the queue, or where no thread can
  /// be made; `unavailable` where the runtime stops. On a shard.
  std::optional<error> submit(offload_job& job);

  /// The runner's: runs a job and sends it home.
  void run_job(offload_job& job);

  /// Sends home what no thread has begun. Schedules `ended` when the threads have: as long as their work takes. On shard
  /// 0, once.
  void stop(task& ended) noexcept;

  [[nodiscard]] counts now() const;

 private:
  struct worker {
    std::thread thread;
    bool running = false;
  };
  bool start_thread();
  void serve(worker& self);

  mailroom& room_;
  const offload_limits limits_;
  const std::vector<processor>& allowed_;
  offload_runner* const runner_;
  mutable std::mutex mutex_;
  std::condition_variable work_came_;
  std::vector<worker> workers_;  // of fixed size
  run_queue waiting_;
  counts counts_;
  bool stopping_ = false;
  task* when_ended_ = nullptr;  // shard 0's
};

}  // namespace atoll_root::atoll
