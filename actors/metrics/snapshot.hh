// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The metrics of a shard as they were at one moment, as values: what metrics_registry::collect() gives.
//
//   atoll::metrics_snapshot here = registry.collect();
//   std::string page = atoll::render_prometheus(std::span(&here, 1));      // metrics/prometheus.hh
//
// Everything is owned, so a snapshot may go to another shard.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

enum class metric_kind : std::uint8_t { counter, gauge, histogram };

/// What the names of a histogram's series end in.
inline constexpr std::array<std::string_view, 3> histogram_suffixes = {"_bucket", "_sum", "_count"};

/// Names and values. A label whose value is empty is as good as none, as in Prometheus.
using metric_labels = std::vector<std::pair<std::string, std::string>>;

/// The values of a histogram by powers of two, in the unit it is exported in.
struct bucketed_values {
  std::vector<double> bounds;         // rising; each belongs to the bucket below it
  std::vector<std::uint64_t> counts;  // of each bucket alone, and at the end of what lies past the last bound
  double sum = 0;

  friend bool operator==(const bucketed_values&, const bucketed_values&) = default;
};

/// Of a counter; of a gauge, or a counter of seconds; of a histogram.
using metric_value = std::variant<std::uint64_t, double, bucketed_values>;

struct metric_sample {
  metric_labels labels;  // sorted by name
  metric_value value;

  friend bool operator==(const metric_sample&, const metric_sample&) = default;
};

/// All samples of one name.
struct metric_family {
  std::string name;
  std::string help;
  metric_kind kind = metric_kind::counter;
  std::vector<metric_sample> samples;  // sorted by labels

  friend bool operator==(const metric_family&, const metric_family&) = default;
};

struct metrics_snapshot {
  std::uint32_t shard = 0;
  std::vector<metric_family> families;  // sorted by name

  friend bool operator==(const metrics_snapshot&, const metrics_snapshot&) = default;
};

}  // namespace atoll_root::atoll
