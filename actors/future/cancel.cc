// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/cancel.hh>

namespace atoll_root::atoll::detail {

error wait_failed(const error& reason, std::string_view what) noexcept {
  try {
    std::string message(reason.message());
    message.append(message.empty() ? "" : ": ").append("in ").append(what);
    return {reason.code(), message, reason.origin()};
  } catch (const std::bad_alloc&) {
    return reason;
  }
}

}  // namespace atoll_root::atoll::detail
