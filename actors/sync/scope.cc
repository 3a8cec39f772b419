// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/scope.hh>

#include <atoll/actors/base/function_name.hh>
#include <atoll/actors/base/log.hh>

namespace atoll_root::atoll {

scope::scope(std::string name, error_handler on_error)
    : core_(std::make_shared<core>(std::move(name), std::move(on_error))) {}

scope::~scope() {
  if (running() == 0) return;
  ++this_shard().scopes_leaked;
  log_warning("scope {}: destroyed while {} of its tasks run; they are cancelled", name(), running());
  core_->closed = true;
  cancel();
}

void scope::core::ended(const result<>& outcome) noexcept {
  // Cancelled work ends with the reason that was given, or with `cancelled`.
  const error* reason = context.context()->reason();
  const bool as_asked = reason != nullptr && !outcome &&
                        (outcome.error().code() == status_code::cancelled || outcome.error().code() == reason->code());
  if (!outcome && !as_asked) {
    ++failures;
    if (on_error) {
      try {
        on_error(outcome.error());
      } catch (...) {
        log_error("scope {}: its error handler threw", empty.name());
      }
    } else {
      const error& e = outcome.error();
      const auto origin = e.origin();
      // Not to_string(), which may find no memory.
      log_warning("scope {}: {}{}{} (from {}:{}, {})", empty.name(), to_string(e.code()),
                  e.message().empty() ? "" : ": ", e.message(), origin.file_name(), origin.line(),
                  short_function_name(origin.function_name()));
    }
  }
  if (--running > 0) return;
  if (closed) all_ended.set_value();
  while (!empty.empty()) empty.complete_first();
}

future<> scope::close() {
  core_->closed = true;
  if (core_->running == 0) return make_ready_future();
  // Needs no memory: else want of it would end the caller, and with it what the work refers to.
  if (!std::exchange(core_->awaited, true)) return core_->all_ended.get_future();
  return wait_as_well(core_);
}

future<> scope::wait_as_well(std::shared_ptr<core> kept) {
  while (kept->running > 0) {
    // Out of reach of the caller's deadline: what was spawned refers to what the caller is about to destroy.
    auto ended = [&kept] {
      const detail::context_scope in(nullptr);
      return kept->empty.wait();
    }();
    const auto waited = co_await as_result(std::move(ended));
    if (!waited) co_await yield();  // no memory for a wait
  }
}

}  // namespace atoll_root::atoll
