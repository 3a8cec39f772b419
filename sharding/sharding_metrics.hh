// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What the sharding layer exports of one shard: lanes, calls, calls of foreign threads, offloaded functions. Internal
// to atoll; docs/metrics.md lists the names.
//
//   const sharding_metrics metrics(local);          // in the runtime, as long as the shard runs
//
// Nothing is counted here: values are read from their owners when metrics are collected. What the process has once
// (offload) is shard 0's.
#pragma once

#include <memory>

#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {

class sharding_metrics {
 public:
  explicit sharding_metrics(const sharding_local& local);
  sharding_metrics(const sharding_metrics&) = delete;
  sharding_metrics& operator=(const sharding_metrics&) = delete;
  ~sharding_metrics();

 private:
  struct lanes;
  struct offloads;
  std::unique_ptr<lanes> lanes_;
  std::unique_ptr<offloads> offloads_;
};

}  // namespace atoll_root::atoll
