// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// channel<T>: a bounded queue between coroutines of one shard.
//
//   atoll::channel<request> requests("requests", 100);
//   co_await requests.push(std::move(r));                            // waits while it is full
//   while (auto r = co_await requests.pop()) handle(std::move(*r));  // nullopt: closed and empty
//   requests.close();
//
// Values come out in the order push() was called; pushers and poppers are served first come, first served. push() on
// a closed channel fails with `unavailable`; a push under way when it closes still gets through. fail(error) ends both
// sides at once, and drops what is inside. A wait ends where its context does, and then the value is not in the channel.
// Destroying the channel fails who waits with `cancelled`.
// Shard rules: one shard's. Between shards, send messages.
// Cost: without waiting, no allocation once the queue has its size; a wait is one pooled block.
#pragma once

#include <deque>
#include <optional>

#include <atoll/actors/sync/wait_queue.hh>

namespace atoll_root::atoll {

template <class T>
class channel {
 public:
  /// Holds up to `capacity` values; 0 hands each over directly.
  channel(std::string name, std::size_t capacity)
      : poppers_("channel", std::move(name)), pushers_("channel", poppers_.name()), capacity_(capacity) {}
  channel(const channel&) = delete;
  channel& operator=(const channel&) = delete;

  future<> push(T value) {
    if (closed_ || failed_) return make_failed_future(why_not());
    if (!poppers_.empty()) {
      poppers_.complete_first(std::move(value));
      return make_ready_future();
    }
    if (values_.size() < capacity_ && pushers_.empty()) {
      values_.push_back(std::move(value));
      return make_ready_future();
    }
    return pushers_.wait(std::move(value));
  }
  /// False if it is full or closed; the value is then untouched.
  bool try_push(T& value) {
    if (closed_ || failed_ || (poppers_.empty() && (values_.size() >= capacity_ || !pushers_.empty()))) return false;
    static_cast<void>(push(std::move(value)));
    return true;
  }

  future<std::optional<T>> pop() {
    if (values_.empty() && pushers_.empty()) {
      if (failed_) return make_failed_future<std::optional<T>>(why_not());
      if (closed_) return make_ready_future<std::optional<T>>();
      return poppers_.wait();
    }
    return make_ready_future<std::optional<T>>(take());
  }
  /// Nullopt if there is nothing to take now.
  std::optional<T> try_pop() {
    if (values_.empty() && pushers_.empty()) return std::nullopt;
    return take();
  }

  /// No more pushes; what is inside can still be popped. Idempotent.
  void close() noexcept {
    closed_ = true;
    if (values_.empty() && pushers_.empty()) {
      while (!poppers_.empty()) poppers_.complete_first(std::nullopt);
    }
  }
  /// The first reason stays.
  void fail(const error& why) noexcept {
    if (!failed_) failed_ = why;
    values_.clear();
    pushers_.fail_all(*failed_);
    poppers_.fail_all(*failed_);
  }

  [[nodiscard]] std::size_t size() const noexcept { return values_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] bool closed() const noexcept { return closed_; }
  [[nodiscard]] const std::string& name() const noexcept { return poppers_.name(); }

 private:
  [[nodiscard]] error why_not() const noexcept {
    return poppers_.failure(failed_ ? *failed_ : error(status_code::unavailable, "closed"));
  }
  T take() {
    if (values_.empty()) {  // from the hand of the first pusher: capacity 0, or no memory
      T value = std::move(pushers_.first_wants());
      pushers_.complete_first();
      return value;
    }
    T value = std::move(values_.front());
    values_.pop_front();
    refill();
    return value;
  }
  /// Lets in who waits for room. Without memory they wait on, until somebody pops again.
  void refill() {
    while (!pushers_.empty() && values_.size() < capacity_) {
      try {
        values_.push_back(std::move(pushers_.first_wants()));
      } catch (const std::bad_alloc&) {
        return;
      }
      pushers_.complete_first();
    }
  }

  std::deque<T> values_;
  detail::wait_queue<std::optional<T>> poppers_;
  detail::wait_queue<void, T> pushers_;
  std::size_t capacity_;
  bool closed_ = false;
  std::optional<error> failed_;
};

}  // namespace atoll_root::atoll
