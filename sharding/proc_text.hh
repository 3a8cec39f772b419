// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The texts of /proc and /sys that say what a machine has, parsed; no file is read here.
//
//   auto cpus = atoll::parse_cpu_list("0,2-5\n");                // 0, 2, 3, 4, 5
//   auto memory = atoll::parse_meminfo(text).total_bytes;        // nothing where there is no such line
//
// Formats: man 5 proc, man 7 cpuset, and the kernel's admin-guide on cgroup-v1 and cgroup-v2. What can't be understood
// is passed over, for these texts grow with each kernel; only a list of processors, which people write too, is refused
// with an error. Any thread may call these; the cost grows with the text and no faster.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/actors/base/result.hh>

namespace atoll_root::atoll {

inline constexpr unsigned processor_number_max = 8191;  // the most that Linux can be built for, less one

/// Ascending and each once. An empty text is an empty list: the kernel writes it. Anything else is `invalid_argument`.
result<std::vector<unsigned>> parse_cpu_list(std::string_view text);
/// "0,2-5".
std::string format_cpu_list(const std::vector<unsigned>& ascending);

struct meminfo {
  std::optional<std::uint64_t> total_bytes;
  std::optional<std::uint64_t> available_bytes;
  std::optional<std::uint64_t> huge_page_bytes;
  std::optional<std::uint64_t> huge_pages;       // in the pool
  std::optional<std::uint64_t> huge_pages_free;  // of them
};

/// /proc/meminfo, or a NUMA node's, whose lines begin with "Node 0 ".
meminfo parse_meminfo(std::string_view text);

/// One line of /proc/self/cgroup.
struct cgroup_membership {
  bool v2 = false;
  std::vector<std::string> controllers;  // none in v2
  std::string path;                      // begins with '/'
};
std::vector<cgroup_membership> parse_cgroups(std::string_view text);

/// One line of /proc/self/mountinfo that mounts cgroups.
struct cgroup_mount {
  bool v2 = false;
  std::vector<std::string> controllers;  // none in v2
  std::string root;                      // which cgroup's folder is seen at `point`
  std::string point;
};
std::vector<cgroup_mount> parse_cgroup_mounts(std::string_view text);

/// memory.max of v2, memory.limit_in_bytes of v1; nothing where there is no limit.
std::optional<std::uint64_t> parse_memory_limit(std::string_view text);
/// cpu.max of v2, as processors' worth of time; nothing where there is no limit.
std::optional<double> parse_cpu_max(std::string_view text);
/// cpu.cfs_quota_us and cpu.cfs_period_us of v1.
std::optional<double> parse_cfs_quota(std::string_view quota, std::string_view period);

/// The word in brackets of "always [madvise] never"; empty where there is none.
std::string_view parse_choice(std::string_view text) noexcept;

}  // namespace atoll_root::atoll
