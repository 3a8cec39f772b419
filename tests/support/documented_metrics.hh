// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The names in the tables of docs/metrics.md, to be held against what is exported.
#pragma once

#include <fstream>
#include <set>
#include <span>
#include <string>

#include <atoll/actors/metrics/snapshot.hh>

namespace demo {

/// "name kind" of each row beneath these headings.
inline std::set<std::string> documented_metrics(const std::set<std::string>& headings) {
  std::set<std::string> names;
  std::ifstream page(ATOLL_METRICS_PAGE);
  std::string heading;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("## ")) heading = line.substr(3);
    if (!headings.contains(heading) || !line.starts_with("| `")) continue;
    const auto end = line.find('`', 3);
    const auto kind = line.find("| ", end) + 2;
    names.insert(line.substr(3, end - 3) + " " + line.substr(kind, line.find(' ', kind) - kind));
  }
  return names;
}

/// The same of what is exported.
inline std::set<std::string> exported_metrics(std::span<const atoll::metrics_snapshot> shards) {
  std::set<std::string> names;
  for (const auto& shard : shards) {
    for (const auto& family : shard.families) {
      const auto* kind = family.kind == atoll::metric_kind::counter ? "counter"
                         : family.kind == atoll::metric_kind::gauge ? "gauge"
                                                                    : "histogram";
      names.insert(family.name + " " + kind);
    }
  }
  return names;
}

}  // namespace demo
