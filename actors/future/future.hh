// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// future<T>: a result that is there already or comes later; promise<T>: the other end.
//
//   atoll::future<int> f = counters.at(1).add("hits", 5);
//   int n = co_await std::move(f);                          // raises the failure as an exception
//   auto r = co_await atoll::as_result(counters.read("x")); // or takes it as a value: result<int>
//   auto g = f.then([](int n) { return n + 1; });           // continuation: gets the value, may return a future
//
// Shard rules: a future lives and dies on the shard that made it, and so does its promise. Awaiting it
// suspends the coroutine, never the thread.
// Invariants: move-only; read once; eager (what produces it runs already); one waiter. A completion puts
// the waiter on the run queue, so set_value() never runs foreign code inside the caller.
// A failed future that nobody reads is logged and counted (`shard::failures_abandoned`).
// Cost: a ready future allocates nothing; a coroutine's result lies in its own frame, which comes from
// the shard's frame pool; a promise allocates one pooled block.
// Not promised: the order in which tasks woken by different promises run.
#pragma once

#include <coroutine>
#include <functional>
#include <utility>
#include <variant>

#include <atoll/actors/future/state.hh>
#include <atoll/actors/memory/frame_pool.hh>

namespace atoll_root::atoll {

template <class T = void>
class future;
template <class T = void>
class promise;

namespace detail {

template <class T>
struct future_value {
  static constexpr bool is_future = false;
  using type = T;
};
template <class T>
struct future_value<future<T>> {
  static constexpr bool is_future = true;
  using type = T;
};

/// Awaits of ready futures that pass without giving the other tasks of the shard a turn.
inline constexpr std::uint32_t ready_awaits_max = 256;

inline bool should_give_way() noexcept { return ++this_shard().ready_awaits >= ready_awaits_max; }

/// The task of the coroutine behind `handle`, whose promise is one of ours.
template <class Promise>
task& task_of(std::coroutine_handle<Promise> handle) noexcept {
  static_assert(std::is_base_of_v<task, Promise>,
                "atoll's awaitables can be awaited only in coroutines that return atoll::future");
  return handle.promise();
}

template <class T>
class future_awaiter {
 public:
  explicit future_awaiter(future<T>& f) noexcept : future_(f) {}
  bool await_ready() const noexcept { return future_.available() && !should_give_way(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    future_.notify(task_of(handle));
  }

 protected:
  future<T>& future_;
};

template <class T>
struct value_awaiter final : future_awaiter<T> {
  using future_awaiter<T>::future_awaiter;
  T await_resume() { return this->future_.get(); }
};

template <class T>
struct result_awaiter final : future_awaiter<T> {
  using future_awaiter<T>::future_awaiter;
  result<T> await_resume() { return this->future_.get_result(); }
};

}  // namespace detail

template <class T>
class [[nodiscard]] future {
  static_assert(!std::is_reference_v<T>, "a future carries a value");

 public:
  using value_type = T;
  using stored = std::conditional_t<std::is_void_v<T>, unit, T>;

  /// A ready future.
  template <class... A>
    requires std::is_constructible_v<stored, A...>
  explicit future(std::in_place_t, A&&... arguments)
      : content_(std::in_place_index<0>, std::forward<A>(arguments)...) {}
  /// A failed future.
  explicit future(error e) noexcept : content_(std::in_place_index<1>, std::move(e)) {}
  /// The future of a producer; internal to atoll.
  explicit future(detail::state<T>& s) noexcept : content_(std::in_place_index<2>, detail::state_ref<T>(&s)) {}

  future(future&& other) noexcept : content_(std::move(other.content_)) { other.content_.template emplace<3>(); }
  future& operator=(future&& other) noexcept {
    if (this != &other) {
      abandon();
      content_ = std::move(other.content_);
      other.content_.template emplace<3>();
    }
    return *this;
  }
  ~future() { abandon(); }

  /// False once it has been moved from or read.
  [[nodiscard]] bool valid() const noexcept { return content_.index() != 3; }
  [[nodiscard]] bool available() const noexcept {
    return content_.index() < 2 || (content_.index() == 2 && pending().ready());
  }
  [[nodiscard]] bool failed() const noexcept {
    return content_.index() == 1 || (content_.index() == 2 && pending().failed());
  }

  /// The value; raises the failure as an exception. REQUIRES: available().
  T get() {
    if (content_.index() == 2) {
      auto owned = std::move(*std::get_if<2>(&content_));
      content_.template emplace<3>();
      return owned->take_or_raise();
    }
    return get_result_as_value();
  }
  /// The value or the failure. REQUIRES: available().
  result<T> get_result() {
    auto content = std::exchange(content_, contents(std::in_place_index<3>));
    switch (content.index()) {
      case 0:
        if constexpr (std::is_void_v<T>) {
          return {};
        } else {
          return result<T>(std::move(*std::get_if<0>(&content)));
        }
      case 1:
        return result<T>(std::move(*std::get_if<1>(&content)));
      case 2:
        return (*std::get_if<2>(&content))->take();
      default:
        ATOLL_ASSERT(false, "a future is read once");
        return result<T>(error(status_code::internal));
    }
  }

