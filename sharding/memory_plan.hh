// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// How the machine's memory is divided among the shards.
//
//   auto plan = atoll::plan_memory(atoll::probe_machine(), shards, options);
//   if (plan) use(plan->shard_bytes); else report(plan.error());
//
// What there is to divide is the least of the machine's memory, the cgroups' limit and the limit of the address space.
// Of it the system keeps a reserve: --reserve-memory, or else 7%, but at least 64 MiB, and at most a quarter. --memory
// sets what the shards get in all, instead. Every shard gets the same, in whole units of 32 MiB (memory_unit_bytes).
#pragma once

#include <cstdint>

#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/sharding/machine.hh>
#include <atoll/sharding/runtime.hh>

namespace atoll_root::atoll {

struct memory_plan {
  std::uint64_t usable_bytes = 0;   // to divide, with the reserve; 0: unknown, and --memory says what is used
  std::uint64_t reserve_bytes = 0;  // left to the system
  std::uint64_t shard_bytes = 0;    // of each shard; a multiple of memory_unit_bytes, and not 0
};

/// Whether somebody said how much: then a plan that can't be met is an error, else the shards run without bounds.
inline bool asks_for_memory(const runtime_options& options) noexcept {
  return options.memory_bytes != 0 || options.reserve_memory_bytes;
}

/// Uses memory_bytes and reserve_memory_bytes of the options. REQUIRES: shards is not 0. Errors, each one line:
/// `resource_exhausted` where a shard would get less than memory_unit_bytes, or --memory (with --reserve-memory,
/// if that is given too) asks for more than there is; `failed_precondition` where nobody says how much there is.
result<memory_plan> plan_memory(const machine_info& machine, shard_id shards, const runtime_options& options);

}  // namespace atoll_root::atoll
