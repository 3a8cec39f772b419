// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// mimalloc: an exclusive arena for each range, a heap in it for the shard's thread, and operators new and delete that
// go to the shard's free lists first, and ask reclaimers (Debian's mimalloc is built as C: its own operator new ends the
// process where there is no memory).
// The operators are weak, so that a program, or a test of failing allocations, may have its own.
#include <mimalloc.h>
#include <sched.h>
#include <time.h>

#include <new>

#include <atoll/actors/memory/allocator.hh>
#include <atoll/actors/memory/block_returns.hh>

namespace atoll_root::atoll {

bool allocator_keeps_budgets() noexcept { return true; }

bool manage_range(memory_range& range) noexcept {
  if (!::mi_manage_os_memory_ex(range.start, range.bytes, false, false, true, -1, true, &range.arena)) return false;
  detail::own_addresses(range.start, range.bytes, range.arena);
  return true;
}

namespace detail {
namespace {

/// What the standard wants of operator new, after the shard's reclaimers.
template <class Allocate>
[[gnu::noinline]] void* allocate_again(std::size_t bytes, const Allocate& allocate) {
  for (int round = 0; reclaim_for(bytes, round); ++round) {
    if (void* block = allocate()) return block;
  }
  while (const std::new_handler handler = std::get_new_handler()) {
    handler();
    if (void* block = allocate()) return block;
  }
  throw std::bad_alloc();
}

}  // namespace

void* open_heap(const memory_range& range) noexcept {
  ::mi_heap_t* heap = ::mi_heap_new_in_arena(range.arena);
  // A thread that cleans up behind others, or looks for what they left, holds each segment it visits for a moment: one
  // of ours, from who had the range before, is hidden from us till then. So the first page may need another try, and
  // where the kernel has put that thread off its core, some milliseconds: at most 1,000 here.
  constexpr int quick_tries = 1000;
  constexpr int tries = 2000;
  constexpr timespec pause{.tv_sec = 0, .tv_nsec = 1'000'000};
  for (int i = 0; heap != nullptr && i < tries; ++i) {
    if (void* first = ::mi_heap_malloc(heap, 1)) {
      ::mi_free(first);
      break;
    }
    if (i < quick_tries) {
      ::sched_yield();
    } else {
      ::nanosleep(&pause, nullptr);
    }
  }
  return heap;
}
void* exchange_heap(void* heap) noexcept { return ::mi_heap_set_default(static_cast<mi_heap_t*>(heap)); }
void close_heap(void* heap) noexcept {
  // Empty pages would else stay with the thread, and their place in the range be taken for who gets it next.
  ::mi_heap_collect(static_cast<mi_heap_t*>(heap), true);
  ::mi_heap_delete(static_cast<mi_heap_t*>(heap));
  // Not by force, which on the main thread would take what other shards' threads have left in their ranges.
  ::mi_collect(false);
}

heap_use use_of(void* heap) noexcept {
  heap_use all;
  const auto add = [](const mi_heap_t*, const mi_heap_area_t* area, void*, std::size_t, void* to) {
    auto* sum = static_cast<heap_use*>(to);
    sum->blocks_bytes += area->used * area->full_block_size;
    sum->pages_bytes += area->reserved;
    return true;
  };
  ::mi_heap_visit_blocks(static_cast<mi_heap_t*>(heap), false, add, &all);
  return all;
}

void* allocate_bare(std::size_t bytes) noexcept { return ::mi_malloc(bytes); }
void free_bare(void* block) noexcept { ::mi_free(block); }

void ask_reclaimers_for_memory() noexcept {}

void* allocate(std::size_t bytes) {
  if (void* block = ::mi_malloc(bytes)) [[likely]]
    return block;
  return allocate_again(bytes, [bytes] { return ::mi_malloc(bytes); });
}
void* allocate(std::size_t bytes, std::size_t alignment) {
  if (void* block = ::mi_malloc_aligned(bytes, alignment)) [[likely]]
    return block;
  return allocate_again(bytes, [bytes, alignment] { return ::mi_malloc_aligned(bytes, alignment); });
}
void free(void* block) noexcept {
  shard* s = current_shard;
  if (s != nullptr && block != nullptr && !s->own_range.has(block)) [[unlikely]]
    ++s->blocks_from_elsewhere;
  ::mi_free(block);
}

namespace {

/// Where the free lists have none: what other shards have sent back, then the allocator.
[[gnu::noinline]] void* allocate_unlisted(shard* s, std::size_t bytes) {
  if (s != nullptr && s->returns != nullptr && s->returns->take_arrived(s->blocks)) {
    if (void* block = s->blocks.take(bytes)) return block;
  }
  return allocate(block_pool::spread(bytes));
}

[[gnu::noinline]] void free_elsewhere(shard* s, void* block, std::size_t bytes) noexcept {
  if (s != nullptr && block != nullptr) {
    ++s->blocks_from_elsewhere;
    if (bytes <= block_pool::pooled_bytes_max && s->returns != nullptr && s->returns->give_back(block, bytes)) return;
  }
  ::mi_free(block);
}

}  // namespace

void* allocate_pooled(std::size_t bytes) {
  shard* s = current_shard;
  if (s != nullptr) [[likely]] {
    if (void* block = s->blocks.take(bytes)) [[likely]]
      return block;
  }
  return allocate_unlisted(s, bytes);
}
void free_pooled(void* block, std::size_t bytes) noexcept {
  shard* s = current_shard;
  if (s == nullptr || !s->own_range.has(block)) [[unlikely]]
    return free_elsewhere(s, block, bytes);
  s->blocks.free(block, bytes);
}

}  // namespace detail
}  // namespace atoll_root::atoll

