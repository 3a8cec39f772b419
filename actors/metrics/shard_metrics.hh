// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The metrics registry of the shard that runs this code.
//
//   atoll::metric_group metrics_{atoll::shard_metrics(), "cache"};
//
// Null where no shard runs or it has no registry: metrics made there count unseen. Cost: one thread-local load.
#pragma once

#include <atoll/actors/metrics/metrics.hh>
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll {

[[nodiscard]] inline metrics_registry* shard_metrics() noexcept { return on_shard() ? this_shard().metrics : nullptr; }

}  // namespace atoll_root::atoll
