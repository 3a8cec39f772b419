// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// runtime: the shards of this process, from their start to their end.
//
//   auto code = atoll::runtime::run({.shards = 2}, [] { return my_main(); });   // result<int>
//
// Starts one pinned thread a shard (shard 0 is the calling thread), runs `main` on shard 0, and when its future
// is ready stops, in this order: calls of foreign threads (foreign.hh), what services are left, offloaded functions
// (offload.hh), the shards and their threads. One runtime at a time in a thread.
// This is where the process's threads are made; nothing else in atoll makes any, but for the bridges.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <atoll/actors/future/future.hh>
#include <atoll/sharding/topology.hh>

namespace atoll_root::atoll {

/// Of the threads that run what offload() is given.
struct offload_limits {
  std::uint32_t threads_max = 8;                // a process; made when they are needed
  std::uint32_t queue_max = 1024;               // functions that wait for a thread, a process
  duration idle_for = std::chrono::seconds(5);  // after that without work a thread ends
};

struct runtime_options {
  static constexpr shard_id shards_max = atoll::shards_max;
  static constexpr duration spin_for_max = std::chrono::seconds(1);
  static constexpr duration task_quota_min = std::chrono::microseconds(10);
  static constexpr duration task_quota_max = std::chrono::seconds(1);
  static constexpr duration stall_threshold_max = std::chrono::hours(1);
  static constexpr std::uint32_t offload_threads_max = 1024;
  static constexpr std::uint32_t offload_queue_max = 1'000'000;

  shard_id shards = 0;                                   // 1 to shards_max; 0: default_shards()
  bool pin = true;                                       // threads to processors
  std::vector<unsigned> cpus = {};                       // processors for the shards, each an allowed one; none: all
  std::uint64_t seed = 0;                                // of the shards' random numbers; 0: drawn from the system
  duration spin_for = std::chrono::microseconds(40);     // of an idle shard before it sleeps; 0 to spin_for_max
  duration task_quota = std::chrono::microseconds(500);  // of tasks between looks for events; _min to _max
  duration stall_threshold = std::chrono::milliseconds(25);  // a longer task is reported; 0: none, at most _max
  std::uint64_t memory_bytes = 0;                            // of all shards; 0: what plan_memory() finds
  std::optional<std::uint64_t> reserve_memory_bytes = {};    // left to the system; nothing: as plan_memory() says
  std::string log = {};                                      // levels; empty: the default ones
  bool log_times = true;                                     // unless initial_log_levels() has none; false: none
  bool shuffle = false;   // run ready tasks in random order, drawn from the seed, and give way at random: for tests
  clock* time = nullptr;  // of all shards, from any of their threads; null: the machine's. For tests
  offload_limits offload{};
};

class mailroom;

class runtime {
 public:
  /// Refers to the function that run() is given: run() returns when that has ended.
  class main_function {
   public:
    template <class F>
      requires(!std::is_same_v<std::remove_cvref_t<F>, main_function> &&
               std::is_same_v<std::invoke_result_t<F&>, future<int>>)
    main_function(F&& f) noexcept  // NOLINT: any function is one; it is not kept
        : function_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
          call_([](void* function) { return (*static_cast<std::remove_reference_t<F>*>(function))(); }) {}
    future<int> operator()() const { return call_(function_); }

   private:
    void* function_;
    future<int> (*call_)(void* function);
  };

  /// The exit code that main gave, or why the shards could not start, or what main failed with.
  static result<int> run(const runtime_options& options, main_function main);

 private:
  struct shared;
  static result<int> start_and_end(const runtime_options& given, main_function main);
  runtime(const runtime_options& options, mailroom& mail) noexcept;
  void run_shard(shard_id id, shared& state);

  const runtime_options& options_;
  mailroom& mail_;
};

namespace detail {

/// Stops the containers that nobody stopped, on all shards, as the runtime does when main has ended. Failures are logged.
future<> stop_leftovers_everywhere();

}  // namespace detail

}  // namespace atoll_root::atoll