// NOLINTBEGIN(misc-new-delete-overloads): all of them are here.
#define ATOLL_WEAK __attribute__((weak))

namespace {

template <class... Alignment>
void* allocate_or_null(std::size_t bytes, Alignment... alignment) noexcept {
  try {
    return ::operator new(bytes, alignment...);
  } catch (...) {
    return nullptr;
  }
}
std::size_t number(std::align_val_t alignment) noexcept { return static_cast<std::size_t>(alignment); }

}  // namespace

ATOLL_WEAK void* operator new(std::size_t n) { return atoll::detail::allocate_pooled(n); }
ATOLL_WEAK void* operator new[](std::size_t n) { return atoll::detail::allocate_pooled(n); }
ATOLL_WEAK void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return allocate_or_null(n); }
ATOLL_WEAK void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return allocate_or_null(n); }
ATOLL_WEAK void* operator new(std::size_t n, std::align_val_t a) { return atoll::detail::allocate(n, number(a)); }
ATOLL_WEAK void* operator new[](std::size_t n, std::align_val_t a) { return atoll::detail::allocate(n, number(a)); }
ATOLL_WEAK void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate_or_null(n, a);
}
ATOLL_WEAK void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate_or_null(n, a);
}
ATOLL_WEAK void operator delete(void* p) noexcept { atoll::detail::free(p); }
ATOLL_WEAK void operator delete[](void* p) noexcept { atoll::detail::free(p); }
ATOLL_WEAK void operator delete(void* p, std::size_t n) noexcept { atoll::detail::free_pooled(p, n); }
ATOLL_WEAK void operator delete[](void* p, std::size_t n) noexcept { atoll::detail::free_pooled(p, n); }
ATOLL_WEAK void operator delete(void* p, const std::nothrow_t&) noexcept { atoll::detail::free(p); }
ATOLL_WEAK void operator delete[](void* p, const std::nothrow_t&) noexcept { atoll::detail::free(p); }
ATOLL_WEAK void operator delete(void* p, std::align_val_t) noexcept { atoll::detail::free(p); }
ATOLL_WEAK void operator delete[](void* p, std::align_val_t) noexcept { atoll::detail::free(p); }
ATOLL_WEAK void operator delete(void* p, std::size_t, std::align_val_t) noexcept { atoll::detail::free(p); }
ATOLL_WEAK void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { atoll::detail::free(p); }
ATOLL_WEAK void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { atoll::detail::free(p); }
ATOLL_WEAK void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { atoll::detail::free(p); }
// NOLINTEND(misc-new-delete-overloads)
