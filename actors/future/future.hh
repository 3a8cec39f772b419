// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// future<T>: a result that is there already or comes later; promise<T>: the other end.
//
//   atoll::future<int> f = counters.at(1).add("hits", 5);
//   int n = co_await std::move(f);                          // raises the failure as an exception
//   int m = co_await or_fail(counters.read("x"));           // or fails this coroutine with it, without a throw
//   auto r = co_await as_result(counters.read("x"));        // or takes it as a value: result<int>
//   auto g = std::move(f).then([](int n) { return n + 1; })                       // continuations: each gets the
//                .handle_error(status_code::not_found, [](error) { return 0; });  // outcome, may return a future
//
// Shard rules: a future lives and dies on the shard that made it, and so does its promise. Awaiting it
// suspends the coroutine, never the thread.
// Invariants: move-only; read once; eager (what produces it runs already); one waiter. A completion puts
// the waiter on the run queue, so set_value() never runs foreign code inside the caller.
// A failed future that nobody reads is logged with the place it came from, and counted
// (`shard::failures_abandoned`). T may be move-only, a reference, or have no default constructor.
// Cost: a result lies in the future itself: a ready one allocates nothing, nor does a continuation on it, nor a promise. A
// coroutine has its frame, from the shard's free lists, until it ends.
// Not promised: the order in which tasks woken by different promises run.
#pragma once

#include <coroutine>
#include <source_location>
#include <type_traits>
#include <utility>

#include <atoll/actors/future/producer.hh>

namespace atoll_root::atoll {

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

/// What f returns, as the value type of the future that a continuation gives.
template <class R>
using unwrapped = typename future_value<R>::type;

/// True where what runs now has had its time, so that an await of something ready gives way to others all the same.
inline bool should_give_way() noexcept { return current_shard->tick && tick_is_due(*current_shard); }

struct coroutine_base;
template <class Promise>
coroutine_base& suspended(std::coroutine_handle<Promise> handle, std::source_location site) noexcept;

template <class T>
class future_awaiter {
 public:
  explicit future_awaiter(future<T>& f) noexcept : future_(f) {}
  bool await_ready() const noexcept { return future_.available() && !should_give_way(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle,
                     std::source_location site = std::source_location::current()) noexcept {
    future_.notify(suspended(handle, site));
  }

 protected:
  future<T>& future_;
};

template <class T>
struct result_awaiter final : future_awaiter<T> {
  using future_awaiter<T>::future_awaiter;
  result<T> await_resume() { return this->future_.get_result(); }
};

}  // namespace detail

template <class T>
class [[nodiscard]] future {
  static_assert(!std::is_rvalue_reference_v<T>, "a future carries a value or an lvalue reference");

 public:
  using value_type = T;
  using stored = stored_t<T>;

  /// A ready future.
  template <class... A>
    requires std::is_constructible_v<stored, A...>
  explicit future(std::in_place_t, A&&... arguments) : kind_(kind::value) {
    ::new (static_cast<void*>(std::addressof(value_))) stored(std::forward<A>(arguments)...);
  }
  /// A failed future.
  explicit future(error e) noexcept : kind_(kind::failure) { ::new (static_cast<void*>(&error_)) error(std::move(e)); }
  static future from_result(result<T> r) {
    if (!r) return future(std::move(r).error());
    return future(std::in_place, *std::move(r));
  }
  /// The future of a producer; internal to atoll.
  explicit future(detail::producer<T>& p) noexcept : kind_(kind::pending) { tie_to(p); }

  /// The future of a coroutine that is being started: told what it is before the caller sees it. Internal to atoll.
  struct starting {};
  future(detail::producer<T>& p, starting /*tag*/) noexcept {  // NOLINT: each way it starts sets what is missing here
    p.consumer_is(this);
  }

  future(future&& other) noexcept(std::is_nothrow_move_constructible_v<stored>) { take_from(other); }
  future& operator=(future&& other) noexcept(std::is_nothrow_move_constructible_v<stored>) {
    if (this != &other) {
      destroy();
      take_from(other);
    }
    return *this;
  }
  ~future() { destroy(); }

  /// False once it has been moved from or read.
  [[nodiscard]] bool valid() const noexcept { return kind_ != kind::none; }
  [[nodiscard]] bool available() const noexcept { return kind_ == kind::value || kind_ == kind::failure; }
  [[nodiscard]] bool failed() const noexcept { return kind_ == kind::failure; }

  /// The value; raises the failure as an exception. REQUIRES: available().
  [[gnu::always_inline]] T get() {
    if (kind_ != kind::value) raise_failure();
    const read_mark read(*this);
    const value_end after(*this);
    if constexpr (!std::is_void_v<T>) return std::move(value_);
  }
  /// The value or the failure. REQUIRES: available().
  result<T> get_result() {
    if (failed()) return take_error();
    ATOLL_ASSERT(kind_ == kind::value, "get_result() of a future that is not available, or that was read");
    const read_mark read(*this);
    const value_end after(*this);
    if constexpr (std::is_void_v<T>) {
      return {};
    } else {
      return result<T>(std::move(value_));
    }
  }
  /// The failure. REQUIRES: failed().
  error take_error() noexcept {
    ATOLL_ASSERT(failed(), "the error of a future that has none, or that was read");
    error e(std::move(error_));
    error_.~error();
    kind_ = kind::none;
    return e;
  }

