// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What makes `atoll::future<T>` a coroutine type. Included by future.hh.
//
// The promise is at once the coroutine's task (so resuming it allocates nothing), the state of its result
// (so its future is a pointer to the frame) and the holder of its call context. A coroutine starts inside
// the call, or as a task of its own where the stack is nearly used up. When it ends it hands over to the
// coroutine that awaits it; the frame goes with the future. One that ends without having been suspended puts its result
// straight into the future its caller gets, and its frame is gone before the call returns. One that fails without an exception (`fail`,
// `or_fail`) destroys its locals at once, like one that throws.
// Coroutines don't take rvalue references: the frame would keep a reference to a dead temporary. Nor may a
// lambda with captures be one (refused by g++): its captures die with the closure, not with the frame.
#pragma once

#include <coroutine>
#include <source_location>
#include <string_view>

#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll {
namespace detail {

/// What a coroutine that waits in or_fail is asked before it is resumed.
struct propagation {
  /// False: resume. Else the coroutine has failed and its frame is gone; `result` is the state of its result, null where
  /// nobody holds its future.
  using function = bool(propagation*, state_base*& result) noexcept;
  explicit propagation(function* f) noexcept : failed(f) {}
  function* failed;
};

/// What the loop and other coroutines know of a coroutine that has been suspended, whatever its result is.
struct coroutine_base : task, coroutine_hook {
  coroutine_base(shard& s, void* its_frame, state_base* its_result) noexcept
      : task(&resume_task, s.context, s.group), frame(its_frame), result(its_result) {
    s.coroutines.push_back(*this);
    ++s.coroutines_suspended;
  }
  ~coroutine_base() {
    --current_shard->coroutines_suspended;
    if (current_shard->running == this) current_shard->running = nullptr;
  }

  void* frame;
  state_base* result;
  propagation* propagates = nullptr;
  // Written when it is suspended, for the task dump:
  std::source_location site;
  time_point since{};

