// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// task: one thing a shard can run next, and the queue of them.
//
// A task is a base of whatever can be run (a coroutine's promise, a message, a timer's action), so queueing
// one allocates nothing. It belongs to one shard at a time. `run` is called once for each time it is
// scheduled, with the task's call context in force.
#pragma once

#include <coroutine>
#include <cstdint>

#include <atoll/actors/reactor/call_context.hh>

namespace atoll_root::atoll {

struct task {
  using run_function = void(task*) noexcept;

  task* next = nullptr;
  run_function* run = nullptr;
  void* frame = nullptr;  // of the coroutine this task resumes; null for any other task
  context_ptr context;

  explicit task(run_function* function) noexcept : run(function) {}
  task(const task&) = delete;
  task& operator=(const task&) = delete;
  ~task() = default;

  /// The run function of a task that stands for a suspended coroutine.
  static void resume_frame(task* t) noexcept { std::coroutine_handle<>::from_address(t->frame).resume(); }
};

/// A FIFO of tasks; intrusive, unbounded because each task in it is somebody's memory already.
class run_queue {
 public:
  [[nodiscard]] bool empty() const noexcept { return head_ == nullptr; }

  void push(task& t) noexcept {
    t.next = nullptr;
    *(head_ == nullptr ? &head_ : &tail_->next) = &t;
    tail_ = &t;
  }

  /// REQUIRES: !empty().
  task& pop() noexcept {
    task& t = *head_;
    head_ = t.next;
    return t;
  }

 private:
  task* head_ = nullptr;
  task* tail_ = nullptr;
};

}  // namespace atoll_root::atoll
