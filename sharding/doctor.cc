// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/doctor.hh>

#include <algorithm>

#include <fmt/format.h>

#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/sharding/memory_plan.hh>
#include <atoll/sharding/proc_text.hh>

namespace atoll_root::atoll {
namespace {

fact missing(std::string name, const error& why) {
  return {fact_state::missing, std::move(name), std::string(why.message()), "the app does not start"};
}

/// The processors that the options leave, or the first that is not allowed.
result<std::vector<unsigned>> chosen_processors(const machine_info& machine, const runtime_options& options) {
  std::vector<unsigned> allowed;
  for (const auto& p : machine.processors) allowed.push_back(p.cpu);
  for (const unsigned cpu : options.cpus) {
    if (std::ranges::count(allowed, cpu) > 0) continue;
    return error(status_code::invalid_argument,
                 fmt::format("cpuset: processor {} is not one this process may use", cpu));
  }
  return options.cpus.empty() ? allowed : options.cpus;
}

fact plan_shards(const std::vector<unsigned>& cpus, shard_id shards, bool pin) {
  std::string found = fmt::format("{} on processors {}{}", shards, format_cpu_list(cpus), pin ? "" : ", not pinned");
  if (shards <= cpus.size()) return {fact_state::ok, "plan: shards", std::move(found), {}};
  return {fact_state::degraded, "plan: shards", std::move(found), "several shards take turns on a processor"};
}

fact plan_of_memory(const machine_info& machine, shard_id shards, const runtime_options& options) {
  const auto plan = plan_memory(machine, shards, options);
  if (!plan && asks_for_memory(options)) return missing("plan: memory", plan.error());
  if (!plan) {
    return {fact_state::degraded, "plan: memory", "none: " + std::string(plan.error().message()),
            "a shard that wants more gets it"};
  }
  std::string found = fmt::format("{} a shard, {} left to the system", rounded_bytes(plan->shard_bytes),
                                  plan->usable_bytes == 0 ? "the rest" : rounded_bytes(plan->reserve_bytes));
  if (allocator_keeps_budgets()) return {fact_state::ok, "plan: memory", std::move(found), {}};
  return {fact_state::degraded, "plan: memory", std::move(found),
          "a shard that wants more gets it, for this build has the system's allocator"};
}

}  // namespace

std::string to_line(const fact& fact) {
  return fmt::format("{:<9} {:<15} {}{}{}\n", to_string(fact.state), fact.name, fact.found,
                     fact.without.empty() ? "" : "; ", fact.without);
}

diagnosis examine(const machine_info& machine, const runtime_options& options) {
  auto facts = facts_of(machine);
  const auto cpus = chosen_processors(machine, options);
  if (cpus) {
    const shard_id shards =
        options.shards != 0 ? options.shards : default_shards(cpus->size(), machine.limits.processors);
    facts.push_back(plan_shards(*cpus, shards, options.pin && machine.pinning.usable));
    facts.push_back(plan_of_memory(machine, shards, options));
  } else {
    facts.push_back(missing("plan: shards", cpus.error()));
  }
  diagnosis found;
  for (const auto& fact : facts) found.report += to_line(fact);
  found.can_start = std::ranges::none_of(facts, [](const fact& f) { return f.state == fact_state::missing; });
  return found;
}

}  // namespace atoll_root::atoll
