// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/state.hh>

#include <atoll/actors/base/log.hh>

namespace atoll_root::atoll::detail {

void report_abandoned(const error& e) noexcept {
  if (!on_shard()) return;
  ++this_shard().failures_abandoned;
  const auto origin = e.origin();
  log_warning("a failed future was dropped unread: {} (from {}:{}, {})", e.to_string(), origin.file_name(),
              origin.line(), origin.function_name());
}

}  // namespace atoll_root::atoll::detail
