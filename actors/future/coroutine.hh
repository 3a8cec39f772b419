// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What makes `atoll::future<T>` a coroutine type. Included by future.hh.
//
// The promise is at once the coroutine's task (so resuming it allocates nothing), the state of its result
// (so its future is a pointer to the frame) and the holder of its call context. A coroutine starts inside
// the call. When it ends it hands over to the coroutine that awaits it; the frame goes with the future.
// Coroutines don't take rvalue references: the frame would keep a reference to a dead temporary.
#pragma once

#include <coroutine>

#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll {
namespace detail {

struct final_awaiter {
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
    auto& self = handle.promise();
    task* waiter = self.take_waiter();
    if (waiter == nullptr) {
      // A frame that goes here may hold the last reference to the context that is in force.
      const context_ptr in_force(this_shard().context);
      self.producer_leaves();
      if (in_force.is_last()) this_shard().context = nullptr;
      return std::noop_coroutine();
    }
    self.producer_leaves();  // somebody waits, so the frame stays
    if (waiter->frame == nullptr) {
      schedule(*waiter);
      return std::noop_coroutine();
    }
    this_shard().context = waiter->context.get();
    return std::coroutine_handle<>::from_address(waiter->frame);
  }
  void await_resume() const noexcept {}
};

template <class T, class Promise>
class coroutine_promise_base : public task, public state<T> {
 public:
  coroutine_promise_base() noexcept : task(&task::resume_frame), state<T>(&destroy) {
    const auto handle = std::coroutine_handle<Promise>::from_promise(static_cast<Promise&>(*this));
    task::frame = handle.address();
    task::context = context_ptr(this_shard().context);
  }

  future<T> get_return_object() noexcept { return future<T>(static_cast<state<T>&>(*this)); }
  std::suspend_never initial_suspend() const noexcept { return {}; }
  final_awaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { this->set_error(error::from_exception(std::current_exception())); }

  static void* operator new(std::size_t bytes) { return pool_allocate(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept { pool_free(block, bytes); }

 private:
  static void destroy(state_base* s) noexcept {
    auto& self = static_cast<Promise&>(static_cast<state<T>&>(*s));
    std::coroutine_handle<Promise>::from_promise(self).destroy();
  }
};

template <class T>
class coroutine_promise final : public coroutine_promise_base<T, coroutine_promise<T>> {
 public:
  // By value and no template, so that a conversion is the business of the co_return, not of this header.
  void return_value(T value) { this->set_value(std::move(value)); }
  void return_value(error e)
    requires(!std::is_same_v<T, error>)
  {
    this->set_error(std::move(e));
  }
  template <class R>
    requires std::is_same_v<R, result<T>>
  void return_value(R r) {
    this->set_result(std::move(r));
  }
};

template <>
class coroutine_promise<void> final : public coroutine_promise_base<void, coroutine_promise<void>> {
 public:
  void return_void() noexcept { this->set_value(); }
};

}  // namespace detail

/// Ends the coroutine that awaits it with this failure, without a C++ throw:
/// `co_await atoll::fail(status_code::not_found, "no such key");`
class [[nodiscard]] fail {
 public:
  explicit fail(error e) noexcept : error_(std::move(e)) {}
  fail(status_code code, std::string message) : error_(code, std::move(message)) {}

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    auto& self = handle.promise();
    self.set_error(std::move(error_));
    // The frame stays at this suspension point: locals are destroyed with it, when the future goes.
    return detail::final_awaiter{}.await_suspend(handle);
  }
  [[noreturn]] void await_resume() const noexcept {
    ATOLL_ASSERT(false, "a failed coroutine was resumed");
    __builtin_unreachable();
  }

 private:
  error error_;
};

/// Lets every other ready task of this shard run first: `co_await atoll::yield();`
struct [[nodiscard]] yield {
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
    schedule(detail::task_of(handle));
  }
  void await_resume() const noexcept {}
};

}  // namespace atoll_root::atoll

template <class T, class... A>
struct std::coroutine_traits<atoll::future<T>, A...> {
  static_assert((!std::is_rvalue_reference_v<A> && ...),
                "an atoll coroutine takes its parameters by value: an rvalue reference would dangle "
                "after the first co_await");
  using promise_type = atoll::detail::coroutine_promise<T>;
};
