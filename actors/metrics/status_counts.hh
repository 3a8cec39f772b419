// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// How often each status code came up, `ok` among them. As a metric: status_metric.hh.
//
//   atoll::status_counts ended;                     ended.add(status_code::not_found);
//
// Shard rules: one shard's. Cost: adding is one addition in memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <atoll/actors/base/error.hh>

namespace atoll_root::atoll {

inline constexpr std::size_t status_codes = 17;

class status_counts {
 public:
  void add(status_code code) noexcept { ++counts_[static_cast<std::size_t>(code)]; }
  [[nodiscard]] std::uint64_t operator[](status_code code) const noexcept {
    return counts_[static_cast<std::size_t>(code)];
  }

 private:
  std::array<std::uint64_t, status_codes> counts_{};
};

}  // namespace atoll_root::atoll
