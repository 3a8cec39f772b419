// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Those who wait at a synchronisation primitive, in the order they came. Internal to atoll: semaphore, mutex,
// event, condition_variable and channel are made of it.
//
// Each wait is the producer of a future in one pooled block; it ends by complete_first(), by the cancellation of the
// context it was made in, by fail_all(), or with `cancelled` when the queue is destroyed. Errors name the primitive.
// Shard rules: one shard's. Ending a wait schedules.
#pragma once

#include <string>

#include <atoll/actors/future/cancel.hh>

namespace atoll_root::atoll::detail {

/// T: what a wait gives; P: what it was told to want (an amount, a value to hand over).
template <class T, class P = unit>
class wait_queue {
 public:
  /// Called when a wait has left the queue early: what stood behind it may go now.
  using left_function = void(void* owner) noexcept;

  wait_queue(std::string_view kind, std::string name, left_function* left = nullptr, void* owner = nullptr)
      : kind_(kind), name_(std::move(name)), left_(left), owner_(owner) {}
  wait_queue(const wait_queue&) = delete;
  wait_queue& operator=(const wait_queue&) = delete;
  ~wait_queue() { fail_all(error(status_code::cancelled, "destroyed")); }

  [[nodiscard]] bool empty() const noexcept { return length_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return length_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  /// Waits at the end. A wait in a cancelled context fails at once, one without memory with `resource_exhausted`.
  future<T> wait(P wanted = {}) {
    if (const error* reason = cancellation()) return make_failed_future<T>(failure(*reason));
    void* block = pool_try_allocate(sizeof(waiter));
    if (block == nullptr) return make_failed_future<T>(failure(error(status_code::resource_exhausted)));
    waiter* w = nullptr;
    try {
      w = ::new (block) waiter(*this, std::move(wanted));
    } catch (...) {
      pool_free(block, sizeof(waiter));
      return make_failed_future<T>(error::from_exception(std::current_exception()));
    }
    waiters_.push_back(*w);
    ++length_;
    future<T> f(*w);
    w->watch_context();
    return f;
  }

  /// What the first was told to want. REQUIRES: !empty().
  [[nodiscard]] P& first_wants() noexcept { return first().wanted; }
  /// Ends the first wait with a value. REQUIRES: !empty().
  template <class... A>
  void complete_first(A&&... value) {
    waiter& w = first();
    w.leave();
    w.end_with(std::forward<A>(value)...);
  }
  void fail_all(const error& why) noexcept {
    while (!empty()) {
      waiter& w = first();
      w.leave();
      w.end_with_error(failure(why));
    }
  }
  /// The same, with the error as it is.
  void fail_all_with(const error& why) noexcept {
    while (!empty()) {
      waiter& w = first();
      w.leave();
      w.end_with_error(error(why));
    }
  }
  /// The error of a wait here that ends for this reason: its message names the primitive.
  [[nodiscard]] error failure(const error& reason) const noexcept {
    try {
      std::string what(kind_);
      if (!name_.empty()) what.append(" ").append(name_);
      return wait_failed(reason, what);
    } catch (const std::bad_alloc&) {
      return reason;
    }
  }

 private:
  struct place : list_hook {};
  struct waiter final : pooled_wait<T, waiter>, place {
    waiter(wait_queue& q, P&& w) : pooled_wait<T, waiter>(&cancelled), queue(q), wanted(std::move(w)) {}

    void leave() noexcept {
      place::unlink();
      --queue.length_;
    }
    static void cancelled(cancel_hook* hook, const error& reason) noexcept {
      auto* self = static_cast<waiter*>(hook);
      wait_queue& q = self->queue;
      self->leave();
      auto why = q.failure(reason);
      if (q.left_ != nullptr) q.left_(q.owner_);
      self->end_with_error(std::move(why));  // last: what it wanted may hold the last reference to the queue's owner
    }

    wait_queue& queue;
    P wanted;
  };
  waiter& first() noexcept { return static_cast<waiter&>(waiters_.front()); }

  intrusive_list<place> waiters_;
  std::size_t length_ = 0;
  std::string_view kind_;
  std::string name_;
  left_function* left_;
  void* owner_;
};

}  // namespace atoll_root::atoll::detail
