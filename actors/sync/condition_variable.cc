// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/condition_variable.hh>

namespace atoll_root::atoll {

future<bool> condition_variable::wait_for(duration longest) {
  const time_point until = saturating_add(mono_now(), longest);
  const bool own = until < current_deadline();
  const auto outcome = co_await as_result(with_deadline(until, [this] { return wait(); }));
  if (outcome) co_return true;
  const bool time_passed = own && outcome.error().code() == status_code::deadline_exceeded && cancellation() == nullptr;
  if (time_passed) co_return false;
  co_return outcome.error();
}

}  // namespace atoll_root::atoll
