// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What makes `atoll::future<T>` a coroutine type. Included by future.hh.
//
// The promise is at once the coroutine's task (so resuming it allocates nothing), the producer of its future
// and the holder of its call context. A coroutine starts inside the call, or as a task of its own where the stack is
// nearly used up. When it ends, its result is in its future, its frame goes, and it hands over to the coroutine that
// awaits it. One that ends without having been suspended is gone before the call returns. One that fails without an
// exception (`fail`, `or_fail`) destroys its locals at once, like one that throws.
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
  /// False: resume. Else the coroutine has failed and its frame is gone; `waiter` is who waits for it, null where nobody.
  using function = bool(propagation*, task*& waiter) noexcept;
  explicit propagation(function* f) noexcept : failed(f) {}
  function* failed;
};

/// What the loop and other coroutines know of a coroutine that has been suspended, whatever its result is. It lies where
/// its promise begins.
struct coroutine_base : task, coroutine_hook {
  coroutine_base(shard& s, producer_base* its_result, std::source_location at) noexcept
      : task(&resume_task, s.context, s.group), result(its_result), site(at), since(s.coarse_now) {
    s.coroutines.push_back(*this);
    ++s.coroutines_suspended;
  }
  ~coroutine_base() { --current_shard->coroutines_suspended; }

  [[nodiscard]] std::coroutine_handle<> handle() noexcept {
    return std::coroutine_handle<coroutine_base>::from_promise(*this);
  }

  producer_base* result;  // null: a stream's
  propagation* propagates = nullptr;
  // Written when it is suspended, for the task dump:
  std::source_location site;
  time_point since;

  void waits_at(std::source_location where) noexcept {
    site = where;
    since = current_shard->coarse_now;
  }
  static void resume_task(task* t) noexcept;
};

inline coroutine_base* as_coroutine(task* t) noexcept {
  return t != nullptr && t->run == &coroutine_base::resume_task ? static_cast<coroutine_base*>(t) : nullptr;
}

/// A coroutine that was suspended is over, and its frame gone: who runs next. `waiter` may be null.
std::coroutine_handle<> hand_over(task* waiter) noexcept;
/// The same of one whose result is in its future: its frame goes now.
std::coroutine_handle<> end_suspended(coroutine_base& c) noexcept;
/// Destroys the frame of a coroutine that was suspended, with its coroutine_base, in its own context; none is in force then.
void destroy_suspended(coroutine_base& c) noexcept;

/// Awaitables call this when the coroutine behind `handle` is suspended.
template <class Promise>
coroutine_base& suspended(std::coroutine_handle<Promise> handle, std::source_location site) noexcept {
  static_assert(
      requires(Promise& p) { p.suspended_base(handle, site); },
      "atoll's awaitables can be awaited only in coroutines that return atoll::future or atoll::stream");
  return handle.promise().suspended_base(handle, site);
}

struct final_awaiter {
  bool done;  // it was never suspended: the frame goes now
  bool await_ready() const noexcept { return done; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
    return end_suspended(handle.promise().suspended());
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
  [[gnu::noinline, gnu::cold]] void await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
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
  }  // NOLINT(modernize-use-equals-default): destroy_suspended() has ended what was suspended

  future<T> get_return_object() noexcept {
#if defined(__GNUC__) && !defined(__clang__)
    refuse_misplaced(this);
#endif
    return future<T>(result_, typename future<T>::starting());
  }
  static future<T> get_return_object_on_allocation_failure() noexcept {
    return future<T>(error(status_code::resource_exhausted));
  }
  start_awaiter initial_suspend() const noexcept { return {}; }
  final_awaiter final_suspend() const noexcept { return {first_run_}; }
  void unhandled_exception(std::source_location at = std::source_location::current()) noexcept {
    result_.set_error(error::from_exception(std::current_exception(), at));
  }

  // g++ looks for the first, clang for the second; null gives get_return_object_on_allocation_failure().
  static void* operator new(std::size_t bytes) noexcept { return allocate(bytes); }
  static void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return allocate(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept { current_shard->blocks.free(block, bytes); }

  /// The part that a coroutine has from its first suspension on.
  template <class P>
  coroutine_base& suspended_base(std::coroutine_handle<P> /*handle*/, std::source_location site) noexcept {
    if (first_run_) {
      end_first_run(site);
    } else {
      suspended_.waits_at(site);
    }
    return suspended_;
  }
  /// REQUIRES: it has been suspended.
  coroutine_base& suspended() noexcept { return suspended_; }

  /// Fails the coroutine: destroys its locals and its frame, and puts the failure into its future. What runs next.
  /// `e` may lie in the frame.
  std::coroutine_handle<> fail_frame(error&& e) noexcept {
    if (!first_run_) return hand_over(fail_suspended(suspended_, std::move(e)));
    result_.set_error(std::move(e));
    std::coroutine_handle<Promise>::from_promise(static_cast<Promise&>(*this)).destroy();
    return std::noop_coroutine();
  }
  /// The same of one that has been suspended; gives who waits for it.
  static task* fail_suspended(coroutine_base& c, error&& e) noexcept {
    error failure(std::move(e));
    auto& self = reinterpret_cast<coroutine_promise_base&>(c);  // its first member
    // The locals go first, and may let go of the future of this very coroutine, or begin to wait for it.
    producer<T> result(std::move(self.result_));
    destroy_suspended(c);
    result.set_error(std::move(failure));
    return result.take_waiter();
  }

 protected:
  template <class... A>
  void finish_with_value(A&&... arguments) {
    result_.set_value(std::forward<A>(arguments)...);
  }
  void finish_with_error(error&& e) noexcept { result_.set_error(std::move(e)); }

 private:
  /// Its future's producer. Its waiter is set up with the first suspension; until then the future is there.
  struct result_producer final : producer<T> {
    result_producer() noexcept : producer<T>(producer_base::unset()) {}
    void starts_pending() noexcept {
      this->waiter_ = nullptr;
      this->consumer()->starts_pending(*this);
    }
  };

  static void* allocate(std::size_t bytes) noexcept {
    ATOLL_ASSERT(current_shard != nullptr, "a coroutine was called outside a shard");
    return current_shard->blocks.try_allocate(bytes);
  }
  [[gnu::noinline]] void end_first_run(std::source_location site) noexcept {
    first_run_ = false;
    ::new (static_cast<void*>(&suspended_)) coroutine_base(*current_shard, &result_, site);
    result_.starts_pending();
  }

  union {
    coroutine_base suspended_;
  };
  result_producer result_;
  bool first_run_ = true;  // it has not been suspended yet
};

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
    if (future_.failed()) return handle.promise().fail_frame(future_.give_error());
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
  static bool check(propagation* p, task*& waiter) noexcept {
    auto& self = *static_cast<or_fail_awaiter*>(p);
    coroutine_base& waits = *self.self_;
    waits.propagates = nullptr;
    if (!self.future_.failed()) return false;
    waiter = Promise::fail_suspended(waits, self.future_.give_error());
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
    return handle.promise().fail_frame(std::move(error_));
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
    detail::current_shard->tasks.push(detail::suspended(handle, site));
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
