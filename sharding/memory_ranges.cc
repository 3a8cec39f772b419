// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/memory_ranges.hh>

#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include <atoll/actors/base/log.hh>
#include <atoll/sharding/memory_plan.hh>

namespace atoll_root::atoll {
namespace {

constexpr logger memory_log{"memory"};

/// A range the allocator manages, of this process for good.
struct managed_range {
  memory_range range;
  int node;
  bool lent;
};

/// Runtimes on several threads share it. Never destroyed: the ranges outlive everything.
struct managed_ranges {
  std::mutex guard;
  std::vector<managed_range> all;
};
managed_ranges& managed() {
  static auto& ranges = *new managed_ranges;
  return ranges;
}

/// Addresses nobody may touch yet, at a multiple of the unit; null and errno where the kernel refuses.
void* map_addresses(std::uint64_t bytes) noexcept {
  const std::uint64_t wide = bytes + memory_unit_bytes;
  void* mapped = ::mmap(nullptr, wide, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  auto* first = static_cast<char*>(mapped);
  const std::uint64_t past = reinterpret_cast<std::uintptr_t>(first) % memory_unit_bytes;
  const std::uint64_t before = past == 0 ? 0 : memory_unit_bytes - past;
  if (before > 0) ::munmap(first, before);
  if (before < memory_unit_bytes) ::munmap(first + before + bytes, memory_unit_bytes - before);
  return first + before;
}

result<memory_range> lend(std::uint64_t bytes, int node) {
  auto& known = managed();
  const std::lock_guard lock(known.guard);
  for (auto& each : known.all) {
    if (each.lent || each.node != node || each.range.bytes != bytes) continue;
    each.lent = true;
    return each.range;
  }
  known.all.reserve(known.all.size() + 1);
  memory_range made{.start = map_addresses(bytes), .bytes = bytes};
  if (made.start == nullptr) {
    return error(status_code::resource_exhausted,
                 "can't have " + rounded_bytes(bytes) + " of addresses for a shard: " + std::strerror(errno));
  }
  if (node >= 0) {
    if (const auto bound = bind_to_node(made, node); !bound) {
      memory_log.warning("can't bind a shard's memory to NUMA node {}: {}", node, bound.error().message());
    }
  }
  if (!manage_range(made)) {
    ::munmap(made.start, bytes);
    return error(status_code::resource_exhausted,
                 "the allocator can't keep more than " + std::to_string(known.all.size()) + " shards to their memory");
  }
  known.all.push_back({made, node, true});
  return made;
}

/// Where nobody asked for a budget, the shards run without.
result<shard_ranges> without(shard_ranges lent, const runtime_options& options, error why) {
  if (options.memory_bytes != 0) return why;
  memory_log.warning("some shards' memory is not bounded: {}", why.message());
  return lent;
}

}  // namespace

result<> bind_to_node(const memory_range& range, int node) {
  constexpr std::size_t nodes_max = 1024;
  constexpr std::size_t word_bits = 8 * sizeof(unsigned long);
  std::array<unsigned long, nodes_max / word_bits> mask{};
  const auto bit = static_cast<std::size_t>(node);
  if (node < 0 || bit >= nodes_max) return error(status_code::unavailable, "there is no such node");
  mask[bit / word_bits] = 1UL << (bit % word_bits);
  if (::mbind(range.start, range.bytes, MPOL_PREFERRED, mask.data(), nodes_max, 0) == 0) return {};
  return error(status_code::unavailable, std::strerror(errno));
}

shard_ranges::~shard_ranges() {
  auto& known = managed();
  const std::lock_guard lock(known.guard);
  for (auto& each : known.all) {
    for (const auto& range : ranges_) each.lent = each.lent && each.range.start != range.start;
  }
}

result<shard_ranges> lend_ranges(const runtime_options& options, const std::vector<processor>& processors) {
  shard_ranges lent;
  const machine_info machine = probe_memory();
  auto plan = plan_memory(machine, options.shards, options);
  if (!plan && asks_for_memory(options)) return std::move(plan).error();
  if (!plan) return without(std::move(lent), options, std::move(plan).error());
  lent.budget_bytes = plan->shard_bytes;
  if (!allocator_keeps_budgets()) {
    if (options.memory_bytes != 0) {
      memory_log.warning("--memory is not enforced: this build has the system's allocator");
    }
    return lent;
  }
  if (machine.address_space_limit_bytes && options.memory_bytes == 0) {
    return without(std::move(lent), options,
                   error(status_code::resource_exhausted, "the address space is limited (RLIMIT_AS)"));
  }
  const bool has_nodes = options.pin && ::numa_available() >= 0 && ::numa_max_node() > 0;
  std::vector<int> nodes(options.shards, -1);
  for (shard_id id = 0; has_nodes && id < options.shards; ++id) {
    nodes[id] = processors[id % processors.size()].numa_node;
  }
  lent.ranges_.resize(options.shards);
  for (const auto& sharing : group_by_range(nodes)) {
    auto range = lend(plan->shard_bytes * sharing.size(), nodes[sharing.front()]);
    if (!range) return without(std::move(lent), options, std::move(range).error());
    range->shared = sharing.size() > 1;
    for (const shard_id id : sharing) lent.ranges_[id] = *range;
  }
  return lent;
}

std::vector<std::vector<shard_id>> group_by_range(std::span<const int> nodes) {
  std::map<int, std::vector<shard_id>> by_node;
  for (shard_id id = 0; id < nodes.size(); ++id) by_node[nodes[id]].push_back(id);
  std::vector<std::vector<shard_id>> groups;
  for (std::size_t together = 1; together <= nodes.size(); ++together) {
    groups.clear();
    for (const auto& [node, shards] : by_node) {
      for (std::size_t i = 0; i < shards.size(); ++i) {
        if (i % together == 0) groups.emplace_back();
        groups.back().push_back(shards[i]);
      }
    }
    if (groups.size() <= ranges_max) break;
  }
  return groups;
}

}  // namespace atoll_root::atoll
