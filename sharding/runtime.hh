// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// runtime: the shards of this process, from their start to their end.
//
//   auto code = atoll::runtime::run({.shards = 2}, [] { return my_main(); });   // result<int>
//
// Starts one pinned thread a shard (shard 0 is the calling thread), runs `main` on shard 0, and when its future
// is ready stops what services are left, the shards and the threads. One runtime at a time in a thread.
// This is where the process's threads are made; nothing else in atoll makes any, but for the bridges.
#pragma once

#include <functional>

#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll {

struct runtime_options {
  static constexpr shard_id shards_max = 256;

  shard_id shards = 0;                                // 1 to shards_max; 0: default_shards()
  bool pin = true;                                    // threads to processors
  std::uint64_t seed = 0;                             // of the shards' random numbers; 0: drawn from the system
  duration spin_for = std::chrono::microseconds(40);  // of an idle shard before it sleeps
};

class mailroom;

class runtime {
 public:
  using main_function = std::function<future<int>()>;

  /// The exit code that main gave, or why the shards could not start, or what main failed with.
  static result<int> run(const runtime_options& options, main_function main);

 private:
  struct shared;
  runtime(const runtime_options& options, mailroom& mail) noexcept;
  void run_shard(shard_id id, shared& state);

  const runtime_options& options_;
  mailroom& mail_;
};

}  // namespace atoll_root::atoll
