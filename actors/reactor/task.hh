// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// task: one thing a shard can run next, and the queue of them.
//
// A task is a base of whatever can be run (a coroutine's promise, a message, a timer's action), so queueing
// one allocates nothing. It belongs to one shard and one scheduling group at a time. `run` is called once for
// each time it is scheduled, with the task's call context and group in force.
#pragma once

#include <cstdint>

#include <atoll/actors/base/rng.hh>
#include <atoll/actors/reactor/call_context.hh>

namespace atoll_root::atoll {

/// Which scheduling group: see scheduler.hh. 0 is the default group.
using group_id = std::uint8_t;

struct task {
  using run_function = void(task*) noexcept;

  task* next;  // of what waits in a queue
  run_function* run = nullptr;
  context_ptr context;
  group_id group = 0;
  bool ordered = false;  // keeps its place among the ordered tasks of its queue, even in a shuffled run
  bool at_once = false;  // from another shard, it runs on arrival and not in its turn: what only schedules others

  explicit task(run_function* function) noexcept : run(function) {}     // NOLINT: `next` is the queue's
  task(run_function* function, call_context* in, group_id of) noexcept  // NOLINT: the same
      : run(function), context(in), group(of) {}
  task(const task&) = delete;
  task& operator=(const task&) = delete;
  ~task() = default;
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

  /// How many are in it, counted one by one up to `most`.
  [[nodiscard]] std::size_t length(std::size_t most) const noexcept {
    std::size_t n = 0;
    for (const task* t = head_; t != nullptr && n < most; t = t->next) ++n;
    return n;
  }

  /// REQUIRES: !empty().
  task& pop() noexcept {
    task& t = *head_;
    head_ = t.next;
    return t;
  }

  /// One of the first tasks, drawn at random; ordered ones keep their order. For tests: what runs correctly
  /// only in FIFO order fails soon. REQUIRES: !empty().
  task& pop_shuffled(rng& random) noexcept;

 private:
  task* head_ = nullptr;
  task* tail_ = nullptr;
};

}  // namespace atoll_root::atoll
