// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/outbox.hh>

#include <atoll/sharding/call.hh>

namespace atoll_root::atoll {

void outbox::submit(call_base& call) noexcept {
  const bool nested = call.values().depth > 1;  // the callee's depth: its caller serves a call itself
  if (!nested && (in_flight_ >= calls_in_flight_max || !waiting_.empty())) {
    waiting_.push(call);
    return;
  }
  ++in_flight_;
  call.send();
}

void outbox::returned() noexcept {
  --in_flight_;
  while (in_flight_ < calls_in_flight_max && !waiting_.empty()) {
    auto& call = static_cast<call_base&>(waiting_.pop());
    if (call.give_up_if_expired()) continue;
    ++in_flight_;
    call.send();
  }
}

}  // namespace atoll_root::atoll
