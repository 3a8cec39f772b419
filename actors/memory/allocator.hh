// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The allocator of the build, as shard_memory needs it: ATOLL_ALLOCATOR chooses allocator_mimalloc.cc or
// allocator_system.cc. Internal to atoll.
//
//   void* heap = open_heap(range);  exchange_heap(heap);  ...  exchange_heap(before);  close_heap(heap);
//
// Thread rules: a heap is used by the thread that opened it; its blocks may be freed by any.
#pragma once

#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll::detail {

/// A heap of this thread in a range; null where there is none to be had.
void* open_heap(const memory_range& range) noexcept;
/// What this thread allocates comes from this heap; gives the one before.
void* exchange_heap(void* heap) noexcept;
/// The heap goes; its blocks stay valid. REQUIRES: it is not the one this thread allocates from.
void close_heap(void* heap) noexcept;

struct heap_use {
  std::uint64_t blocks_bytes = 0;
  std::uint64_t pages_bytes = 0;
};
heap_use use_of(void* heap) noexcept;

/// The allocator alone: null where it has nothing; no reclaimers, no counts.
void* allocate_bare(std::size_t bytes) noexcept;
void free_bare(void* block) noexcept;

/// Sees to it that an allocation that finds nothing asks the shard's reclaimers.
void ask_reclaimers_for_memory() noexcept;

/// Asks the shard's reclaimers if there are any; true if another try is worth it. `round` counts the tries.
inline bool reclaim_for(std::size_t bytes, int round) noexcept {
  shard_memory* memory = current_shard == nullptr ? nullptr : current_shard->memory;
  if (memory == nullptr) return false;
  if (round < shard_memory::rounds_max && memory->reclaim(bytes)) return true;
  memory->count_failure(bytes);
  return false;
}

}  // namespace atoll_root::atoll::detail
