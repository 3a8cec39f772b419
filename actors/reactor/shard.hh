// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Everything ambient of a shard hangs off one pointer: this_shard().
//
//   atoll::this_shard().id                 // which shard runs this code
//   atoll::mono_now()                      // its clock, through the seam
//
// Shard rules: a `shard` is touched by the code that runs on it, nobody else. `this_shard()` may be called
// only where a shard runs (on_shard() tells); there is no other thread_local and no mutable global.
// Cost: one thread-local load.
#pragma once

#include <array>
#include <cstdint>

#include <atoll/actors/base/assert.hh>
#include <atoll/actors/base/log_levels.hh>
#include <atoll/actors/base/rng.hh>
#include <atoll/actors/memory/frame_pool.hh>
#include <atoll/actors/reactor/clock.hh>
#include <atoll/actors/reactor/task.hh>

namespace atoll_root::atoll {

class io_backend;
class timer_queue;
class poller_list;

using shard_id = std::uint32_t;

/// What the upper layers keep per shard: one pointer each, owned by the layer that set it.
enum class shard_slot : std::uint8_t { sharding, rpc, services, testing, count };

struct shard {
  shard_id id = 0;
  shard_id count = 1;
  run_queue tasks;
  call_context* context = nullptr;  // of the task that runs now; null stands for the default context
  std::uint32_t ready_awaits = 0;   // awaits of ready futures since this task was picked
  std::uint64_t failures_abandoned = 0;
  frame_pool frames;
  clock* time = nullptr;
  timer_queue* timers = nullptr;
  io_backend* io = nullptr;
  poller_list* pollers = nullptr;
  rng random;
  log_levels logs = initial_log_levels();
  std::array<void*, static_cast<std::size_t>(shard_slot::count)> slots{};

  template <class T>
  [[nodiscard]] T*& slot(shard_slot which) noexcept {
    return reinterpret_cast<T*&>(slots[static_cast<std::size_t>(which)]);
  }
};

namespace detail {
extern constinit thread_local shard* current_shard;
}

/// True where a shard runs this code.
inline bool on_shard() noexcept { return detail::current_shard != nullptr; }

/// REQUIRES: on_shard().
inline shard& this_shard() noexcept {
  ATOLL_ASSERT(detail::current_shard != nullptr, "this_shard() outside a shard");
  return *detail::current_shard;
}

inline shard_id this_shard_id() noexcept { return this_shard().id; }

/// The monotonic time now, read from the clock (some 25 ns).
inline time_point mono_now() noexcept { return this_shard().time->now(); }

/// Puts a task at the end of this shard's run queue.
inline void schedule(task& t) noexcept { this_shard().tasks.push(t); }

}  // namespace atoll_root::atoll
