// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll::detail {

namespace {

/// Where those that fail have `next` to ask whether it fails, too.
[[gnu::noinline]] std::coroutine_handle<> hand_over_failure(coroutine_base& next) noexcept {
  task* waiter = nullptr;
  if (next.propagates->failed(next.propagates, waiter)) return hand_over(waiter);
  current_shard->running = &next;
  return next.handle();
}

[[gnu::noinline]] void resume_or_fail(coroutine_base& self) noexcept { hand_over_failure(self).resume(); }

}  // namespace

[[gnu::always_inline]] inline std::coroutine_handle<> next_after(shard& s, task* waiter) noexcept {
  if (waiter == nullptr) {
    s.context = nullptr;
    return std::noop_coroutine();
  }
  // Not every compiler, nor with all options, makes a tail call of the change to the next: the stack may grow.
  const bool stack_left = stack_address() > s.stack_floor;
  if (waiter->run != &coroutine_base::resume_task || waiter->group != s.group || s.tasks.preempted() || !stack_left) {
    s.context = nullptr;
    s.tasks.push(*waiter);
    return std::noop_coroutine();
  }
  auto& next = static_cast<coroutine_base&>(*waiter);
  s.context = next.context.get();
  if (next.propagates != nullptr) return hand_over_failure(next);
  s.running = &next;
  return next.handle();
}

/// In the coroutine's own context, which is in force and may go with it.
[[gnu::always_inline]] inline void destroy_frame(shard& s, coroutine_base& c) noexcept {
  const context_ptr context = std::move(c.context);
  s.running = nullptr;
  const auto frame = c.handle();
  c.~coroutine_base();
  frame.destroy();
}

void destroy_suspended(coroutine_base& c) noexcept {
  shard& s = *current_shard;
  s.context = c.context.get();
  destroy_frame(s, c);
  s.context = nullptr;
}

std::coroutine_handle<> end_suspended(coroutine_base& c) noexcept {
  shard& s = *current_shard;
  task* waiter = c.result->waiter();
  destroy_frame(s, c);
  return next_after(s, waiter);
}

std::coroutine_handle<> hand_over(task* waiter) noexcept { return next_after(*current_shard, waiter); }

void coroutine_base::resume_task(task* t) noexcept {
  auto& self = static_cast<coroutine_base&>(*t);
  if (self.propagates != nullptr) return resume_or_fail(self);
  current_shard->running = &self;
  self.handle().resume();
}

}  // namespace atoll_root::atoll::detail