  /// The same where it lies: to be moved from at once, after which there is nothing to destroy. Internal to atoll.
  error&& give_error() noexcept {
    kind_ = kind::none;
    return std::move(error_);
  }

  /// Schedules the task when the result is there: at once where it is already. Internal to atoll.
  void notify(task& t) noexcept {
    if (kind_ == kind::pending) [[likely]] {
      producer_->set_waiter(t);
    } else {
      ATOLL_ASSERT(valid(), "await of a future that was read or moved from");
      schedule(t);
    }
  }

  // For its producer.
  /// Where the value's constructor throws, nothing has changed. The constructor has to leave this future alone.
  template <class... A>
  [[gnu::always_inline]] void complete_with_value(A&&... arguments) {
    if constexpr (std::is_nothrow_constructible_v<stored, A...>) {
      ::new (static_cast<void*>(std::addressof(value_))) stored(std::forward<A>(arguments)...);
    } else {
      detail::producer<T>* const from = producer_;
      try {
        ::new (static_cast<void*>(std::addressof(value_))) stored(std::forward<A>(arguments)...);
      } catch (...) {
        producer_ = from;
        throw;
      }
    }
    kind_ = kind::value;
  }
  void complete_with_error(error&& e) noexcept {
    ::new (static_cast<void*>(&error_)) error(std::move(e));
    kind_ = kind::failure;
  }
  void came_to(detail::producer<T>& p) noexcept { producer_ = &p; }
  /// It is that of a coroutine that was started and has been suspended.
  void starts_pending(detail::producer<T>& p) noexcept {
    producer_ = &p;
    kind_ = kind::pending;
  }

  // For co_await. A future is its own awaiter: no other object, no reference on the way.
  [[nodiscard]] bool await_ready() const noexcept { return available() && !detail::should_give_way(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle,
                     std::source_location site = std::source_location::current()) noexcept {
    notify(detail::suspended(handle, site));
  }
  [[gnu::always_inline]] T await_resume() { return get(); }

  /// The future of f(value), run when the value is there; a failure skips f and passes on.
  template <class F>
  auto then(F f) &&;
  /// The future of f(result<T>): f sees the failure too.
  template <class F>
  auto then_wrapped(F f) &&;
  /// Runs f() when this is ready, failed or not, and then gives this outcome; f may return a future<>. A failure of
  /// f is the outcome where this succeeded. Where there is something to wait for and no memory to wait with, the outcome
  /// is `resource_exhausted` and f does not run: a coroutine that has to clean up does so at its own end.
  template <class F>
  future finally(F f) &&;
  /// f(error) gives a T or future<T> in place of a failure.
  template <class F>
    requires std::is_invocable_v<F&, error>
  future handle_error(F f) &&;
  /// The same for a failure with this code; others pass on.
  template <class F>
  future handle_error(status_code code, F f) &&;
  /// The same for a failure made from an exception of this type: f(const E&).
  template <class E, class F>
  future handle_error(F f) &&;
  /// Drops the value; a failure passes on.
  future<> discard_value() &&;

 private:
  enum class kind : std::uint8_t { none, value, failure, pending };
  /// Two parts, so that the compiler sees that nothing is left, and what of it.
  struct read_mark {
    explicit read_mark(future& f) noexcept : self(f) {}
    read_mark(const read_mark&) = delete;
    read_mark& operator=(const read_mark&) = delete;
    ~read_mark() { self.kind_ = kind::none; }
    future& self;
  };
  struct value_end {
    explicit value_end(future& f) noexcept : self(f) {}
    value_end(const value_end&) = delete;
    value_end& operator=(const value_end&) = delete;
    ~value_end() { self.value_.~stored(); }
    future& self;
  };
  [[noreturn, gnu::noinline, gnu::cold]] void raise_failure() {
    ATOLL_ASSERT(kind_ != kind::pending, "get() of a future that is not available");
    ATOLL_ASSERT(kind_ != kind::none, "a future is read once");
    take_error().raise();
  }

  void tie_to(detail::producer<T>& p) noexcept {
    producer_ = &p;
    p.consumer_is(this);
  }
  void take_from(future& other) noexcept(std::is_nothrow_move_constructible_v<stored>) {
    kind_ = kind::none;
    switch (other.kind_) {
      case kind::none:
        return;
      case kind::value:
        ::new (static_cast<void*>(std::addressof(value_))) stored(std::move(other.value_));
        other.value_.~stored();
        break;
      case kind::failure:
        detail::relocate_error(&error_, other.error_);
        break;
      case kind::pending:
        tie_to(*other.producer_);
        break;
    }
    kind_ = std::exchange(other.kind_, kind::none);
  }
  /// Lets go of what was read.
  void empty() noexcept {
    switch (std::exchange(kind_, kind::none)) {
      case kind::none:
        break;
      case kind::value:
        value_.~stored();
        break;
      case kind::failure:
        error_.~error();
        break;
      case kind::pending:
        producer_->consumer_is(nullptr);
        break;
    }
  }
  void destroy() noexcept {
    if (kind_ == kind::failure) detail::report_abandoned(error_);
    empty();
  }

  kind kind_;  // first: it and a small value are in one cache line, mostly
  union {
    stored value_;
    error error_;
    detail::producer<T>* producer_;
  };
};

/// Awaits a future and gives its outcome as a value: `auto r = co_await as_result(f());`
template <class T>
class [[nodiscard]] as_result {
 public:
  explicit as_result(future<T>&& f) noexcept(std::is_nothrow_move_constructible_v<future<T>>) : future_(std::move(f)) {}
  detail::result_awaiter<T> operator co_await() && noexcept { return detail::result_awaiter<T>(future_); }

