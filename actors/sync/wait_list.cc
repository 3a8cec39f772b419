// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/wait_list.hh>

#include <algorithm>

namespace atoll_root::atoll {

struct wait_list::waiter final : waiter_hook, detail::state<bool> {
  struct timer final : timer_node {
    explicit timer(waiter& w) noexcept : timer_node(&fire), self(w) {}
    static void fire(timer_node* t) noexcept { static_cast<timer*>(t)->self.expire(); }
    waiter& self;
  };

  explicit waiter(bool may_time_out) noexcept
      : detail::state<bool>(&destroy), deadline(*this), times_out(may_time_out) {}

  void finish(bool woken) noexcept {
    leave();
    set_value(woken);
    wake();
    producer_leaves();
  }
  void finish(error e) noexcept {
    leave();
    set_error(std::move(e));
    wake();
    producer_leaves();
  }
  void expire() noexcept {
    if (times_out) {
      finish(false);
    } else {
      finish(error(status_code::deadline_exceeded, "deadline exceeded in a wait"));
    }
  }
  void leave() noexcept {
    waiter_hook::unlink();
    deadline.cancel();
  }

  static void destroy(detail::state_base* s) noexcept {
    auto* self = static_cast<waiter*>(s);
    self->~waiter();
    pool_free(self, sizeof(waiter));
  }

  timer deadline;
  bool times_out;  // the end of the time is an outcome, not an error
};

wait_list::~wait_list() {
  while (!waiters_.empty()) {
    static_cast<waiter&>(waiters_.front()).finish(error(status_code::cancelled, "what was waited for is gone"));
  }
}

wait_list::waiter& wait_list::add(time_point until, bool times_out) {
  auto* w = ::new (pool_allocate(sizeof(waiter))) waiter(times_out);
  waiters_.push_back(*w);
  if (until != never) this_shard().timers->arm(w->deadline, until);
  return *w;
}

future<> wait_list::wait() { co_await future<bool>(add(current_deadline(), false)); }

future<bool> wait_list::wait_for(duration longest) {
  const time_point until = saturating_add(mono_now(), longest);
  const time_point deadline = current_deadline();
  return future<bool>(add(std::min(until, deadline), until <= deadline));
}

bool wait_list::wake_one() noexcept {
  if (waiters_.empty()) return false;
  static_cast<waiter&>(waiters_.front()).finish(true);
  return true;
}

void wait_list::wake_all() noexcept {
  while (wake_one()) continue;
}

}  // namespace atoll_root::atoll
