// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/state.hh>

#include <atoll/actors/base/log.hh>

namespace atoll_root::atoll::detail {

void report_abandoned(const error& e) noexcept {
  if (!on_shard()) return;
  ++this_shard().failures_abandoned;
  log_warning("a failed future was dropped unread: {}", e.to_string());
}

}  // namespace atoll_root::atoll::detail
