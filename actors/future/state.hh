// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The shared state between the one who produces a result (a coroutine, a promise, a call) and the future
// that waits for it. Internal to atoll; users see future<T> and promise<T>.
//
// Invariants: both sides live on one shard. The memory goes when both have let go, by the `destroy`
// function its maker gave. A completion schedules the waiter, except that a finished coroutine hands over
// to the coroutine that awaits it (`take_waiter`).
#pragma once

#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <atoll/actors/base/error.hh>
#include <atoll/actors/base/result.hh>
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll::detail {

/// Counts and logs a failure that nobody took.
void report_abandoned(const error& e) noexcept;

class state_base {
 public:
  using destroy_function = void(state_base*) noexcept;

  explicit state_base(destroy_function* destroy) noexcept : destroy_(destroy) {}
  state_base(const state_base&) = delete;
  state_base& operator=(const state_base&) = delete;

  [[nodiscard]] bool ready() const noexcept { return phase_ != phase::pending; }
  [[nodiscard]] bool failed() const noexcept { return phase_ == phase::failure; }

  /// The task to schedule when the result is there. REQUIRES: !ready(), no waiter yet.
  void set_waiter(task& t) noexcept {
    ATOLL_ASSERT(waiter_ == nullptr, "a future has one waiter");
    waiter_ = &t;
  }
  task* take_waiter() noexcept { return std::exchange(waiter_, nullptr); }
  void wake() noexcept {
    if (task* t = take_waiter()) schedule(*t);
  }

  void consumer_arrives() noexcept { consumer_ = true; }
  void consumer_leaves() noexcept {
    consumer_ = false;
    if (!producer_) destroy_(this);
  }
  void producer_leaves() noexcept {
    producer_ = false;
    if (!consumer_) destroy_(this);
  }

 protected:
  enum class phase : std::uint8_t { pending, value, failure, taken };
  ~state_base() = default;

  task* waiter_ = nullptr;
  destroy_function* destroy_;
  phase phase_ = phase::pending;
  bool consumer_ = false;
  bool producer_ = true;
};

template <class T>
class state : public state_base {
 public:
  using stored = std::conditional_t<std::is_void_v<T>, unit, T>;

  explicit state(destroy_function* destroy) noexcept : state_base(destroy) {}

  /// Stores the result without waking anybody. REQUIRES: !ready().
  template <class... A>
  void set_value(A&&... arguments) {
    ATOLL_ASSERT(!ready(), "a result is set once");
    ::new (static_cast<void*>(&value_)) stored(std::forward<A>(arguments)...);
    phase_ = phase::value;
  }
  void set_error(error e) noexcept {
    ATOLL_ASSERT(!ready(), "a result is set once");
    ::new (static_cast<void*>(&error_)) error(std::move(e));
    phase_ = phase::failure;
  }
  void set_result(result<T> r) {
    if (r.has_value()) {
      set_value(std::move(*r));
    } else {
      set_error(std::move(r).error());
    }
  }

  /// Takes the result out. REQUIRES: ready(), not taken before.
  result<T> take() {
    ATOLL_ASSERT(phase_ == phase::value || phase_ == phase::failure, "a future is read once");
    if (phase_ == phase::failure) {
      result<T> r(std::move(error_));
      error_.~error();
      phase_ = phase::taken;
      return r;
    }
    if constexpr (std::is_void_v<T>) {
      phase_ = phase::taken;
      return {};
    } else {
      result<T> r(std::move(value_));
      value_.~stored();
      phase_ = phase::taken;
      return r;
    }
  }

  /// Takes the value, or raises the failure as an exception.
  T take_or_raise() {
    if (failed()) take().error().raise();
    if constexpr (std::is_void_v<T>) {
      phase_ = phase::taken;
    } else {
      T value(std::move(value_));
      value_.~stored();
      phase_ = phase::taken;
      return value;
    }
  }

 protected:
  ~state() {
    if (phase_ == phase::value) value_.~stored();
    if (phase_ == phase::failure) {
      report_abandoned(error_);
      error_.~error();
    }
  }

 private:
  union {
    stored value_;
    error error_;
  };
};

/// The consumer's hold on a state.
template <class T>
class state_ref {
 public:
  state_ref() noexcept = default;
  explicit state_ref(state<T>* s) noexcept : state_(s) { state_->consumer_arrives(); }
  state_ref(state_ref&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  state_ref& operator=(state_ref&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~state_ref() {
    if (state_ != nullptr) state_->consumer_leaves();
  }
  state<T>& operator*() const noexcept { return *state_; }
  state<T>* operator->() const noexcept { return state_; }

 private:
  state<T>* state_ = nullptr;
};

}  // namespace atoll_root::atoll::detail
