// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What this machine lets the process have: processors, memory, and the system calls that are refused here and there.
//
//   const auto machine = atoll::probe_machine();
//   for (const auto& fact : atoll::facts_of(machine)) print(fact.name, fact.found, fact.without);
//
// Tries each thing instead of guessing from versions: containers refuse what a kernel has. Whatever can't be found out
// counts as not there; nothing here fails. For the start of a process, on a thread that is no shard: it reads files and
// makes some twenty system calls, none of which leaves anything behind but that the process is registered for
// membarrier.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <atoll/sharding/cgroup.hh>
#include <atoll/sharding/topology.hh>

namespace atoll_root::atoll {

struct numa_node {
  int id = 0;
  std::vector<unsigned> processors;  // also those this process may not use
  std::uint64_t memory_bytes = 0;
};

/// Whether something can be used, and the system's word where it can't.
struct availability {
  bool usable = false;
  std::string refusal;  // "Operation not permitted"
};

struct machine_info {
  std::string kernel_release;                              // "6.1.0-18-amd64"
  std::vector<processor> processors;                       // of the affinity mask; never empty
  unsigned processors_online = 0;                          // 0: unknown
  std::vector<numa_node> nodes;                            // none: one memory for all
  std::uint64_t memory_bytes = 0;                          // of the machine; 0: unknown
  std::optional<std::uint64_t> memory_available_bytes;     // free now, or easy to free
  std::optional<std::uint64_t> address_space_limit_bytes;  // RLIMIT_AS
  cgroup_limits limits;
  std::optional<std::uint64_t> huge_page_bytes;
  std::uint64_t huge_pages_free = 0;
  std::string transparent_huge_pages;  // "always", "madvise" or "never"; empty: unknown
  availability memory_binding;         // to a NUMA node
  availability io_uring;
  availability membarrier;  // private expedited
  availability event_loop;  // epoll and eventfd
  availability pinning;
  availability perf_event;
  std::uint64_t descriptors = 0;      // the soft limit
  std::uint64_t descriptors_max = 0;  // the hard limit
  std::string clock_source;           // empty: unknown
};

/// `root` stands before /proc and /sys, for tests; the system calls are this machine's.
machine_info probe_machine(const std::string& root = {});

/// Only what plan_memory() uses: memory and limits. Under 1 ms.
machine_info probe_memory(const std::string& root = {});

enum class fact_state : std::uint8_t {
  ok,
  degraded,  // atoll runs, in the way `without` says
  missing,   // atoll can't run
};

/// "ok", "degraded", "missing".
std::string_view to_string(fact_state state) noexcept;

struct fact {
  fact_state state = fact_state::ok;
  std::string name;     // "io_uring"
  std::string found;    // "refused: Operation not permitted"
  std::string without;  // what atoll does instead; empty where it is ok
};

/// One a line of a report, in the order of machine_info.
std::vector<fact> facts_of(const machine_info& machine);

/// For people, to three digits: "1.94 GiB". format_bytes() is the exact one.
std::string rounded_bytes(std::uint64_t bytes);

}  // namespace atoll_root::atoll
