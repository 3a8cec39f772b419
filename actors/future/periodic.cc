// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/periodic.hh>

#include <algorithm>

namespace atoll_root::atoll {

periodic_timer::periodic_timer(std::string name, duration period)
    : timer_node(&passed),
      waiting_("periodic_timer", std::move(name), &left, this),
      period_(std::max(period, period_min)),
      next_(saturating_add(mono_now(), period_)) {}

future<std::uint64_t> periodic_timer::next() {
  if (cancelled_) return make_failed_future<std::uint64_t>(waiting_.failure(error(status_code::cancelled)));
  // Where others wait, their tick is still to come.
  if (waiting_.empty()) {
    const time_point now = mono_now();
    if (now >= next_) return make_ready_future<std::uint64_t>(take(now));
  }
  auto f = waiting_.wait();
  if (!waiting_.empty() && !armed()) this_shard().timers->arm(*this, next_);
  return f;
}

void periodic_timer::cancel() noexcept {
  cancelled_ = true;
  timer_node::cancel();
  waiting_.fail_all(error(status_code::cancelled));
}

void periodic_timer::restart(duration period) noexcept {
  cancelled_ = false;
  period_ = std::max(period, period_min);
  next_ = saturating_add(mono_now(), period_);
  timer_node::cancel();
  if (!waiting_.empty()) this_shard().timers->arm(*this, next_);
}

std::uint64_t periodic_timer::take(time_point now) noexcept {
  const auto missed = (now - next_) / period_;
  next_ = saturating_add(next_ + missed * period_, period_);
  return static_cast<std::uint64_t>(missed);
}

void periodic_timer::passed(timer_node* t) noexcept {
  auto& self = *static_cast<periodic_timer*>(t);
  // The loop fires timers by the time of its last look.
  const std::uint64_t missed = self.take(std::max(mono_now(), self.next_));
  while (!self.waiting_.empty()) self.waiting_.complete_first(missed);
}

void periodic_timer::left(void* self) noexcept {
  auto& timer = *static_cast<periodic_timer*>(self);
  if (timer.waiting_.empty()) timer.timer_node::cancel();
}

}  // namespace atoll_root::atoll
