// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/sleep.hh>

#include <atoll/actors/reactor/timer_queue.hh>

namespace atoll_root::atoll {
namespace {

struct sleeper final : detail::state<void>, timer_node {
  explicit sleeper(bool expires_first) noexcept
      : detail::state<void>(&destroy), timer_node(&fire), expires(expires_first) {}

  static void fire(timer_node* t) noexcept {
    auto* self = static_cast<sleeper*>(t);
    if (self->expires) {
      self->set_error(error(status_code::deadline_exceeded, "deadline exceeded in sleep"));
    } else {
      self->set_value();
    }
    self->wake();
    self->producer_leaves();
  }

  static void destroy(detail::state_base* s) noexcept {
    auto* self = static_cast<sleeper*>(s);
    self->~sleeper();
    pool_free(self, sizeof(sleeper));
  }

  bool expires;  // by the context's deadline, before the sleep is over
};

}  // namespace

future<> sleep(duration d) { return sleep_until(saturating_add(mono_now(), d)); }

future<> sleep_until(time_point when) {
  const time_point deadline = current_deadline();
  auto* s = ::new (pool_allocate(sizeof(sleeper))) sleeper(deadline < when);
  future<> f(*s);
  this_shard().timers->arm(*s, std::min(when, deadline));
  return f;
}

}  // namespace atoll_root::atoll
