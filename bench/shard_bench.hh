// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Runs what is measured where users' code runs: in the event loop of shard 0 of a runtime.
#pragma once

#include <functional>

#include <atoll/actors/future/future.hh>

#include "measure.hh"

namespace bench {

struct shards_of_bench {
  atoll::shard_id count = 1;
  atoll::duration spin_for = std::chrono::microseconds(40);
};

/// Starts a runtime, awaits `work` on shard 0, stops the runtime and gives the figure. Throws if work failed.
double in_runtime(const shards_of_bench& shards, const std::function<atoll::future<double>()>& work);
inline double on_one_shard(const std::function<atoll::future<double>()>& work) { return in_runtime({}, work); }

}  // namespace bench
