// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// wait_list: coroutines that wait for something to change, in the order they came.
//
//   while (!ready) co_await changed.wait();          // deadline_exceeded at the deadline of the context
//   bool woken = co_await changed.wait_for(100ms);    // false: the time passed first
//   changed.wake_all();
//
// Shard rules: one shard's. Waking schedules. Destroying the list fails its waiters with `cancelled`.
#pragma once

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/reactor/timer_queue.hh>

namespace atoll_root::atoll {

class wait_list {
 public:
  wait_list() noexcept = default;
  wait_list(const wait_list&) = delete;
  wait_list& operator=(const wait_list&) = delete;
  ~wait_list();

  future<> wait();
  future<bool> wait_for(duration longest);
  void wake_all() noexcept;
  /// Wakes the one that came first; false if nobody waits.
  bool wake_one() noexcept;
  [[nodiscard]] bool empty() const noexcept { return waiters_.empty(); }

 private:
  /// In the list by its list_hook; its timer is the deadline.
  struct waiter;
  struct waiter_hook : list_hook {};

  waiter& add(time_point until, bool times_out);

  intrusive_list<waiter_hook> waiters_;
};

}  // namespace atoll_root::atoll
