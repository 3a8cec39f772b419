// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/topology.hh>

#include <numa.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <string>

#include <atoll/sharding/cgroup.hh>

namespace atoll_root::atoll {
std::vector<processor> allowed_processors() {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  std::vector<processor> found;
  if (::sched_getaffinity(0, sizeof mask, &mask) == 0) {
    const bool numa = ::numa_available() >= 0;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &mask)) continue;
      found.push_back({cpu, numa ? std::max(::numa_node_of_cpu(static_cast<int>(cpu)), 0) : 0});
    }
  }
  if (found.empty()) found.push_back({});
  return found;
}

result<std::vector<processor>> allowed_processors(const std::vector<unsigned>& cpus) {
  auto allowed = allowed_processors();
  if (cpus.empty()) return allowed;
  std::vector<processor> chosen;
  for (const unsigned cpu : cpus) {
    const auto found = std::ranges::find(allowed, cpu, &processor::cpu);
    if (found == allowed.end()) {
      return error(status_code::invalid_argument,
                   "cpuset: processor " + std::to_string(cpu) + " is not one this process may use");
    }
    chosen.push_back(*found);
  }
  return chosen;
}

shard_id default_shards() { return default_shards(allowed_processors().size(), read_cgroup_limits().processors); }

shard_id default_shards(std::size_t count, std::optional<double> quota) {
  const auto processors = static_cast<double>(std::min<std::size_t>(count, shards_max));
  const double granted = quota.value_or(processors);
  return static_cast<shard_id>(std::max(1.0, std::ceil(std::min(processors, granted))));
}

result<> bind_thread(const processor& where) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  CPU_SET(where.cpu, &mask);
  if (::sched_setaffinity(0, sizeof mask, &mask) != 0) {
    return error::from_errno(errno, "can't bind a shard to processor " + std::to_string(where.cpu));
  }
  if (::numa_available() >= 0 && ::numa_max_node() > 0) ::numa_set_preferred(where.numa_node);
  return {};
}

namespace {

void set_affinity(const std::vector<processor>& allowed) noexcept {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  for (const auto& p : allowed) CPU_SET(p.cpu, &mask);
  ::sched_setaffinity(0, sizeof mask, &mask);  // a refusal leaves the thread where it is
}

}  // namespace

unbound_thread::unbound_thread(const std::vector<processor>& allowed) : bound_to_(allowed_processors()) {
  set_affinity(allowed);
}

unbound_thread::~unbound_thread() { set_affinity(bound_to_); }

}  // namespace atoll_root::atoll
