// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The memory of one shard: how much it may use, and who gives some back when it is used up.
//
//   atoll::reclaimer evict_{[this](std::size_t wanted) { return drop_oldest(wanted); }};   // a member of a cache
//   auto s = atoll::this_shard().memory->statistics();                                     // budget, used, ...
//
// With mimalloc, everything a shard's thread allocates (operator new, malloc, coroutine frames) comes from a range of
// addresses of its own, its budget, bound to its NUMA node. Where nothing is left of that, the shard's
// free lists are released, then its reclaimers are asked, in their order, until one has freed something, and the
// allocation is tried again. Past that it fails: std::bad_alloc, which ends what is awaited with `resource_exhausted`.
// With the system's allocator, or where there is no range (see sharding/memory_ranges.hh), no budget is enforced: the
// same happens when the process gets no more memory.
// malloc() itself, as C libraries call it, returns null without asking reclaimers.
// Shard rules: a shard_memory and its reclaimers belong to one shard. Blocks may be freed on any shard: they go
// back to their own, small ones in batches (block_returns.hh), and blocks_from_elsewhere counts them. Blocks may outlive
// the shard.
// Cost: less than the allocator alone for a block of up to 1 KiB, as the free lists of block_pool.hh stand before it; for
// larger ones two loads and a comparison when they are freed. A small block that is freed on another shard costs both
// shards some 10 ns together. A range is handed out in units of
// 32 MiB: blocks of more than 16 MiB take some of their own, and 1 to 30% are lost to the sizes of blocks, most by those
// just above a size of the allocator's (64 KiB and a header).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/actors/base/log.hh>

namespace atoll_root::atoll {

struct shard;
class shard_memory;
namespace detail {
class block_returns;
}

/// What ranges are made of: their start and their size are multiples of this.
inline constexpr std::uint64_t memory_unit_bytes = 32 << 20;

/// Addresses that the allocator hands out to one shard at a time.
struct memory_range {
  void* start = nullptr;  // null: none
  std::uint64_t bytes = 0;
  int arena = 0;        // the allocator's number for it
  bool shared = false;  // with other shards
};

/// True where the build's allocator keeps a shard to its range.
bool allocator_keeps_budgets() noexcept;
/// Has the allocator manage these addresses, which may be inaccessible yet, for good. False where it can't.
bool manage_range(memory_range& range) noexcept;

/// Gives memory back when the shard has none left, for as long as it lives. Those of a lower order are asked first, of
/// the same order the oldest. Without a shard, or on a shard without a shard_memory, it is never asked.
class reclaimer : list_hook {
 public:
  /// Frees memory, at best as much as wanted, and says how many bytes. Called in the middle of any allocation of the
  /// shard: it does not wait, and what it calls must bear that; it allocates little, for an allocation within it that
  /// finds nothing fails at once. What it throws counts as nothing freed.
  using function = std::function<std::size_t(std::size_t wanted)>;

  explicit reclaimer(function reclaim, int order = 0);
  reclaimer(const reclaimer&) = delete;
  reclaimer& operator=(const reclaimer&) = delete;
  ~reclaimer();

 private:
  friend class shard_memory;
  friend class intrusive_list<reclaimer>;
  function reclaim_;
  int order_;
};

struct memory_statistics {
  std::uint64_t budget_bytes = 0;  // of the shard; 0: nobody said
  bool enforced = false;           // by the allocator
  std::uint64_t used_bytes = 0;    // in blocks, as the allocator rounds them; 0 where it is not enforced
  std::uint64_t held_bytes = 0;    // in the pages these blocks are on; the same
  std::uint64_t reclaims = 0;      // times reclaimers or free lists gave something back
  std::uint64_t reclaimed_bytes = 0;
  std::uint64_t failures = 0;               // allocations that failed all the same
  std::uint64_t blocks_from_elsewhere = 0;  // freed here, but not of this shard's range; 0 where it is not enforced
};

class shard_memory {
 public:
  /// How often one allocation asks for memory before it fails all the same.
  static constexpr int rounds_max = 64;

  /// From now on this thread allocates from the range, if there is one. One a thread.
  shard_memory(std::uint64_t budget_bytes, const memory_range& range);
  shard_memory(const shard_memory&) = delete;
  shard_memory& operator=(const shard_memory&) = delete;
  /// What is left in the range stays valid, and its place is taken until it is freed.
  ~shard_memory();

  /// Makes this the memory of a shard, whose metrics tell about it. The shard may go first.
  void attach(shard& s);
  /// Before the shard goes.
  void detach() noexcept;

  /// O(pages in use): some 10 us for 100 MB of small blocks.
  [[nodiscard]] memory_statistics statistics() const noexcept;

  /// Asks for memory, for an allocation of so many bytes that found none; true if it is worth another try. False within
  /// a reclaimer.
  bool reclaim(std::size_t wanted) noexcept;
  /// An allocation has failed for good.
  void count_failure(std::size_t wanted) noexcept;

 private:
  friend class reclaimer;
  struct metrics;

  void add(reclaimer& r) noexcept;

  std::uint64_t budget_bytes_;
  memory_range range_;
  void* heap_ = nullptr;
  void* heap_before_ = nullptr;
  shard* shard_ = nullptr;
  std::unique_ptr<metrics> metrics_;
  std::unique_ptr<detail::block_returns> returns_;
  intrusive_list<reclaimer> reclaimers_;
  bool reclaiming_ = false;
  std::uint64_t reclaims_ = 0;
  std::uint64_t reclaimed_bytes_ = 0;
  std::uint64_t failures_ = 0;
  rate_limit complaints_{std::chrono::seconds(10)};
};

namespace detail {

/// The allocator, with reclaimers: what stands in for operator new in tests calls it.
void* allocate(std::size_t bytes);
void* allocate(std::size_t bytes, std::size_t alignment);
void free(void* block) noexcept;

/// What operators new and delete do with a block whose size is known: the free lists of its shard come first.
void* allocate_pooled(std::size_t bytes);
void free_pooled(void* block, std::size_t bytes) noexcept;

}  // namespace detail
}  // namespace atoll_root::atoll
