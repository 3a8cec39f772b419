// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/producer.hh>

#include <atoll/actors/base/function_name.hh>
#include <atoll/actors/base/log.hh>

namespace atoll_root::atoll::detail {

void report_abandoned(const error& e) noexcept {
  if (!on_shard()) return;
  ++this_shard().failures_abandoned;
  const auto origin = e.origin();
  // Not to_string(), which may find no memory.
  log_warning("a failed future was dropped unread: {}{}{} (from {}:{}, {})", to_string(e.code()),
              e.message().empty() ? "" : ": ", e.message(), origin.file_name(), origin.line(),
              short_function_name(origin.function_name()));
}

}  // namespace atoll_root::atoll::detail
