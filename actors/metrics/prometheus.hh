// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Snapshots of metrics in Prometheus's text exposition format, 0.0.4:
// https://prometheus.io/docs/instrumenting/exposition_formats
//
//   std::vector<atoll::metrics_snapshot> all = ...;         // one of each shard
//   std::string page = atoll::render_prometheus(all);       // cache_hits_total{kind="lru",shard="0"} 17
//
// A pure function of values: any thread may call it. It throws bad_alloc alone.
// Cost: some 0.5 us a line, without a break: tens of milliseconds where there are many shards and metrics, so rather
// not on a shard that others wait for.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include <atoll/actors/metrics/snapshot.hh>

namespace atoll_root::atoll {

/// Of the page, in HTTP.
inline constexpr std::string_view prometheus_content_type = "text/plain; version=0.0.4; charset=utf-8";

struct prometheus_options {
  /// One sample for all shards instead of one each with a `shard` label: counters, gauges and histograms are added up.
  /// Of histograms whose bounds differ between shards only the sum and the count are left.
  bool sum_shards = false;
};

/// The page for these snapshots, each of another shard; sorted by name, then as the snapshots stand. A name is of the
/// kind that it has in the first of them; what is of another kind elsewhere, or has the name of a series of a histogram
/// there, is left out. Bytes of label values and help texts that are no UTF-8 become U+FFFD, and so does NUL, at which
/// Prometheus would stop reading. An empty help text is left out.
std::string render_prometheus(std::span<const metrics_snapshot> shards, const prometheus_options& options = {});

}  // namespace atoll_root::atoll
