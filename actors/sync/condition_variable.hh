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

#include <memory>
#include <optional>

#include <atoll/actors/sync/wait_queue.hh>

namespace atoll_root::atoll {

class condition_variable {
 public:
  explicit condition_variable(std::string name = {}) : core_(std::make_shared<core>(std::move(name))) {}
  condition_variable(const condition_variable&) = delete;
  condition_variable& operator=(const condition_variable&) = delete;
  ~condition_variable() { close(error(status_code::cancelled, "destroyed")); }

  /// Until the next notify.
  future<> wait() { return core_->wait(); }
  template <class P>
  future<> wait(P holds) {
    return wait_until(core_, std::move(holds));
  }
  /// True if notified, false if the time passed first.
  future<bool> wait_for(duration longest);

  /// False if nobody waits.
  bool notify_one() noexcept {
    if (core_->waiting.empty()) return false;
    core_->waiting.complete_first();
    return true;
  }
  void notify_all() noexcept {
    for (std::size_t n = core_->waiting.size(); n > 0; --n) core_->waiting.complete_first();
  }
  /// Fails who waits and who comes later. The first reason stays.
  void close(const error& why) noexcept {
    if (!core_->closed) core_->closed = why;
    core_->waiting.fail_all(*core_->closed);
  }
  [[nodiscard]] std::size_t waiting() const noexcept { return core_->waiting.size(); }

 private:
  /// Lasts until those who wait for a predicate have seen that it is closed.
  struct core {
    explicit core(std::string name) : waiting("condition_variable", std::move(name)) {}
    future<> wait() {
      if (closed) return make_failed_future(waiting.failure(*closed));
      return waiting.wait();
    }
    detail::wait_queue<void> waiting;
    std::optional<error> closed;
  };

  template <class P>
  static future<> wait_until(std::shared_ptr<core> c, P holds) {
    while (!holds()) co_await or_fail(c->wait());
  }

  std::shared_ptr<core> core_;
};

class event {
 public:
  explicit event(std::string name = {}) : waiting_("event", std::move(name)) {}

  future<> wait() {
    if (set_) return make_ready_future();
    return closed_ ? make_failed_future(waiting_.failure(*closed_)) : waiting_.wait();
  }
  void set() noexcept {
    set_ = true;
    while (!waiting_.empty()) waiting_.complete_first();
  }
  void reset() noexcept { set_ = false; }
  [[nodiscard]] bool is_set() const noexcept { return set_; }
  [[nodiscard]] std::size_t waiting() const noexcept { return waiting_.size(); }
  /// Fails who waits, and who comes later while it isn't set. The first reason stays.
  void close(const error& why) noexcept {
    if (!closed_) closed_ = why;
    waiting_.fail_all(*closed_);
  }

 private:
  detail::wait_queue<void> waiting_;
  bool set_ = false;
  std::optional<error> closed_;
};

}  // namespace atoll_root::atoll
