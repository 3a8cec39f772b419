// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What a future that waits is tied to: the part of whoever makes its result (a coroutine, a promise, a wait, a call).
// Internal to atoll; users see future<T> and promise<T>.
//
// The two know of each other. A future that moves tells its producer where it is now; one that is dropped leaves it, and
// what the producer gives then goes nowhere. The result is put into the future itself, so a producer has nothing
// to keep for it and may go at once. Both live on one shard.
// A completion schedules the waiter, except that a coroutine that has finished hands over to the one that awaits it.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include <atoll/actors/base/error.hh>
#include <atoll/actors/base/result.hh>
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll {

template <class T = void>
class future;

namespace detail {

/// Counts and logs a failure that nobody took, with the place it came from.
void report_abandoned(const error& e) noexcept;

/// A producer, whatever it makes.
class producer_base {
 public:
  producer_base(const producer_base&) = delete;
  producer_base& operator=(const producer_base&) = delete;

  /// Whether there is a future that waits for this.
  [[nodiscard]] bool has_consumer() const noexcept { return consumer_ != nullptr; }

  /// The task to schedule when the result is there. REQUIRES: no waiter yet.
  void set_waiter(task& t) noexcept {
    ATOLL_ASSERT(waiter_ == nullptr, "a future has one waiter");
    waiter_ = &t;
  }
  task* take_waiter() noexcept { return std::exchange(waiter_, nullptr); }
  [[nodiscard]] task* waiter() const noexcept { return waiter_; }
  void wake() noexcept {
    if (task* t = take_waiter()) current_shard->tasks.push(*t);
  }

 protected:
  struct unset {};

  producer_base() noexcept : waiter_(nullptr), consumer_(nullptr) {}
  /// To be set up in steps.
  explicit producer_base(unset /*tag*/) noexcept {}  // NOLINT(cppcoreguidelines-pro-type-member-init)
  producer_base(producer_base&& other) noexcept
      : waiter_(std::exchange(other.waiter_, nullptr)), consumer_(std::exchange(other.consumer_, nullptr)) {}
  ~producer_base() = default;

  task* waiter_;
  void* consumer_;  // a future<T>
};

template <class T>
class producer : public producer_base {
  static_assert(alignof(stored_t<T>) <= alignof(std::max_align_t),
                "a future may lie in a pooled block, as coroutines do: at most 16-byte alignment");

 public:
  producer() noexcept = default;
  /// The future's producer is this one from now on.
  producer(producer&& other) noexcept : producer_base(std::move(other)) {
    if (consumer_ != nullptr) consumer()->came_to(*this);
  }
  /// The same. REQUIRES: no future has this one as its producer.
  void take_over(producer&& other) noexcept {
    waiter_ = std::exchange(other.waiter_, nullptr);
    consumer_ = std::exchange(other.consumer_, nullptr);
    if (consumer_ != nullptr) consumer()->came_to(*this);
  }

  // Puts the result into the future, without waking anybody; nobody's is dropped. REQUIRES: not called before.
  /// Where the value's constructor throws, nothing has changed.
  template <class... A>
  void set_value(A&&... arguments) {
    if (consumer_ == nullptr) [[unlikely]]
      return;
    consumer()->complete_with_value(std::forward<A>(arguments)...);
    consumer_ = nullptr;
  }
  /// A failure that is nobody's is reported.
  void set_error(error&& e) noexcept {
    if (consumer_ == nullptr) [[unlikely]]
      return report_abandoned(e);
    consumer()->complete_with_error(std::move(e));
    consumer_ = nullptr;
  }
  void set_result(result<T>&& r) {
    if (r.has_value()) {
      set_value(std::move(*r));
    } else {
      set_error(std::move(r).error());
    }
  }

  // For the future.
  void consumer_is(future<T>* f) noexcept { consumer_ = f; }

 protected:
  using producer_base::producer_base;
  [[nodiscard]] future<T>* consumer() const noexcept { return static_cast<future<T>*>(consumer_); }
};

}  // namespace detail
}  // namespace atoll_root::atoll
