// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What --doctor prints: what was found of the machine, and what an app would make of it.
//
//   const auto found = atoll::examine(atoll::probe_machine(), options);
//   std::fputs(found.report.c_str(), stdout);
//   return found.can_start ? 0 : 1;
//
// One line a fact: `ok`, `degraded` (it works, and the line says how) or `missing` (an app can't start). For a thread
// that is no shard; it starts nothing and changes nothing.
#pragma once

#include <string>

#include <atoll/sharding/machine.hh>
#include <atoll/sharding/runtime.hh>

namespace atoll_root::atoll {

struct diagnosis {
  std::string report;  // whole lines
  bool can_start = false;
};

diagnosis examine(const machine_info& machine, const runtime_options& options);

/// A line of the report.
std::string to_line(const fact& fact);

}  // namespace atoll_root::atoll
