// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include "shard_limits.hh"

#include <memory>
#include <string>
#include <vector>

#include "measure.hh"
#include "raw_coroutine.hh"

namespace bench {
namespace {

[[gnu::noinline]] raw::task<int> raw_no_suspend(int i) { co_return i; }

raw::job raw_no_suspend_again(laps& measured, int calls) {
  while (measured.next(static_cast<std::uint64_t>(calls))) {
    for (int i = 0; i < calls; ++i) {
      const int v = co_await raw_no_suspend(i);
      keep(v);
    }
  }
}

[[gnu::noinline]] raw::task<int> raw_suspend_once(raw::run_queue& queue, int i) {
  co_await queue.yield();
  co_return i;
}

raw::job raw_suspend_once_again(raw::run_queue& queue, laps& measured, int calls) {
  while (measured.next(static_cast<std::uint64_t>(calls))) {
    for (int i = 0; i < calls; ++i) {
      const int v = co_await raw_suspend_once(queue, i);
      keep(v);
    }
  }
}

raw::job raw_yield_again(raw::run_queue& queue, std::uint64_t turns) {
  for (std::uint64_t i = 0; i < turns; ++i) co_await queue.yield();
}

/// In two registers: an optional<int> is put together in memory, and read back from there at three times the price.
struct outcome {
  std::int64_t value = 0;
  std::int64_t ready = 0;
};

[[gnu::noinline]] outcome raw_ready(int i) { return {i, 1}; }

template <class F>
[[gnu::noinline]] outcome raw_then(outcome source, F f) {
  return source.ready == 1 ? outcome{f(source.value), 1} : source;
}

raw::job raw_wait_again(std::coroutine_handle<>& place, const bool& stop) {
  while (!stop) co_await raw::leave_handle{place};
}

raw::job raw_wake_again(raw::run_queue& queue, std::vector<std::coroutine_handle<>>& places, bool& stop,
                        laps& measured) {
  const std::uint64_t rounds = 50'000 / places.size() + 1;
  while (measured.next(rounds * places.size())) {
    for (std::uint64_t i = 0; i < rounds; ++i) {
      for (auto& place : places) queue.push(std::exchange(place, nullptr));
      co_await queue.yield();
    }
  }
  stop = true;
  for (auto& place : places) queue.push(place);
}

/// A failure without a message, as big as one with.
struct failure {
  std::unique_ptr<std::string> message;
  std::uint8_t code = 0;
};

[[gnu::noinline]] raw::task<failure> raw_fail_through(std::uint32_t frames) {
  if (frames == 1) co_return failure{nullptr, 5};
  auto below = co_await raw_fail_through(frames - 1);
  co_return below;
}

raw::job raw_fail_again(laps& measured, std::uint32_t frames) {
  constexpr int calls = 20'000;
  while (measured.next(calls)) {
    for (int i = 0; i < calls; ++i) {
      const auto f = co_await raw_fail_through(frames);
      keep(f.code);
    }
  }
}

struct hook {
  hook* previous = this;
  hook* next = this;
};

}  // namespace

double raw_coroutine_ns() {
  return on_bare_thread([] {
    laps measured;
    raw_no_suspend_again(measured, 100'000);
    return measured.median_ns();
  });
}

double raw_suspend_once_ns() {
  return on_bare_thread([] {
    laps measured;
    auto queue = std::make_unique<raw::run_queue>();
    raw_suspend_once_again(*queue, measured, 100'000);
    queue->run();
    return measured.median_ns();
  });
}

double raw_yield_ns(std::uint32_t tasks) {
  return on_bare_thread([tasks] {
    laps measured(laps_of(tasks));
    auto queue = std::make_unique<raw::run_queue>();
    const std::uint64_t turns = turns_of(tasks);
    while (measured.next(turns * tasks)) {
      for (std::uint32_t i = 0; i < tasks; ++i) raw_yield_again(*queue, turns);
      queue->run();
    }
    return measured.median_ns();
  });
}

double raw_ready_ns() {
  return on_bare_thread([] {
    laps measured;
    constexpr int calls = 250'000;
    while (measured.next(calls)) {
      for (int i = 0; i < calls; ++i) keep(raw_then(raw_ready(i), [](std::int64_t n) { return n + 1; }).value);
    }
    return measured.median_ns();
  });
}

double raw_wake_ns(std::uint32_t waiters) {
  return on_bare_thread([waiters] {
    laps measured;
    auto queue = std::make_unique<raw::run_queue>();
    bool stop = false;
    std::vector<std::coroutine_handle<>> places(waiters);
    for (auto& place : places) raw_wait_again(place, stop);
    raw_wake_again(*queue, places, stop, measured);
    queue->run();
    return measured.median_ns();
  });
}

double raw_failure_ns(std::uint32_t frames) {
  return on_bare_thread([frames] {
    laps measured;
    raw_fail_again(measured, frames);
    return measured.median_ns();
  });
}

double raw_list_ns() {
  return on_bare_thread([] {
    laps measured;
    constexpr std::size_t calls = 250'000;
    hook root;
    std::array<hook, 64> nodes;
    const auto put = [&root](hook& n) {
      n.previous = root.previous;
      n.next = &root;
      root.previous->next = &n;
      root.previous = &n;
    };
    for (auto& n : nodes) put(n);
    while (measured.next(calls)) {
      for (std::size_t i = 0; i < calls; ++i) {
        hook& n = nodes[i % nodes.size()];
        n.previous->next = n.next;
        n.next->previous = n.previous;
        put(n);
        keep(root.next);
      }
    }
    return measured.median_ns();
  });
}

double raw_free_list_ns() {
  return on_bare_thread([] {
    laps measured;
    constexpr int calls = 250'000;
    while (measured.next(calls)) {
      for (int i = 0; i < calls; ++i) {
        void* block = raw::frames.allocate(128);
        keep(block);
        raw::frames.free(block, 128);
      }
    }
    return measured.median_ns();
  });
}

}  // namespace bench
