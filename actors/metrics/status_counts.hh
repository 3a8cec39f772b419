// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// How often each status code came up, `ok` among them, and these counts as a metric with a label `code`.
//
//   atoll::status_counts ended;                     ended.add(status_code::not_found);
//   atoll::observable_status_counts metric{group, "calls_total", "Calls that ended.", [&](auto c) { return ended[c]; }};
//       // calls_total{code="not_found"} 1, and so on for all seventeen codes
//
// Shard rules: one shard's. Cost: adding is one addition in memory. Errors: as of any metric.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>

#include <atoll/actors/base/error.hh>
#include <atoll/actors/metrics/metrics.hh>

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

/// A counter a code; the function gives the count of a code when metrics are collected.
class observable_status_counts {
 public:
  observable_status_counts(const metric_group& group, std::string_view name, std::string_view help,
                           const std::function<std::uint64_t(status_code)>& count) {
    for (std::size_t i = 0; i < status_codes; ++i) {
      const auto code = static_cast<status_code>(i);
      counters_.emplace_back(
          group, name, help, [count, code] { return count(code); },
          metric_labels{{"code", std::string(to_string(code))}});
    }
  }

 private:
  std::list<observable_counter> counters_;
};

}  // namespace atoll_root::atoll
