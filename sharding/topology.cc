// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/topology.hh>

#include <numa.h>
#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include <atoll/actors/base/log.hh>

namespace atoll_root::atoll {
namespace {

/// Processors' worth of time a cgroup directory grants; nothing where it has no limit.
std::optional<double> quota_of_v2(const std::string& directory) {
  std::ifstream file(directory + "/cpu.max");
  std::string quota;
  double period = 0;
  if (!(file >> quota >> period) || quota == "max" || period <= 0) return std::nullopt;
  return std::stod(quota) / period;
}

std::optional<double> quota_of_v1(const std::string& directory) {
  std::ifstream quota_file(directory + "/cpu.cfs_quota_us");
  std::ifstream period_file(directory + "/cpu.cfs_period_us");
  double quota = 0;
  double period = 0;
  if (!(quota_file >> quota) || !(period_file >> period) || quota <= 0 || period <= 0) {
    return std::nullopt;
  }
  return quota / period;
}

/// The tightest quota on the way from this process's cgroup to the root.
std::optional<double> cpu_quota() {
  std::optional<double> tightest;
  const auto narrow = [&tightest](std::optional<double> quota) {
    if (quota) tightest = std::min(tightest.value_or(*quota), *quota);
  };
  std::ifstream own("/proc/self/cgroup");
  for (std::string line; std::getline(own, line);) {
    std::istringstream fields(line);
    std::string id;
    std::string controllers;
    std::string path;
    std::getline(fields, id, ':');
    std::getline(fields, controllers, ':');
    std::getline(fields, path);
    const bool v2 = controllers.empty();
    if (!v2 && ("," + controllers + ",").find(",cpu,") == std::string::npos) continue;
    const std::string mount = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/cpu";
    while (true) {
      narrow(v2 ? quota_of_v2(mount + path) : quota_of_v1(mount + path));
      const auto slash = path.rfind('/');
      if (slash == std::string::npos || path.size() <= 1) break;
      path.resize(slash);
    }
    narrow(v2 ? quota_of_v2(mount) : quota_of_v1(mount));
  }
  return tightest;
}

}  // namespace

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

shard_id default_shards() {
  const auto processors = static_cast<double>(allowed_processors().size());
  const double granted = cpu_quota().value_or(processors);
  return static_cast<shard_id>(std::max(1.0, std::ceil(std::min(processors, granted))));
}

void bind_thread(const processor& where) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  CPU_SET(where.cpu, &mask);
  if (::sched_setaffinity(0, sizeof mask, &mask) != 0) {
    log_warning("can't bind a shard to processor {}: {}; it floats", where.cpu, std::strerror(errno));
  }
  if (::numa_available() >= 0 && ::numa_max_node() > 0) ::numa_set_preferred(where.numa_node);
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
