// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The system's allocator, or a sanitizer's: no ranges, no heaps. Reclaimers are asked by the process's new-handler.
#include <cstdlib>
#include <new>

#include <atoll/actors/memory/allocator.hh>

namespace atoll_root::atoll {
namespace {

/// A new-handler isn't told how much is wanted.
constexpr std::size_t wanted_unknown = 64 << 10;

void reclaim_or_throw() {
  if (!detail::reclaim_for(wanted_unknown, 0)) throw std::bad_alloc();
}

}  // namespace

bool allocator_keeps_budgets() noexcept { return false; }
bool manage_range(memory_range&) noexcept { return false; }

namespace detail {

void* open_heap(const memory_range&) noexcept { return nullptr; }
void* exchange_heap(void*) noexcept { return nullptr; }
void close_heap(void*) noexcept {}
heap_use use_of(void*) noexcept { return {}; }

void* allocate_bare(std::size_t bytes) noexcept { return std::malloc(bytes); }
void free_bare(void* block) noexcept { std::free(block); }

void ask_reclaimers_for_memory() noexcept {
  // It stays: on a thread that is no shard it does what having none does.
  if (std::get_new_handler() == nullptr) std::set_new_handler(&reclaim_or_throw);
}

void* allocate(std::size_t bytes) {
  while (true) {
    if (void* block = std::malloc(bytes == 0 ? 1 : bytes)) return block;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}
void* allocate(std::size_t bytes, std::size_t alignment) {
  while (true) {
    const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;
    if (void* block = std::aligned_alloc(alignment, whole == 0 ? alignment : whole)) return block;
    const std::new_handler handler = std::get_new_handler();
    if (handler == nullptr) throw std::bad_alloc();
    handler();
  }
}
void free(void* block) noexcept { std::free(block); }

void* allocate_pooled(std::size_t bytes) { return allocate(bytes); }
void free_pooled(void* block, std::size_t) noexcept { free(block); }

}  // namespace detail
}  // namespace atoll_root::atoll
