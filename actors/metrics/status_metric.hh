// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Counts of status codes as a metric with a label `code`.
//
//   atoll::observable_status_counts metric{group, "calls_total", "Calls that ended.", [&](auto c) { return ended[c]; }};
//       // calls_total{code="not_found"} 1, and so on for all seventeen codes
//
// Shard rules: one shard's. Errors: as of any metric.
#pragma once

#include <functional>
#include <list>
#include <string>
#include <string_view>

#include <atoll/actors/metrics/metrics.hh>
#include <atoll/actors/metrics/status_counts.hh>

namespace atoll_root::atoll {

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
