// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// condition_variable and event: waiting for something to change.
//
//   co_await changed.wait([&] { return ready; });     // until the predicate holds; looked at after each notify
//   bool told = co_await changed.wait_for(100ms);     // false: the time passed first
//   changed.notify_all();
//   atoll::event started("started");  started.set();  co_await started.wait();   // stays set until reset()
//
// A wait ends with `cancelled` or `deadline_exceeded` where its context does, with the given error after close(), with
// `cancelled` when the object is destroyed. Messages carry its name. Waiters are woken in the order they came.
// Shard rules: one shard's; no mutex goes with it, because nothing runs between a check and the wait that follows.
// Cost: one pooled block a wait.
#pragma once

#include <atoll/actors/sync/wait_queue.hh>

namespace atoll_root::atoll {

class condition_variable {
 public:
  explicit condition_variable(std::string name = {}) : waiting_("condition_variable", std::move(name)) {}

  /// Until the next notify.
  future<> wait() {
    if (closed_) return make_failed_future(waiting_.failure(*closed_));
    return waiting_.wait();
  }
  template <class P>
  future<> wait(P holds) {
    while (!holds()) co_await or_fail(wait());
  }
  /// True if notified, false if the time passed first.
  future<bool> wait_for(duration longest);

  /// False if nobody waits.
  bool notify_one() noexcept {
    if (waiting_.empty()) return false;
    waiting_.complete_first();
    return true;
  }
  void notify_all() noexcept {
    for (std::size_t n = waiting_.size(); n > 0; --n) waiting_.complete_first();
  }
  /// Fails who waits and who comes later. The first reason stays.
  void close(const error& why) noexcept {
    if (!closed_) closed_ = why;
    waiting_.fail_all(*closed_);
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }

 private:
  detail::wait_queue<void> waiting_;
  std::optional<error> closed_;
};

class event {
 public:
  explicit event(std::string name = {}) : waiting_("event", std::move(name)) {}

  future<> wait() { return set_ ? make_ready_future() : waiting_.wait(); }
  void set() noexcept {
    set_ = true;
    while (!waiting_.empty()) waiting_.complete_first();
  }
  void reset() noexcept { set_ = false; }
  [[nodiscard]] bool is_set() const noexcept { return set_; }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }
  /// Fails who waits now.
  void fail_waiting(const error& why) noexcept { waiting_.fail_all(why); }

 private:
  detail::wait_queue<void> waiting_;
  bool set_ = false;
};

}  // namespace atoll_root::atoll
