// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What the cgroups of this process grant it: the tightest limit on the way from its own cgroup to the root.
//
//   auto limits = atoll::read_cgroup_limits();
//   if (limits.memory_bytes) ...                             // nothing: no limit, or none that can be seen
//
// Knows v1, v2 and both at once, nested cgroups, and containers that see only a part of the tree. A file that is
// missing or makes no sense is no limit. Reads files: for the start of a process, not for a running shard.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

struct cgroup_limits {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<double> processors;  // worth of time; 1.5 is one and a half
};

/// `root` stands before /proc and /sys, for tests.
cgroup_limits read_cgroup_limits(const std::string& root = {});

/// The text of a small file of /proc or /sys, at most 1 MiB of it; nothing where it can't be read.
std::optional<std::string> read_system_file(const std::string& path);

}  // namespace atoll_root::atoll
