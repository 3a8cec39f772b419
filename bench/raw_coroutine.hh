// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The least a coroutine can be, for the limits: a lazy task whose frame comes from the thread's free lists, and a ring
// of bare handles as the run queue. No context, no failure, no bound, one waiter.
#pragma once

#include <array>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <new>
#include <utility>

namespace bench::raw {

/// Free lists of 64-byte classes; what is in them stays until the process ends.
struct free_frames {
  static constexpr std::size_t classes = 8;
  std::array<void*, classes> heads{};

  void* allocate(std::size_t bytes) {
    const std::size_t index = (bytes - 1) / 64;
    if (index >= classes) std::terminate();
    void* block = heads[index];
    if (block == nullptr) return ::operator new((index + 1) * 64);
    heads[index] = *static_cast<void**>(block);
    return block;
  }
  void free(void* block, std::size_t bytes) noexcept {
    void*& head = heads[(bytes - 1) / 64];
    *static_cast<void**>(block) = head;
    head = block;
  }
};
inline constinit thread_local free_frames frames;

struct pooled {
  static void* operator new(std::size_t bytes) { return frames.allocate(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept { frames.free(block, bytes); }
};

/// Runs when it is awaited, and resumes who awaits it when it ends.
template <class T>
class task {
 public:
  struct promise_type : pooled {
    struct final_awaiter {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> handle) const noexcept {
        return handle.promise().waiter;
      }
      void await_resume() const noexcept {}
    };
    task get_return_object() noexcept { return task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    final_awaiter final_suspend() const noexcept { return {}; }
    void unhandled_exception() const noexcept { std::terminate(); }
    void return_value(T v) noexcept { value = std::move(v); }

    std::coroutine_handle<> waiter;
    T value{};
  };

  explicit task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  task(const task&) = delete;
  task& operator=(const task&) = delete;
  ~task() { handle_.destroy(); }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) noexcept {
    handle_.promise().waiter = waiter;
    return handle_;
  }
  T await_resume() noexcept { return std::move(handle_.promise().value); }

 private:
  std::coroutine_handle<promise_type> handle_;
};

/// Runs when it is called, to its end; nobody awaits it.
struct job {
  struct promise_type : pooled {
    job get_return_object() const noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void unhandled_exception() const noexcept { std::terminate(); }
    void return_void() const noexcept {}
  };
};

/// A FIFO of at most 16,384 handles.
class run_queue {
 public:
  void push(std::coroutine_handle<> handle) noexcept { handles_[tail_++ % handles_.size()] = handle; }
  std::coroutine_handle<> pop() noexcept { return handles_[head_++ % handles_.size()]; }
  [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
  /// The event loop.
  void run() {
    while (!empty()) pop().resume();
  }

  struct turn {
    run_queue& queue;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> handle) const noexcept { queue.push(handle); }
    void await_resume() const noexcept {}
  };
  turn yield() noexcept { return {*this}; }

 private:
  std::array<std::coroutine_handle<>, 16384> handles_{};
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

/// Leaves the handle of who awaits it in a place where another one finds it.
struct leave_handle {
  std::coroutine_handle<>& place;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept { place = handle; }
  void await_resume() const noexcept {}
};

}  // namespace bench::raw
