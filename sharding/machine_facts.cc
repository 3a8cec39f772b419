// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include <atoll/actors/base/printable.hh>
#include <atoll/sharding/machine.hh>
#include <atoll/sharding/proc_text.hh>

namespace atoll_root::atoll {
namespace {

constexpr std::uint64_t descriptors_enough = 1024;

/// ok where it holds, else what is done instead.
fact ok_if(bool holds, std::string name, std::string found, std::string_view without) {
  if (holds) return {fact_state::ok, std::move(name), std::move(found), {}};
  return {fact_state::degraded, std::move(name), std::move(found), std::string(without)};
}

fact usable(const availability& thing, std::string name, std::string_view without) {
  return ok_if(thing.usable, std::move(name), thing.usable ? "usable" : "refused: " + thing.refusal, without);
}

/// What no part of atoll uses yet: of interest, and no loss where it is refused.
fact unused(const availability& thing, std::string name, std::string_view instead) {
  return {fact_state::ok,
          std::move(name),
          fmt::format("{}, not used yet: {}", thing.usable ? "usable" : "refused: " + thing.refusal, instead),
          {}};
}

fact processors_of(const machine_info& machine) {
  std::vector<unsigned> cpus;
  for (const auto& p : machine.processors) cpus.push_back(p.cpu);
  std::string found = fmt::format("{} allowed ({})", cpus.size(), format_cpu_list(cpus));
  if (machine.processors_online != 0) found += fmt::format(" of {}", machine.processors_online);
  return {fact_state::ok, "processors", std::move(found), {}};
}

fact quota_of(const machine_info& machine) {
  const auto quota = machine.limits.processors;
  return ok_if(!quota || *quota >= static_cast<double>(machine.processors.size()), "cpu quota",
               quota ? fmt::format("the time of {:.2f} processors", *quota) : "none",
               "no more shards are started than that pays for, and the system stops them where it is used up");
}

fact nodes_of(const machine_info& machine) {
  if (machine.nodes.empty()) return {fact_state::ok, "NUMA nodes", "none told apart: one memory for all", {}};
  std::string found = std::to_string(machine.nodes.size());
  for (const auto& node : machine.nodes) {
    found += fmt::format("; node {}: processors {}, {}", node.id,
                         node.processors.empty() ? "none" : format_cpu_list(node.processors),
                         rounded_bytes(node.memory_bytes));
  }
  return {fact_state::ok, "NUMA nodes", std::move(found), {}};
}

fact memory_binding_of(const machine_info& machine) {
  if (machine.nodes.size() > 1) {
    return usable(machine.memory_binding, "memory binding", "a shard's memory may be of another NUMA node than it");
  }
  const auto& binding = machine.memory_binding;
  return {fact_state::ok,
          "memory binding",
          binding.usable ? "usable" : fmt::format("refused: {}, not needed: one memory for all", binding.refusal),
          {}};
}

fact memory_of(const machine_info& machine) {
  if (machine.memory_bytes == 0) {
    return {fact_state::degraded, "memory", "unknown", "shards have bounds only as --memory says"};
  }
  std::string found = rounded_bytes(machine.memory_bytes);
  if (machine.memory_available_bytes) found += ", available " + rounded_bytes(*machine.memory_available_bytes);
  return {fact_state::ok, "memory", std::move(found), {}};
}

fact memory_limit_of(const machine_info& machine) {
  const auto limit = machine.limits.memory_bytes;
  return ok_if(!limit || *limit >= machine.memory_bytes, "memory limit",
               limit ? rounded_bytes(*limit) + ", by a cgroup" : "none", "shards divide that instead of all memory");
}

fact address_space_of(const machine_info& machine) {
  const auto limit = machine.address_space_limit_bytes;
  return ok_if(!limit, "address space", limit ? "limited to " + rounded_bytes(*limit) : "no limit",
               "shards divide no more than that, and a start may fail for lack of it");
}

fact huge_pages_of(const machine_info& machine) {
  // Shards don't ask for them: they have what the kernel gives to everyone.
  const auto& transparent = machine.transparent_huge_pages;
  std::string found = "transparent: " + (transparent.empty() ? "unknown" : printable(transparent));
  if (machine.huge_pages_free > 0 && machine.huge_page_bytes) {
    found += fmt::format(", pool: {} free of {}, not used yet", machine.huge_pages_free,
                         rounded_bytes(*machine.huge_page_bytes));
  }
  return ok_if(transparent == "always", "huge pages", std::move(found),
               "memory is in small pages, and large tables cost more to look into");
}

fact descriptors_of(const machine_info& machine) {
  return ok_if(machine.descriptors >= descriptors_enough, "descriptors",
               fmt::format("{}, could be raised to {}", machine.descriptors, machine.descriptors_max),
               "connections beyond that are refused");
}

fact clock_of(const machine_info& machine) {
  // The ones the kernel reads in user space, without a call.
  constexpr std::array<std::string_view, 5> fast = {"tsc", "kvm-clock", "hyperv_clocksource_tsc_page",
                                                    "arch_sys_counter", "riscv_clocksource"};
  const bool known = !machine.clock_source.empty();
  return ok_if(std::ranges::count(fast, machine.clock_source) > 0, "clock source",
               known ? printable(machine.clock_source) : "unknown", "each look at the time may be a system call");
}

}  // namespace

std::string_view to_string(fact_state state) noexcept {
  constexpr std::array<std::string_view, 3> names = {"ok", "degraded", "missing"};
  return names[static_cast<std::size_t>(state)];
}

std::string rounded_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> units = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  constexpr double kibi = 1024;
  auto amount = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (amount >= kibi && unit + 1 < units.size()) {
    amount /= kibi;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", amount, unit == 0 || amount >= 100 ? 0 : (amount >= 10 ? 1 : 2), units[unit]);
}

std::vector<fact> facts_of(const machine_info& machine) {
  fact loop = usable(machine.event_loop, "epoll, eventfd", "no shard can wait for anything");
  if (!machine.event_loop.usable) loop.state = fact_state::missing;
  return {
      {fact_state::ok, "kernel", machine.kernel_release.empty() ? "unknown" : printable(machine.kernel_release), {}},
      processors_of(machine),
      quota_of(machine),
      nodes_of(machine),
      memory_binding_of(machine),
      memory_of(machine),
      memory_limit_of(machine),
      address_space_of(machine),
      huge_pages_of(machine),
      unused(machine.io_uring, "io_uring", "epoll does its work"),
      usable(machine.membarrier, "membarrier", "each batch of messages costs its sender a barrier"),
      std::move(loop),
      usable(machine.pinning, "pinning", "the system moves shards between processors"),
      unused(machine.perf_event, "perf_event", "stalls are found by a timer, a little later"),
      descriptors_of(machine),
      clock_of(machine)};
}

}  // namespace atoll_root::atoll
