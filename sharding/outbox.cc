// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/outbox.hh>

#include <atoll/sharding/call.hh>

namespace atoll_root::atoll {

void outbox::submit(call_caller& call) noexcept {
  outbox_hook& place = call;
  if (!call.passes_bounds() && (in_flight_ >= calls_in_flight_max || !waiting_.empty())) {
    waiting_.push_back(place);
    ++waiting_count_;
    return;
  }
  ++in_flight_;
  call.send();
}

bool outbox::withdraw(call_caller& call) noexcept {
  outbox_hook& place = call;
  if (!place.linked()) return false;
  place.unlink();
  --waiting_count_;
  return true;
}

void outbox::returned() noexcept {
  --in_flight_;
  while (in_flight_ < calls_in_flight_max && !waiting_.empty()) {
    call_caller& call = static_cast<call_caller&>(*waiting_.pop_front());
    --waiting_count_;
    ++in_flight_;
    call.send();
  }
}

}  // namespace atoll_root::atoll
