// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The texts of /proc and /sys. Nothing is known of them but that no byte may do harm.
#include <atoll/sharding/proc_text.hh>

#include <algorithm>

#include "round_trip.hh"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::view(data, size);
  if (const auto cpus = atoll::parse_cpu_list(input)) {
    ATOLL_ASSERT(std::ranges::is_sorted(*cpus) && std::ranges::adjacent_find(*cpus) == cpus->end(),
                 "each once, in order");
    const auto again = atoll::parse_cpu_list(atoll::format_cpu_list(*cpus));
    ATOLL_ASSERT(again && *again == *cpus, "a list survives printing");
  }
  static_cast<void>(atoll::parse_meminfo(input));
  static_cast<void>(atoll::parse_memory_limit(input));
  if (const auto share = atoll::parse_cpu_max(input)) ATOLL_ASSERT(*share > 0, "a share is above nothing");
  if (const auto share = atoll::parse_cfs_quota(input, input)) ATOLL_ASSERT(*share == 1.0, "all of itself");
  ATOLL_ASSERT(atoll::parse_choice(input).size() <= input.size(), "a choice is a part of the text");
  for (const auto& group : atoll::parse_cgroups(input)) {
    ATOLL_ASSERT(group.path.starts_with('/') && (!group.v2 || group.controllers.empty()), "a cgroup has a path");
  }
  for (const auto& mount : atoll::parse_cgroup_mounts(input)) {
    ATOLL_ASSERT(!mount.v2 || mount.controllers.empty(), "v2 has no controllers of its own");
  }
  return 0;
}
