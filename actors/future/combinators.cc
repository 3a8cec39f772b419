// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/combinators.hh>

namespace atoll_root::atoll::detail {

duration retry_pause(const retry_policy& policy, std::uint32_t attempt) noexcept {
  duration pause = std::max(policy.first_pause, duration(1));
  for (std::uint32_t n = 2; n < attempt && pause < policy.longest_pause; ++n) {
    const auto factor = std::max<std::int64_t>(policy.factor, 1);
    pause = pause > policy.longest_pause / factor ? policy.longest_pause : pause * factor;
    if (factor == 1) break;
  }
  pause = std::max(std::min(pause, policy.longest_pause), duration(1));
  const auto half = static_cast<std::uint64_t>(pause.count() / 2);
  const std::uint64_t drawn = this_shard().random.below(half + 1);
  return pause - duration(static_cast<std::int64_t>(drawn));
}

}  // namespace atoll_root::atoll::detail
