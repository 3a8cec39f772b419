// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/cgroup.hh>

#include <algorithm>
#include <array>
#include <cstdio>
#include <memory>

#include <atoll/sharding/proc_text.hh>

namespace atoll_root::atoll {
namespace {

template <class Number>
void narrow(std::optional<Number>& tightest, std::optional<Number> limit) {
  if (limit) tightest = std::min(tightest.value_or(*limit), *limit);
}

/// What one cgroup's folder says.
void narrow_by_folder(cgroup_limits& limits, const std::string& folder, bool v2) {
  const auto text = [&folder](const char* name) { return read_system_file(folder + name).value_or(std::string()); };
  narrow(limits.memory_bytes, parse_memory_limit(text(v2 ? "/memory.max" : "/memory.limit_in_bytes")));
  narrow(limits.processors,
         v2 ? parse_cpu_max(text("/cpu.max")) : parse_cfs_quota(text("/cpu.cfs_quota_us"), text("/cpu.cfs_period_us")));
}

/// Where no mount can be seen: the usual places.
std::vector<cgroup_mount> usual_mounts() {
  std::vector<cgroup_mount> mounts;
  for (const char* point : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) mounts.push_back({true, {}, "/", point});
  for (const char* controller : {"cpu", "memory"}) {
    mounts.push_back({false, {controller}, "/", std::string("/sys/fs/cgroup/") + controller});
  }
  return mounts;
}

bool same_hierarchy(const cgroup_membership& group, const cgroup_mount& mount) {
  if (group.v2 || mount.v2) return group.v2 == mount.v2;
  const auto mounted = [&mount](const std::string& name) { return std::ranges::count(mount.controllers, name) > 0; };
  return std::ranges::any_of(group.controllers, mounted);
}

/// The cgroup's path below the mount's point. One outside of what the mount shows gives the point alone.
std::string path_below(const cgroup_membership& group, const cgroup_mount& mount) {
  std::string path = group.path;
  if (path.find("/..") != std::string::npos) return {};
  if (mount.root != "/" && path.starts_with(mount.root) &&
      (path.size() == mount.root.size() || path[mount.root.size()] == '/')) {
    path.erase(0, mount.root.size());
  }
  while (path.ends_with('/')) path.pop_back();
  return path;
}

}  // namespace

std::optional<std::string> read_system_file(const std::string& path) {
  constexpr std::size_t bytes_max = 1 << 20;
  const std::unique_ptr<std::FILE, decltype([](std::FILE* f) { static_cast<void>(std::fclose(f)); })> file(
      std::fopen(path.c_str(), "re"));
  if (!file) return std::nullopt;
  std::string text;
  std::array<char, 4096> chunk{};
  while (text.size() < bytes_max && std::feof(file.get()) == 0) {
    const auto got = std::fread(chunk.data(), 1, chunk.size(), file.get());
    if (std::ferror(file.get()) != 0) return std::nullopt;  // a folder opens too
    text.append(chunk.data(), got);
  }
  return text;
}

cgroup_limits read_cgroup_limits(const std::string& root) {
  cgroup_limits limits;
  const auto groups = parse_cgroups(read_system_file(root + "/proc/self/cgroup").value_or(std::string()));
  auto mounts = parse_cgroup_mounts(read_system_file(root + "/proc/self/mountinfo").value_or(std::string()));
  if (mounts.empty()) mounts = usual_mounts();
  for (const auto& group : groups) {
    for (const auto& mount : mounts) {
      if (!same_hierarchy(group, mount)) continue;
      auto path = path_below(group, mount);
      while (!path.empty()) {
        narrow_by_folder(limits, root + mount.point + path, mount.v2);
        path.resize(path.rfind('/'));
      }
      narrow_by_folder(limits, root + mount.point, mount.v2);
    }
  }
  return limits;
}

}  // namespace atoll_root::atoll
