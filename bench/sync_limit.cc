// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The limits for synchronisation: a counter or a slot, bare handles that wait, and a ring of handles as the run queue.
#include <memory>
#include <optional>

#include "measure.hh"
#include "raw_coroutine.hh"
#include "shard_limits.hh"

namespace bench {
namespace {

class semaphore {
 public:
  semaphore(raw::run_queue& queue, std::uint32_t units) noexcept : queue_(queue), units_(units) {}

  struct acquisition {
    semaphore& from;
    bool await_ready() const noexcept {
      if (from.units_ == 0) return false;
      --from.units_;
      return true;
    }
    void await_suspend(std::coroutine_handle<> handle) const noexcept {
      from.waiting_[from.tail_++ % waiters_max] = handle;
    }
    void await_resume() const noexcept {}
  };
  acquisition acquire() noexcept { return {*this}; }

  /// The first waiter gets the unit.
  void release() noexcept {
    if (head_ == tail_) {
      ++units_;
    } else {
      queue_.push(waiting_[head_++ % waiters_max]);
    }
  }

 private:
  static constexpr std::size_t waiters_max = 16'384;

  raw::run_queue& queue_;
  std::uint32_t units_;
  std::array<std::coroutine_handle<>, waiters_max> waiting_{};
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

raw::job acquire_uncontended(semaphore& s, std::uint64_t times) {
  for (std::uint64_t i = 0; i < times; ++i) {
    co_await s.acquire();
    keep(i);
    s.release();
  }
}

raw::job acquire_contended(raw::run_queue& queue, semaphore& s, std::uint64_t times) {
  for (std::uint64_t i = 0; i < times; ++i) {
    co_await s.acquire();
    co_await queue.yield();
    s.release();
  }
}

struct slot {
  std::optional<int> item;
  std::coroutine_handle<> waiter;  // for room or for an item

  void wake(raw::run_queue& queue) noexcept {
    if (waiter) queue.push(std::exchange(waiter, nullptr));
  }
};

raw::job push_again(raw::run_queue& queue, slot& s, std::uint64_t items) {
  for (std::uint64_t i = 0; i < items; ++i) {
    while (s.item) co_await raw::leave_handle{s.waiter};
    s.item = static_cast<int>(i);
    s.wake(queue);
  }
}

raw::job pop_again(raw::run_queue& queue, slot& s, std::uint64_t items) {
  for (std::uint64_t i = 0; i < items; ++i) {
    while (!s.item) co_await raw::leave_handle{s.waiter};
    keep(*s.item);
    s.item.reset();
    s.wake(queue);
  }
}

}  // namespace

double raw_semaphore_ns(std::uint32_t waiters) {
  return on_bare_thread([waiters] {
    auto queue = std::make_unique<raw::run_queue>();
    auto units = std::make_unique<semaphore>(*queue, 1);
    const std::uint64_t times = turns_of(waiters);
    laps measured(laps_of(waiters));
    while (measured.next(times * waiters)) {
      if (waiters == 1) acquire_uncontended(*units, times);
      for (std::uint32_t i = 0; waiters > 1 && i < waiters; ++i) acquire_contended(*queue, *units, times);
      queue->run();
    }
    return measured.median_ns();
  });
}

double raw_channel_ns() {
  return on_bare_thread([] {
    constexpr std::uint64_t items = 100'000;
    auto queue = std::make_unique<raw::run_queue>();
    laps measured;
    while (measured.next(items)) {
      slot s;
      push_again(*queue, s, items);
      pop_again(*queue, s, items);
      queue->run();
    }
    return measured.median_ns();
  });
}

}  // namespace bench
