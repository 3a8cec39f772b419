// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/outbox.hh>

#include <atoll/sharding/call.hh>

namespace atoll_root::atoll {

void outbox::submit(call_base& call) noexcept {
  if (!call.passes_bounds() && (in_flight_ >= calls_in_flight_max || !waiting_.empty())) {
    waiting_.push_back(call.place());
    ++waiting_count_;
    return;
  }
  ++in_flight_;
  call.send();
}

bool outbox::withdraw(call_base& call) noexcept {
  if (!call.place().linked()) return false;
  call.place().unlink();
  --waiting_count_;
  return true;
}

void outbox::returned() noexcept {
  --in_flight_;
  while (in_flight_ < calls_in_flight_max && !waiting_.empty()) {
    call_base& call = waiting_.pop_front()->call;
    --waiting_count_;
    ++in_flight_;
    call.send();
  }
}

}  // namespace atoll_root::atoll