  static void resume_task(task* t) noexcept;
};

inline coroutine_base* as_coroutine(task* t) noexcept {
  return t != nullptr && t->run == &coroutine_base::resume_task ? static_cast<coroutine_base*>(t) : nullptr;
}

/// Whether the future of a coroutine that was just failed is still there: its locals may have held it. Reads what the
/// destroyed promise left in the frame, which is kept.
[[gnu::noinline]] bool consumer_stayed(const state_base* of_the_dead) noexcept;
[[gnu::noinline]] task* waiter_of(const state_base* of_the_dead) noexcept;

/// The coroutine's result is there: who runs next.
std::coroutine_handle<> hand_over(state_base* finished) noexcept;

/// Awaitables call this when the coroutine behind `handle` is suspended.
template <class Promise>
coroutine_base& suspended(std::coroutine_handle<Promise> handle, std::source_location site) noexcept {
  static_assert(
      requires(Promise& p) { p.suspended_base(handle); },
      "atoll's awaitables can be awaited only in coroutines that return atoll::future or atoll::stream");
  coroutine_base& self = handle.promise().suspended_base(handle);
  self.site = site;
  self.since = current_shard->coarse_now;
  return self;
}

struct final_awaiter {
  bool done;  // the result is in the caller's hands: the frame goes now
  bool await_ready() const noexcept { return done; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
    return hand_over(handle.promise().result_state());
  }
  void await_resume() const noexcept {}
};

/// About where this thread's stack has come to.
[[gnu::always_inline]] inline std::uintptr_t stack_address() noexcept {
#if defined(__x86_64__)
  // The builtin below would cost each coroutine a frame pointer.
  std::uintptr_t address;  // NOLINT(cppcoreguidelines-init-variables)
  asm("mov %%rsp, %0" : "=r"(address));
  return address;
#else
  return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
#endif
}

/// A coroutine starts inside the call, unless the stack is nearly used up.
struct start_awaiter {
  bool await_ready() const noexcept { return stack_address() > current_shard->stack_floor; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
    schedule(suspended(handle, std::source_location::current()));
  }
  void await_resume() const noexcept {}
};

#if defined(__GNUC__) && !defined(__clang__)
/// Whether this is the type of a lambda with captures, by its name.
template <class Closure>
constexpr bool captures() {
  if constexpr (!std::is_class_v<Closure>) {
    return false;
  } else {
    // "... [with Closure = f(int)::<lambda(g)>; ...]": the name of a closure ends with the lambda.
    constexpr std::string_view whole = __PRETTY_FUNCTION__;
    constexpr std::string_view name = whole.substr(whole.find("Closure = "));
    int depth = 0;
    std::size_t lambda_at = std::string_view::npos;
    for (std::size_t i = 0; i < name.size(); ++i) {
      if (name.substr(i).starts_with("operator")) {  // whose name may have brackets that are none
        i += std::string_view("operator").size();
        while (i < name.size() && std::string_view("<>=-").find(name[i]) != std::string_view::npos) ++i;
        if (i == name.size()) break;
      }
      if (depth == 0 && name.substr(i).starts_with("<lambda(")) lambda_at = i;
      if (name[i] == '<' || name[i] == '(') ++depth;
      if (name[i] == '>' || name[i] == ')') --depth;
      if (depth == 0 && lambda_at != std::string_view::npos && name[i] == '>') {
        const char after = name[i + 1];
        if (after == ']' || after == ';') return !std::is_empty_v<Closure>;
        lambda_at = std::string_view::npos;
      }
    }
    return false;
  }
}

/// g++ before 12.3 puts a bool of its own in front of the frame of a coroutine that awaits in the condition of an `if` or a
/// loop and declares no variable at the top of its body (GCC bug 106188): then the promise is not where it has to be.
[[gnu::always_inline]] inline void refuse_misplaced([[maybe_unused]] const void* promise) noexcept {
#if __GNUC__ < 12 || (__GNUC__ == 12 && __GNUC_MINOR__ < 3)
  ATOLL_ASSERT(reinterpret_cast<std::uintptr_t>(promise) % alignof(std::max_align_t) == 0,
               "g++ before 12.3 has miscompiled this coroutine: declare a variable at the top of its body, or take the "
               "co_await out of the condition (docs/compilers.md)");
#endif
}

/// g++ gives the closure of a lambda, as it gives the object of a member function, to the promise's constructor as a
/// reference, and parameters, references too, as plain objects.
template <class First>
constexpr void refuse_captures() noexcept {
  static_assert(
      !std::is_reference_v<First> || !captures<std::remove_cvref_t<First>>(),
      "a lambda with captures must not be a coroutine: its captures die with the closure. Pass them as parameters, or "
      "let the lambda return the future of a coroutine");
}
#endif

template <class T, class Promise>
class coroutine_promise_base {
 public:
  coroutine_promise_base() noexcept {}  // NOLINT(modernize-use-equals-default): what is suspended comes later
  coroutine_promise_base(const coroutine_promise_base&) = delete;
  coroutine_promise_base& operator=(const coroutine_promise_base&) = delete;
  ~coroutine_promise_base() {
    if (started_ == nullptr) suspended_.~suspended_state();
  }

  future<T> get_return_object() noexcept {
#if defined(__GNUC__) && !defined(__clang__)
    refuse_misplaced(this);
#endif
    return future<T>(started_);
  }
  static future<T> get_return_object_on_allocation_failure() noexcept {
    return future<T>(error(status_code::resource_exhausted));
  }
  start_awaiter initial_suspend() const noexcept { return {}; }
  final_awaiter final_suspend() const noexcept { return {started_ != nullptr}; }
  void unhandled_exception(std::source_location at = std::source_location::current()) noexcept {
    finish_with_error(error::from_exception(std::current_exception(), at));
  }

  // g++ looks for the first, clang for the second; null gives get_return_object_on_allocation_failure().
  static void* operator new(std::size_t bytes) noexcept { return allocate(bytes); }
  static void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept { current_shard->blocks.free(block, bytes); }

  /// The part that a coroutine has from its first suspension on; before, its result goes straight to the caller's future.
  template <class P>
  coroutine_base& suspended_base(std::coroutine_handle<P> handle) noexcept {
    if (started_ != nullptr) {
      ::new (static_cast<void*>(&suspended_)) suspended_state(*current_shard, handle.address());
      std::exchange(started_, nullptr)->start_pending(suspended_);
    }
    return suspended_;
  }
  /// REQUIRES: it has been suspended.
  state_base* result_state() noexcept { return &suspended_; }

