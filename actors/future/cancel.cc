// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/cancel.hh>

namespace atoll_root::atoll {

result<> check_cancelled() noexcept {
  if (call_context* context = this_shard().context) {
    // The timer of a deadline runs only where something waits.
    const time_point deadline = context->values().deadline;
    if (context->reason() == nullptr && deadline != never && mono_now() >= deadline) {
      context->cancel(error(status_code::deadline_exceeded, "deadline exceeded"));
    }
    if (const error* reason = context->reason()) return *reason;
  }
  return {};
}

namespace detail {

error wait_failed(const error& reason, std::string_view what) noexcept {
  try {
    std::string message(reason.message());
    message.append(message.empty() ? "" : ": ").append("in ").append(what);
    return {reason.code(), message, reason.origin()};
  } catch (const std::bad_alloc&) {
    return reason;
  }
}

}  // namespace detail
}  // namespace atoll_root::atoll
