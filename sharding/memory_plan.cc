// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/memory_plan.hh>

#include <algorithm>

#include <atoll/actors/base/units.hh>

namespace atoll_root::atoll {
namespace {

constexpr std::uint64_t reserve_percent = 7;
constexpr std::uint64_t reserve_bytes_min = 64 << 20;
constexpr std::uint64_t reserve_share_max = 4;  // a quarter

/// 0 where nothing says.
std::uint64_t usable_memory(const machine_info& machine) noexcept {
  std::uint64_t usable = machine.memory_bytes;
  for (const auto& limit : {machine.limits.memory_bytes, machine.address_space_limit_bytes}) {
    if (limit && (usable == 0 || *limit < usable)) usable = *limit;
  }
  return usable;
}

std::uint64_t default_reserve(std::uint64_t usable) noexcept {
  const std::uint64_t wanted = std::max(usable / 100 * reserve_percent, reserve_bytes_min);
  return std::min(wanted, usable / reserve_share_max);
}

error exhausted(std::string why) { return error(status_code::resource_exhausted, std::move(why)); }

}  // namespace

result<memory_plan> plan_memory(const machine_info& machine, shard_id shards, const runtime_options& options) {
  ATOLL_ASSERT(shards != 0, "memory is divided among some shards");
  memory_plan plan;
  plan.usable_bytes = usable_memory(machine);
  const bool known = plan.usable_bytes != 0;
  std::uint64_t total = options.memory_bytes;
  if (total == 0) {
    if (!known) {
      return error(status_code::failed_precondition,
                   "can't find out how much memory there is: say with --memory what the shards may use");
    }
    plan.reserve_bytes = options.reserve_memory_bytes.value_or(default_reserve(plan.usable_bytes));
    if (plan.reserve_bytes > plan.usable_bytes) {
      return exhausted("--reserve-memory " + format_bytes(plan.reserve_bytes) + " is more than there is, " +
                       rounded_bytes(plan.usable_bytes));
    }
    total = plan.usable_bytes - plan.reserve_bytes;
  } else if (known) {
    const std::uint64_t reserve = options.reserve_memory_bytes.value_or(0);
    if (total > plan.usable_bytes || reserve > plan.usable_bytes - total) {
      return exhausted("--memory " + format_bytes(total) +
                       (reserve == 0 ? "" : " and --reserve-memory " + format_bytes(reserve)) +
                       " are more than there is, " + rounded_bytes(plan.usable_bytes));
    }
    plan.reserve_bytes = plan.usable_bytes - total;
  }
  plan.shard_bytes = total / shards / memory_unit_bytes * memory_unit_bytes;
  if (plan.shard_bytes == 0) {
    return exhausted((options.memory_bytes != 0 ? "--memory " : "") + rounded_bytes(total) + " for " +
                     std::to_string(shards) + (shards == 1 ? " shard" : " shards") + " is less than " +
                     format_bytes(memory_unit_bytes) + " each: start fewer, or give more memory");
  }
  return plan;
}

}  // namespace atoll_root::atoll
