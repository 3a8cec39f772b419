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

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <atoll/actors/base/error.hh>
#include <atoll/actors/base/result.hh>
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll::detail {

/// Counts and logs a failure that nobody took, with the place it came from.
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
  [[nodiscard]] task* waiter() const noexcept { return waiter_; }
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
  [[nodiscard]] bool has_consumer() const noexcept { return consumer_; }

 protected:
  enum class phase : std::uint8_t { pending, value, failure, taken };
  ~state_base() = default;

  task* waiter_ = nullptr;
  destroy_function* destroy_;
  phase phase_ = phase::pending;
  bool consumer_ = false;
  bool producer_ = true;
  std::uint16_t owner_ = 0;  // of a promise: its shard
};

template <class T>
class state : public state_base {
 public:
  using stored = stored_t<T>;

  static_assert(alignof(stored) <= alignof(std::max_align_t),
                "results lie in pooled blocks: at most 16-byte alignment");

  explicit state(destroy_function* destroy) noexcept : state_base(destroy) {}

  /// Stores the result without waking anybody. REQUIRES: !ready().
  template <class... A>
  void set_value(A&&... arguments) {
    ATOLL_ASSERT(!ready(), "a result is set once");
    ::new (static_cast<void*>(std::addressof(value_))) stored(std::forward<A>(arguments)...);
    phase_ = phase::value;
  }
  void set_error(error e) noexcept {
    ATOLL_ASSERT(!ready(), "a result is set once");
    ::new (static_cast<void*>(&error_)) error(std::move(e));
    phase_ = phase::failure;
  }
  void set_result(result<T>&& r) {
    if (r.has_value()) {
      set_value(std::move(*r));
    } else {
      set_error(std::move(r).error());
    }
  }

  /// Takes the result out. REQUIRES: ready(), not taken before.
  result<T> take() {
    ATOLL_ASSERT(phase_ == phase::value || phase_ == phase::failure, "a future is read once");
    if (phase_ == phase::failure) return take_error();
    if constexpr (std::is_void_v<T>) {
      phase_ = phase::taken;
      return {};
    } else {
      const value_guard guard(*this);
      return result<T>(std::move(value_));
    }
  }

  /// REQUIRES: failed().
  error take_error() noexcept {
    error e(std::move(error_));
    error_.~error();
    phase_ = phase::taken;
    return e;
  }

  /// Takes the value, or raises the failure as an exception.
  T take_or_raise() {
    if (phase_ != phase::value) {
      ATOLL_ASSERT(phase_ == phase::failure, "a future is read once");
      take_error().raise();
    }
    if constexpr (std::is_void_v<T>) {
      phase_ = phase::taken;
    } else {
      const value_guard guard(*this);
      return std::move(value_);
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
  /// The stored value goes when it has been moved out, even if that throws.
  struct value_guard {
    explicit value_guard(state& s) noexcept : self(s) {}
    value_guard(const value_guard&) = delete;
    value_guard& operator=(const value_guard&) = delete;
    ~value_guard() {
      self.value_.~stored();
      self.phase_ = phase::taken;
    }
    state& self;
  };

  union {
    stored value_;
    error error_;
  };
};

}  // namespace atoll_root::atoll::detail
