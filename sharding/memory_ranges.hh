// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Where the shards' memory lies: ranges of addresses, each bound to a NUMA node, lent to one shard at a time.
//
//   auto ranges = atoll::lend_ranges(options, processors);      // result<shard_ranges>; before the shards start
//   shard_memory memory(ranges->budget_bytes, ranges->of(id));  // on the shard's thread
//
// Nothing is committed: a page is the process's when it is written first. The allocator never gives a range back, so a
// later runtime of the process gets the range of an earlier one where it wants as much on the same node.
// mimalloc manages 64 ranges a process: where there are more shards than `ranges_max`, neighbours on a node share one, as
// large as all of them may have, and are kept to it together.
// Who gets none, with one line in the log, allocates like any thread: where the address space is limited (RLIMIT_AS),
// the plan can't be met or the kernel or the allocator refuse, unless memory was asked for by --memory, or a reserve that can't be met: then these are errors. With the system's allocator there are no ranges.
// Thread rules: any thread that is no shard.
#pragma once

#include <span>
#include <vector>

#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/sharding/runtime.hh>

namespace atoll_root::atoll {

class shard_ranges {
 public:
  shard_ranges() noexcept = default;
  shard_ranges(shard_ranges&& other) noexcept
      : budget_bytes(std::exchange(other.budget_bytes, 0)), ranges_(std::move(other.ranges_)) {}
  shard_ranges& operator=(shard_ranges&&) = delete;
  /// Others may have them. REQUIRES: the shard_memory of each is gone.
  ~shard_ranges();

  /// Empty where there is none.
  [[nodiscard]] memory_range of(shard_id shard) const noexcept {
    return shard < ranges_.size() ? ranges_[shard] : memory_range{};
  }

  std::uint64_t budget_bytes = 0;  // of each shard; 0: unknown

 private:
  friend result<shard_ranges> lend_ranges(const runtime_options& options, const std::vector<processor>& processors);
  std::vector<memory_range> ranges_;
};

/// One for each of options.shards, where it runs. Errors, one line each, only where options.memory_bytes is not 0: what
/// plan_memory() says, `resource_exhausted`.
result<shard_ranges> lend_ranges(const runtime_options& options, const std::vector<processor>& processors);

/// Ranges of one runtime; the allocator has some more for the next that wants others.
inline constexpr std::size_t ranges_max = 48;

/// Which shards share a range, of those on these NUMA nodes (by shard): each in one group, at most `ranges_max` groups, as
/// small as that allows, each on one node.
std::vector<std::vector<shard_id>> group_by_range(std::span<const int> nodes);

/// Has the pages of a range come from a NUMA node, or from others where that has none left: a page elsewhere is slow, none
/// is an end. Pages that were written before stay where they are. Errors: `unavailable`, with what the kernel says.
result<> bind_to_node(const memory_range& range, int node);

}  // namespace atoll_root::atoll
