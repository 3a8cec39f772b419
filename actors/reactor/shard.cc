// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll::detail {

constinit thread_local shard* current_shard = nullptr;

}  // namespace atoll_root::atoll::detail
