// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The limits of what one shard does: the same work with bare coroutines, lists and system calls. Each runs on threads
// of its own, bound as shards are. Nothing of atoll is in them.
#pragma once

#include <cstdint>

namespace bench {

/// A lazy task with a pooled frame: made, awaited, ended, destroyed, without suspending.
double raw_coroutine_ns();
/// The same, but it suspends once and a ring of bare handles resumes it.
double raw_suspend_once_ns();
/// So many coroutines that go to the end of a ring of bare handles, again and again: ns a turn.
double raw_yield_ns(std::uint32_t tasks);
/// A function's value, which may be there or not, given to a callable: two calls.
double raw_ready_ns();
/// So many coroutines that leave their handle; one that puts each handle into the run queue: ns a wake.
double raw_wake_ns(std::uint32_t waiters);
/// A failure passed up through so many tasks as the value they return.
double raw_failure_ns(std::uint32_t frames);
/// A node of a doubly linked list taken out and put at the end, 64 nodes in the list.
double raw_list_ns();
/// A block taken from a free list and put back.
double raw_free_list_ns();

/// A counter and a list of bare handles: ns an acquisition; each holder yields once while it holds the one unit.
/// With 1 waiter nobody waits or yields.
double raw_semaphore_ns(std::uint32_t waiters);
/// One slot between two coroutines, who wake each other: ns an item.
double raw_channel_ns();

/// The allocator library itself; malloc and free where it is not installed.
struct allocator {
  void* (*allocate)(std::size_t);
  void (*free)(void*);
};
const allocator& bare_allocator();
/// 64 bytes, 1,000 live, freed in no order: ns a pair.
double bare_alloc_ns();
/// Allocated on one thread, freed on another, handed over in batches through a ring: ns a block.
double bare_alloc_cross_ns();

/// Two threads that sleep a millisecond in epoll_wait before each message, which is an eventfd: us there and back.
double eventfd_round_trip_us();
/// Two threads that answer each other at once, each sleeping in epoll_wait meanwhile: us there and back.
double eventfd_ping_us();
/// So many threads made, bound to processors and joined: ms.
double threads_start_ms(std::uint32_t threads);

}  // namespace bench