  /// Fails the suspended coroutine: destroys its locals now and leaves only the failure, in the frame's memory, for
  /// the future. The state of that, or null where the caller's future has the failure or nobody holds it any more.
  state_base* fail_frame(error e) noexcept;
  static state_base* fail_suspended(coroutine_base& c, error e) noexcept {
    return static_cast<Promise&>(promise_of(static_cast<suspended_state&>(c))).fail_frame(std::move(e));
  }

 protected:
  template <class... A>
  void finish_with_value(A&&... arguments) {
    if (started_ != nullptr) {
      started_->start_with_value(std::forward<A>(arguments)...);
    } else {
      suspended_.set_value(std::forward<A>(arguments)...);
    }
  }
  void finish_with_error(error e) noexcept {
    if (started_ != nullptr) {
      started_->start_with_error(std::move(e));
    } else {
      suspended_.set_error(std::move(e));
    }
  }

 private:
  struct suspended_state final : coroutine_base, state<T> {
    suspended_state(shard& s, void* frame) noexcept : coroutine_base(s, frame, this), state<T>(&destroy) {}
    static void destroy(state_base* s) noexcept {
      auto& self = static_cast<suspended_state&>(static_cast<state<T>&>(*s));
      std::coroutine_handle<>::from_address(self.frame).destroy();
    }
  };
  struct remains;

  static void* allocate(std::size_t bytes) noexcept {
    ATOLL_ASSERT(current_shard != nullptr, "a coroutine was called outside a shard");
    return current_shard->blocks.try_allocate(bytes);
  }
  static coroutine_promise_base& promise_of(suspended_state& s) noexcept {
    return reinterpret_cast<coroutine_promise_base&>(s);  // the first member
  }

  union {
    suspended_state suspended_;
  };
  future<T>* started_ = nullptr;  // the caller's future, until the first suspension
};

/// What is left of a failed coroutine, where the state of its result was.
template <class T, class Promise>
struct coroutine_promise_base<T, Promise>::remains final : state<T> {
  remains(task* waiter, error e) noexcept : state<T>(&free) {
    this->waiter_ = waiter;
    this->consumer_ = true;
    this->set_error(std::move(e));
  }
  static void free(state_base* s) noexcept {
    auto* self = static_cast<remains*>(static_cast<state<T>*>(s));
    // Addresses only: the promise is gone.
    auto& suspended = static_cast<suspended_state&>(static_cast<state<T>&>(*s));
    auto& promise = static_cast<Promise&>(promise_of(suspended));
    void* block = std::coroutine_handle<Promise>::from_promise(promise).address();
    const std::size_t bytes = *static_cast<std::size_t*>(block);
    self->~remains();
    pool_free(block, bytes);
  }
};

template <class T, class Promise>
state_base* coroutine_promise_base<T, Promise>::fail_frame(error e) noexcept {
  const auto handle = std::coroutine_handle<Promise>::from_promise(static_cast<Promise&>(*this));
  if (started_ != nullptr) {
    started_->start_with_error(std::move(e));
    handle.destroy();
    return nullptr;
  }
  // Locals are destroyed in the coroutine's own context, whoever made it fail.
  const context_ptr context = suspended_.context;
  current_shard->context = context.get();
  void* place = static_cast<state<T>*>(&suspended_);
  void* block = handle.address();
  const std::size_t bytes = current_shard->blocks.keep_while(block, [handle] { handle.destroy(); });
  current_shard->context = nullptr;
  const auto* dead = static_cast<state_base*>(static_cast<state<T>*>(place));
  if (!consumer_stayed(dead)) {
    report_abandoned(e);
    pool_free(block, bytes);
    return nullptr;
  }
  task* waiter = waiter_of(dead);  // now: a local's destructor may have begun to wait for this coroutine
  ::new (block) std::size_t(bytes);
  return ::new (place) remains(waiter, std::move(e));
}

template <class T>
class coroutine_promise final : public coroutine_promise_base<T, coroutine_promise<T>> {
 public:
  coroutine_promise() noexcept = default;
#if defined(__GNUC__) && !defined(__clang__)
  template <class First, class... A>
  explicit coroutine_promise(First&, A&...) noexcept {
    refuse_captures<First>();
  }
#endif
  // By value and no template, so that a conversion is the business of the co_return, not of this header.
  void return_value(T value) { this->finish_with_value(std::forward<T>(value)); }
  void return_value(error e)
    requires(!std::is_same_v<T, error>)
  {
    this->finish_with_error(std::move(e));
  }
  template <class R>
    requires std::is_same_v<R, result<T>>
  void return_value(R r) {
    if (r.has_value()) {
      this->finish_with_value(*std::move(r));
    } else {
      this->finish_with_error(moved_error(r.error()));
    }
  }
};

template <>
class coroutine_promise<void> final : public coroutine_promise_base<void, coroutine_promise<void>> {
 public:
  coroutine_promise() noexcept = default;
#if defined(__GNUC__) && !defined(__clang__)
  template <class First, class... A>
  explicit coroutine_promise(First&, A&...) noexcept {
    refuse_captures<First>();
  }
#endif
  void return_void() noexcept { this->finish_with_value(); }
};

/// Awaits a future; a failure ends the awaiting coroutine.
template <class T>
class or_fail_awaiter final : propagation {
 public:
  explicit or_fail_awaiter(future<T>& f) noexcept : propagation(nullptr), future_(f) {}
  bool await_ready() const noexcept { return future_.available() && !future_.failed() && !should_give_way(); }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle,
                                        std::source_location site = std::source_location::current()) noexcept {
    if (future_.failed()) {
      state_base* failed = handle.promise().fail_frame(future_.take_error());
      return failed == nullptr ? std::noop_coroutine() : hand_over(failed);
    }
    coroutine_base& self = suspended(handle, site);
    self_ = &self;
    propagation::failed = &check<Promise>;
    self.propagates = this;
    future_.notify(self);
    return std::noop_coroutine();
  }
  T await_resume() { return future_.get(); }

