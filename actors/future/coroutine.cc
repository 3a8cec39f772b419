// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll::detail {

bool consumer_stayed(const state_base* of_the_dead) noexcept { return of_the_dead->has_consumer(); }

task* waiter_of(const state_base* of_the_dead) noexcept { return of_the_dead->waiter(); }

std::coroutine_handle<> hand_over(state_base* finished) noexcept {
  shard& s = *current_shard;
  while (true) {
    task* waiter = finished->take_waiter();
    if (waiter == nullptr) {
      // The frame may go now, and with it the last reference to the context that is in force.
      const context_ptr context(s.context);
      finished->producer_leaves();
      s.context = nullptr;
      return std::noop_coroutine();
    }
    finished->producer_leaves();  // somebody waits, so the frame stays: it goes with the future that is waited for
    // Not every compiler, nor with all options, makes a tail call of the change to the next: the stack may grow.
    const bool stack_left = stack_address() > s.stack_floor;
    if (waiter->run != &coroutine_base::resume_task || waiter->group != s.group || s.tasks.preempted() || !stack_left) {
      schedule(*waiter);
      return std::noop_coroutine();
    }
    auto& next = static_cast<coroutine_base&>(*waiter);
    s.context = next.context.get();  // the last reference to the one in force may go with what is finished
    if (next.propagates != nullptr) {
      if (next.propagates->failed(next.propagates, finished)) {
        if (finished == nullptr) return std::noop_coroutine();
        continue;
      }
    }
    s.running = &next;
    return std::coroutine_handle<>::from_address(next.frame);
  }
}

void coroutine_base::resume_task(task* t) noexcept {
  auto& self = static_cast<coroutine_base&>(*t);
  if (self.propagates != nullptr) [[unlikely]] {
    state_base* failed = nullptr;
    if (self.propagates->failed(self.propagates, failed)) {
      if (failed != nullptr) hand_over(failed).resume();
      current_shard->running = nullptr;
      return;
    }
  }
  shard& s = *current_shard;
  s.running = &self;
  std::coroutine_handle<>::from_address(self.frame).resume();
  s.running = nullptr;
}

}  // namespace atoll_root::atoll::detail