 private:
  future<T> future_;
};

template <class T = void, class... A>
future<T> make_ready_future(A&&... arguments) {
  return future<T>(std::in_place, std::forward<A>(arguments)...);
}
template <class T = void>
future<T> make_failed_future(error e) noexcept {
  return future<T>(std::move(e));
}

/// The producing end of a future<T>. Dropping one that was never set fails the future with `cancelled`,
/// "broken promise". Setting it twice, or setting or moving it on another shard, ends the process: the waiter would be
/// lost without a word. Threads that are to have it set get a pointer to it.
template <class T>
class promise {
 public:
  promise() noexcept : future_(producer_) {
    if (const shard* s = detail::current_shard) owner_ = static_cast<std::uint16_t>(s->id);
  }
  promise(promise&& other) noexcept(std::is_nothrow_move_constructible_v<future<T>>)
      : producer_(std::move(other.on_its_shard().producer_)),
        future_(std::move(other.future_)),
        owner_(other.owner_),
        pending_(std::exchange(other.pending_, false)) {}
  promise& operator=(promise&& other) noexcept(std::is_nothrow_move_constructible_v<future<T>>) {
    if (this == &other) return *this;
    if (pending_) is_broken();
    pending_ = false;
    {
      const future<T> dropped(std::move(future_));
    }
    producer_.take_over(std::move(other.on_its_shard().producer_));
    future_ = std::move(other.future_);
    owner_ = other.owner_;
    pending_ = std::exchange(other.pending_, false);
    return *this;
  }
  ~promise() {
    if (pending_) [[unlikely]]
      is_broken();
  }

  /// REQUIRES: not called before.
  future<T> get_future() noexcept(std::is_nothrow_move_constructible_v<future<T>>) {
    ATOLL_ASSERT(future_.valid(), "a promise gives one future");
    return std::move(future_);
  }

  /// False once the promise has been fulfilled.
  [[nodiscard]] bool pending() const noexcept { return pending_; }

  // REQUIRES: on the promise's shard, which others reach through submit_to or a foreign_port; set once.
  template <class... A>
  void set_value(A&&... arguments) {
    check();
    producer_.set_value(std::forward<A>(arguments)...);
    done();
  }
  void set_error(error e) noexcept {
    check();
    producer_.set_error(std::move(e));
    done();
  }
  void set_result(result<T> r) {
    check();
    producer_.set_result(std::move(r));
    done();
  }

 private:
  [[gnu::noinline]] void is_broken() noexcept {
    // One that gave no future has nobody to tell.
    if (!future_.valid() && producer_.has_consumer()) set_error(error(status_code::cancelled, "broken promise"));
  }
  [[nodiscard]] bool is_on_its_shard() const noexcept {
    const shard* s = detail::current_shard;
    return s != nullptr && s->id == owner_;
  }
  /// Its move writes into the future, wherever that is by now.
  promise& on_its_shard() noexcept {
    ATOLL_ASSERT(!producer_.has_consumer() || future_.valid() || is_on_its_shard(),
                 "a promise is moved on the shard that made it: give others a pointer to it");
    return *this;
  }
  void check() const noexcept {
    ATOLL_ASSERT(is_on_its_shard(),
                 "a promise is set on the shard that made it: have it set there with submit_to or a foreign_port");
    ATOLL_ASSERT(pending_, "a result is set once");
  }
  void done() noexcept {
    pending_ = false;
    producer_.wake();
  }

  detail::producer<T> producer_;
  future<T> future_;  // until it is asked for
  std::uint16_t owner_ = 0;
  bool pending_ = true;
};

}  // namespace atoll_root::atoll

#include <atoll/actors/future/coroutine.hh>