 private:
  template <class Promise>
  static bool check(propagation* p, state_base*& result) noexcept {
    auto& self = *static_cast<or_fail_awaiter*>(p);
    coroutine_base& waits = *self.self_;
    waits.propagates = nullptr;
    if (!self.future_.failed()) return false;
    result = Promise::fail_suspended(waits, self.future_.take_error());
    return true;
  }

  future<T>& future_;
  coroutine_base* self_ = nullptr;
};

}  // namespace detail

/// Ends the coroutine that awaits it with this failure, without a C++ throw:
/// `co_await atoll::fail(status_code::not_found, "no such key");`
class [[nodiscard]] fail {
 public:
  explicit fail(error e) noexcept : error_(std::move(e)) {}
  fail(status_code code, std::string_view message,
       std::source_location origin = std::source_location::current()) noexcept
      : error_(code, message, origin) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    auto* failed = handle.promise().fail_frame(std::move(error_));
    return failed == nullptr ? std::noop_coroutine() : detail::hand_over(failed);
  }
  [[noreturn]] void await_resume() const noexcept {
    ATOLL_ASSERT(false, "a failed coroutine was resumed");
    __builtin_unreachable();
  }

 private:
  error error_;
};

/// Awaits a future and gives its value; where it fails, the coroutine that awaits ends with that failure, without a
/// C++ throw, so a try block around it sees nothing: `int n = co_await or_fail(f());`
/// Takes a result as well: `auto n = co_await or_fail(parse(text));`
template <class T>
class [[nodiscard]] or_fail {
 public:
  explicit or_fail(future<T>&& f) noexcept(std::is_nothrow_move_constructible_v<future<T>>) : future_(std::move(f)) {}
  explicit or_fail(result<T>&& r) : future_(future<T>::from_result(std::move(r))) {}
  detail::or_fail_awaiter<T> operator co_await() && noexcept { return detail::or_fail_awaiter<T>(future_); }

 private:
  future<T> future_;
};

/// Lets every other ready task of this shard's group run first: `co_await atoll::yield();`
struct [[nodiscard]] yield {
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle,
                     std::source_location site = std::source_location::current()) const noexcept {
    schedule(detail::suspended(handle, site));
  }
  void await_resume() const noexcept {}
};

/// A yield where others have waited long enough: for loops that compute. Some ns where not.
struct [[nodiscard]] maybe_yield : yield {
  bool await_ready() const noexcept { return !detail::should_give_way(); }
};

}  // namespace atoll_root::atoll

template <class T, class... A>
struct std::coroutine_traits<atoll::future<T>, A...> {
  static_assert((!std::is_rvalue_reference_v<A> && ...),
                "an atoll coroutine takes its parameters by value: an rvalue reference would dangle "
                "after the first co_await");
  using promise_type = atoll::detail::coroutine_promise<T>;
};

#include <atoll/actors/future/continuation.hh>