  /// Schedules the task when the result is there: at once where it is already. Internal to atoll.
  void notify(task& t) noexcept {
    if (available()) {
      schedule(t);
    } else {
      ATOLL_ASSERT(valid(), "await of a future that was read or moved from");
      pending().set_waiter(t);
    }
  }

  detail::value_awaiter<T> operator co_await() && noexcept { return detail::value_awaiter<T>(*this); }

  /// The future of f(value), run when the value is there; a failure skips f and passes on.
  template <class F>
  auto then(F f) &&;
  /// The future of f(result<T>): f sees the failure too.
  template <class F>
  auto then_wrapped(F f) &&;

 private:
  using contents = std::variant<stored, error, detail::state_ref<T>, std::monostate>;

  detail::state<T>& pending() const noexcept { return **std::get_if<2>(&content_); }

  T get_result_as_value() {
    auto r = get_result();
    if (!r) r.error().raise();
    if constexpr (!std::is_void_v<T>) return std::move(*r);
  }

  void abandon() noexcept {
    if (content_.index() == 1) detail::report_abandoned(*std::get_if<1>(&content_));
  }

  contents content_;
};

/// Awaits a future and gives its outcome as a value: `auto r = co_await as_result(f());`
template <class T>
class [[nodiscard]] as_result {
 public:
  explicit as_result(future<T>&& f) noexcept : future_(std::move(f)) {}
  detail::result_awaiter<T> operator co_await() && noexcept { return detail::result_awaiter<T>(future_); }

 private:
  future<T> future_;
};

template <class T = void, class... A>
future<T> make_ready_future(A&&... arguments) {
  return future<T>(std::in_place, std::forward<A>(arguments)...);
}
template <class T = void>
future<T> make_failed_future(error e) {
  return future<T>(std::move(e));
}

/// The producing end of a future<T>. Dropping one that was never set fails the future with `cancelled`,
/// "broken promise".
template <class T>
class promise {
 public:
  promise() : state_(make()) {}
  promise(promise&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  promise& operator=(promise&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~promise() {
    if (state_ == nullptr) return;
    if (!state_->ready()) set_error(error(status_code::cancelled, "broken promise"));
    state_->producer_leaves();
  }

  /// REQUIRES: not called before.
  future<T> get_future() noexcept { return future<T>(*state_); }

  /// False once the promise has been fulfilled.
  [[nodiscard]] bool pending() const noexcept { return state_ != nullptr && !state_->ready(); }

  template <class... A>
  void set_value(A&&... arguments) {
    state_->set_value(std::forward<A>(arguments)...);
    state_->wake();
  }
  void set_error(error e) noexcept {
    state_->set_error(std::move(e));
    state_->wake();
  }
  void set_result(result<T> r) {
    state_->set_result(std::move(r));
    state_->wake();
  }

 private:
  struct block final : detail::state<T> {
    block() noexcept : detail::state<T>(&destroy) {}
    static void destroy(detail::state_base* s) noexcept {
      auto* self = static_cast<block*>(s);
      self->~block();
      pool_free(self, sizeof(block));
    }
  };

  static block* make() { return ::new (pool_allocate(sizeof(block))) block(); }

  block* state_;
};

}  // namespace atoll_root::atoll

#include <atoll/actors/future/coroutine.hh>

namespace atoll_root::atoll {

namespace detail {

/// What f returns, as the value type of the future that `then` gives.
template <class R>
using unwrapped = typename future_value<R>::type;

template <class F, class T>
struct continuation_result {
  using type = std::invoke_result_t<F&, T>;
};
template <class F>
struct continuation_result<F, void> {
  using type = std::invoke_result_t<F&>;
};

template <class F, class... A>
auto invoke_and_await(F& f, A&&... arguments) -> future<unwrapped<std::invoke_result_t<F&, A...>>> {
  using raw = std::invoke_result_t<F&, A...>;
  if constexpr (future_value<raw>::is_future) {
    return f(std::forward<A>(arguments)...);
  } else if constexpr (std::is_void_v<raw>) {
    f(std::forward<A>(arguments)...);
    return make_ready_future();
  } else {
    return make_ready_future<raw>(f(std::forward<A>(arguments)...));
  }
}

template <class T, class F>
auto run_then(future<T> source, F f) -> future<unwrapped<typename continuation_result<F, T>::type>> {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(source);
    co_return co_await invoke_and_await(f);
  } else {
    co_return co_await invoke_and_await(f, co_await std::move(source));
  }
}

template <class T, class F>
auto run_then_wrapped(future<T> source, F f) -> future<unwrapped<std::invoke_result_t<F&, result<T>>>> {
  co_return co_await invoke_and_await(f, co_await as_result(std::move(source)));
}

}  // namespace detail

template <class T>
template <class F>
auto future<T>::then(F f) && {
  return detail::run_then(std::move(*this), std::move(f));
}

template <class T>
template <class F>
auto future<T>::then_wrapped(F f) && {
  return detail::run_then_wrapped(std::move(*this), std::move(f));
}

}  // namespace atoll_root::atoll
