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
#include <source_location>
#include <string_view>

#include <atoll/actors/base/assert.hh>
#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/actors/base/log_levels.hh>
#include <atoll/actors/base/rng.hh>
#include <atoll/actors/memory/block_pool.hh>
#include <atoll/actors/reactor/clock.hh>
#include <atoll/actors/reactor/scheduler.hh>
#include <atoll/actors/reactor/task.hh>

namespace atoll_root::atoll {

class io_backend;
class ticker;
class timer_queue;
class poller_list;
class metrics_registry;
class ticker;
class shard_memory;
class sim_points;
struct shard;
namespace detail {
struct coroutine_base;
class block_returns;
/// A coroutine's place in its shard's list.
struct coroutine_hook : list_hook {};
#if defined(__PIC__) && !defined(__PIE__)
#define ATOLL_TLS_MODEL "initial-exec"
#else
#define ATOLL_TLS_MODEL "local-exec"  // one instruction; for programs, not for shared libraries
#endif
extern constinit thread_local shard* current_shard __attribute__((tls_model(ATOLL_TLS_MODEL)));
}  // namespace detail

using shard_id = std::uint32_t;

/// What the upper layers keep per shard: one pointer each, owned by the layer that set it.
enum class shard_slot : std::uint8_t { sharding, rpc, services, testing, count };

struct address_range {
  std::uintptr_t start = 1;
  std::uintptr_t bytes = UINTPTR_MAX;  // everything but null

  [[nodiscard]] bool has(const void* p) const noexcept { return reinterpret_cast<std::uintptr_t>(p) - start < bytes; }
};

/// Whose code runs in a task that is no coroutine, by name.
struct work_name {
  std::string_view service;   // empty: it is no method of one
  std::string_view function;  // the method; else what source_location has of a template over the function's type
};

struct shard {
  /// Whatever duration is added, it is before any time.
  static constexpr std::int64_t long_ago = INT64_MIN;

  explicit shard(clock& its_time);
  shard(const shard&) = delete;
  shard& operator=(const shard&) = delete;
  ~shard();

  // What each task touches.
  block_pool blocks;
  call_context* context = nullptr;  // of the task that runs now; null stands for the default context
  call_context* spare_context = nullptr;
  group_id group = 0;         // the same
  volatile bool tick = true;  // set by the ticker: time to look at the clock, and to give way; see reactor
  bool has_ticker = false;
  bool shuffled = false;  // what is ready runs in random order, and awaits of it give way at random: for tests
  ticker* ticks = nullptr;
  std::uint32_t calls_since_look = 0;  // of detail::tick_is_due, without a ticker
  std::uintptr_t stack_floor = 0;      // below this address a new coroutine starts as a task of its own
  time_point coarse_now{};             // as of the loop's last look
  duration clock_age_max{};            // how old that is where no tick has come since, at most
  // The same as coarse_now in ns; long_ago from the next tick on: what may not be older than that sees it by the sum.
  volatile std::int64_t recent_ns = long_ago;
  detail::coroutine_base* running = nullptr;  // while a coroutine runs, but for one that runs inside its first call
  // Of what runs now up to its first await, for the stall report: read by a signal handler.
  const work_name* volatile work = nullptr;
  std::uint64_t coroutines_suspended = 0;  // the length of `coroutines`
  clock* time;
  timer_queue* timers = nullptr;
  address_range own_range;  // where this shard's blocks are, as shard_memory knows
  std::uint64_t blocks_from_elsewhere = 0;
  detail::block_returns* returns = nullptr;  // null where blocks have no known home
  scheduler tasks;
  intrusive_list<detail::coroutine_hook> coroutines;  // that have been suspended and still have a frame

  shard_id id = 0;
  shard_id count = 1;
  io_backend* io = nullptr;
  poller_list* pollers = nullptr;
  metrics_registry* metrics = nullptr;
  shard_memory* memory = nullptr;
  sim_points* points = nullptr;  // of a simulated world; null elsewhere
  rng random;
  std::uint64_t failures_abandoned = 0;
  std::uint64_t scopes_leaked = 0;
  std::uint64_t turns_taken = 0;  // of services that serve one call at a time
  std::uint64_t tasks_run = 0;
  std::uint64_t socket_bytes_read = 0;
  std::uint64_t socket_bytes_written = 0;
  std::uint64_t socket_streams = 0;
  log_levels logs = initial_log_levels();
  std::array<void*, static_cast<std::size_t>(shard_slot::count)> slots{};

