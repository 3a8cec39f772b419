// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Where shards run: the processors this process may use, and the NUMA node of each.
//
// Honours the affinity mask (taskset, cpusets) and the CPU quota of the cgroup (v1 and v2), so the default
// number of shards fits a container. Shards are spread over the allowed processors in order; more shards
// than processors share them.
#pragma once

#include <optional>
#include <vector>

#include <atoll/actors/base/result.hh>
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll {

inline constexpr shard_id shards_max = 256;  // of one process

struct processor {
  unsigned cpu = 0;
  int numa_node = 0;
};

/// The processors of this thread's affinity mask, in order; never empty.
std::vector<processor> allowed_processors();

/// Those of `cpus` (runtime_options::cpus; none: all), each of which has to be in the affinity mask.
result<std::vector<processor>> allowed_processors(const std::vector<unsigned>& cpus);

/// One a processor, but no more than the cgroup's CPU quota pays for; 1 to shards_max.
shard_id default_shards();
shard_id default_shards(std::size_t processors, std::optional<double> quota);

/// Binds this thread to a processor and its memory to that NUMA node. An error (permission_denied and the like) leaves it
/// where the system puts it.
result<> bind_thread(const processor& where);

/// Lets this thread, and the threads made meanwhile, run on all of these processors; binds it back when it goes.
class unbound_thread {
 public:
  explicit unbound_thread(const std::vector<processor>& allowed);
  unbound_thread(const unbound_thread&) = delete;
  unbound_thread& operator=(const unbound_thread&) = delete;
  ~unbound_thread();

 private:
  std::vector<processor> bound_to_;
};

}  // namespace atoll_root::atoll
