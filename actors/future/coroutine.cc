// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll::detail {

std::coroutine_handle<> hand_over(state_base* finished) noexcept {
  shard& s = *current_shard;
  while (true) {
    task* waiter = finished->take_waiter();
    // Where somebody waits, the frame stays: it goes with the future that is waited for.
    finished->producer_leaves();
    if (waiter == nullptr) return std::noop_coroutine();
    if (waiter->run != &coroutine_base::resume_task || waiter->group != s.group || s.tasks.preempted()) {
      schedule(*waiter);
      return std::noop_coroutine();
    }
    auto& next = static_cast<coroutine_base&>(*waiter);
    state_base* failed = nullptr;
    if (next.propagates != nullptr && next.propagates->failed(next.propagates, failed)) {
      if (failed == nullptr) return std::noop_coroutine();
      finished = failed;
      continue;
    }
    s.context = next.context.get();
    s.running = &next;
    return std::coroutine_handle<>::from_address(next.frame);
  }
}

void coroutine_base::resume_task(task* t) noexcept {
  auto& self = static_cast<coroutine_base&>(*t);
  state_base* failed = nullptr;
  if (self.propagates != nullptr && self.propagates->failed(self.propagates, failed)) [[unlikely]] {
    if (failed != nullptr) hand_over(failed).resume();
    return;
  }
  shard& s = *current_shard;
  s.running = &self;
  std::coroutine_handle<>::from_address(self.frame).resume();
  s.running = nullptr;
}

}  // namespace atoll_root::atoll::detail