  template <class T>
  [[nodiscard]] T*& slot(shard_slot which) noexcept {
    return reinterpret_cast<T*&>(slots[static_cast<std::size_t>(which)]);
  }
};

/// True where a shard runs this code.
inline bool on_shard() noexcept { return detail::current_shard != nullptr; }

/// REQUIRES: on_shard().
inline shard& this_shard() noexcept {
  ATOLL_ASSERT(detail::current_shard != nullptr, "this_shard() outside a shard");
  return *detail::current_shard;
}

inline shard_id this_shard_id() noexcept { return this_shard().id; }

/// The number of shards of this process.
inline shard_id shard_count() noexcept { return this_shard().count; }

/// The monotonic time now, read from the clock (some 25 ns).
inline time_point mono_now() noexcept { return this_shard().time->now(); }

/// The time of day, UTC: for people and for other machines. It may jump either way.
inline wall_time wall_now() noexcept { return this_shard().time->wall_now(); }

/// The monotonic time when the loop looked at the clock last: up to a scheduling quota (500 us), or 2 ms after a short sleep, and one
/// task ago. For ages and rates; costs one load.
inline time_point coarse_now() noexcept { return this_shard().coarse_now; }

/// coarse_now() where no tick has come since: then it is clock_age_max old at most. Else the clock.
inline time_point recent_now() noexcept { return this_shard().tick ? mono_now() : coarse_now(); }

namespace detail {
/// True after a tick, or without a ticker after 256 calls, until the loop has looked at the clock.
bool tick_is_due(shard& s) noexcept;
}  // namespace detail

namespace detail {

template <class F>
consteval work_name find_work_name() {
  if constexpr (requires { F::name_of_work(); }) return F::name_of_work();
  return {{}, std::source_location::current().function_name()};
}
/// The name of code by its type: of a type that has one, that.
template <class F>
inline constexpr work_name name_of_work = find_work_name<F>();

/// Says what runs until the end of the current scope.
class work_scope {
 public:
  explicit work_scope(const work_name& name) noexcept { current_shard->work = &name; }
  work_scope(const work_scope&) = delete;
  work_scope& operator=(const work_scope&) = delete;
  ~work_scope() { current_shard->work = nullptr; }
};

}  // namespace detail

inline call_context* context_ptr::spare_of(const shard& s) noexcept {
  call_context* spare = s.spare_context;
  return spare != nullptr && spare->references_ == 0 ? spare : nullptr;
}

inline void context_ptr::lend(call_context& spare, const call_values& values) noexcept {
  spare.references_ = 1;
  spare.touched_ = false;
  spare.values_ = values;
  spare.own_holds_ = {};
}
inline void context_ptr::lent_has_turn(call_context& lent, std::uint64_t turn) noexcept { lent.own_holds_.turn = turn; }

inline context_ptr context_ptr::keep_lent(shard& s) noexcept {
  context_ptr kept;
  kept.context_ = std::exchange(s.spare_context, nullptr);
  return kept;
}

inline bool context_ptr::is_untouched(const call_context& lent) noexcept {
  return lent.references_ == 1 && !lent.touched_;
}
inline void context_ptr::set_free(call_context& lent) noexcept { lent.references_ = 0; }

inline void context_ptr::end_loan(shard& s) noexcept {
  call_context* lent = s.spare_context;
  // A child would refer to it, and holders have those alone that are no loan.
  if (lent->references_ != 1 || !lent->waits_.empty() || lent->deadline_.armed() || lent->reason_) [[unlikely]] {
    keep_lent(s);
    return;
  }
  lent->references_ = 0;
}

inline void context_ptr::give_back(shard& s, context_ptr context) noexcept {
  call_context* last = context.context_;
  if (last->references_ != 1 || s.spare_context != nullptr || last->parent_ || !last->is_as_new() || !s.blocks.is_on())
    return;
  context.release()->becomes_spare(s);
}

inline void call_context::becomes_spare(shard& s) noexcept {
  references_ = 0;
  s.spare_context = this;
}

/// Puts a task at the end of its group's run queue.
inline void schedule(task& t) noexcept { this_shard().tasks.push(t); }

/// A block from this shard's pool, or from the allocator where no shard runs. Throws std::bad_alloc.
inline void* pool_allocate(std::size_t bytes) {
  if (shard* s = detail::current_shard) [[likely]]
    return s->blocks.allocate(bytes);
  return block_pool::allocate_unpooled(bytes);
}
/// The same; null where there is no memory.
inline void* pool_try_allocate(std::size_t bytes) noexcept {
  if (shard* s = detail::current_shard) [[likely]]
    return s->blocks.try_allocate(bytes);
  return block_pool::try_allocate_unpooled(bytes);
}
inline void pool_free(void* block, std::size_t bytes) noexcept {
  if (shard* s = detail::current_shard) [[likely]]
    return s->blocks.free(block, bytes);
  block_pool::free_unpooled(block);
}

}  // namespace atoll_root::atoll
