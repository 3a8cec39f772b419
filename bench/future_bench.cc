// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// future.ready_then: a function's ready future, continued and read; ns each.
// promise.wake: coroutines that each wait for a promise of their own, which another coroutine fulfils: from the making
// of the promise to the waiter's resumption; ns a wake. 64 wait at a time, so that the other one's own turns don't
// count; with /1 they do, with /10k the waiters are more than a core's caches hold.
// future.failure: a failure without a message, made in the innermost of three coroutines and taken as a value by who
// awaits the outermost; /4: one coroutine more. ns a failure.
#include "bench.hh"
#include "shard_bench.hh"
#include "shard_limits.hh"

namespace bench {
namespace {

[[gnu::noinline]] atoll::future<int> ready(int i) { return atoll::make_ready_future<int>(i); }

atoll::future<double> ready_then_ns() {
  constexpr int calls = 50'000;
  laps measured;
  while (measured.next(calls)) {
    for (int i = 0; i < calls; ++i) {
      auto f = ready(i).then([](int n) { return n + 1; });
      // Not ready now and then, where the chain of ready futures has to give way to other tasks.
      while (!f.available()) co_await atoll::yield();
      const int v = f.get();
      keep(v);
    }
  }
  co_return measured.median_ns();
}

struct waiters {
  explicit waiters(std::uint32_t count) : promises(count) {}

  std::vector<atoll::promise<int>*> promises;  // null: its waiter has not come back yet
  bool stop = false;
};

atoll::future<> wait_again(waiters& all, std::uint32_t self) {
  while (!all.stop) {
    atoll::promise<int> mine;
    all.promises[self] = &mine;
    const int v = co_await mine.get_future();
    keep(v);
  }
}

atoll::future<double> wake_ns(std::uint32_t count) {
  waiters all(count);
  std::vector<atoll::future<>> waiting;
  for (std::uint32_t i = 0; i < count; ++i) waiting.push_back(wait_again(all, i));
  const std::uint64_t wakes = 50'000 / count * count;
  laps measured;
  while (measured.next(wakes)) {
    for (std::uint64_t woken = 0; woken < wakes;) {
      for (auto& promise : all.promises) {
        if (promise == nullptr) continue;
        std::exchange(promise, nullptr)->set_value(1);
        ++woken;
      }
      co_await atoll::yield();
    }
  }
  all.stop = true;
  for (auto* promise : all.promises) {
    if (promise != nullptr) promise->set_value(1);
  }
  for (auto& w : waiting) co_await std::move(w);
  co_return measured.median_ns();
}

[[gnu::noinline]] atoll::future<int> fail_through(std::uint32_t frames) {
  if (frames == 1) co_await atoll::fail(atoll::error(atoll::status_code::not_found));
  const int v = co_await atoll::or_fail(fail_through(frames - 1));
  co_return v;
}

atoll::future<double> failure_ns(std::uint32_t frames) {
  constexpr int calls = 2'000;
  laps measured;
  while (measured.next(calls)) {
    for (int i = 0; i < calls; ++i) {
      const auto r = co_await atoll::as_result(fail_through(frames));
      keep(r.has_value());
    }
  }
  co_return measured.median_ns();
}

}  // namespace

std::vector<benchmark> future_benches() {
  const auto wake = [](std::uint32_t count) {
    const double limit = raw_wake_ns(count);
    return pair{on_one_shard([count] { return wake_ns(count); }), limit};
  };
  const auto failure = [](std::uint32_t frames) {
    const double limit = raw_failure_ns(frames);
    return pair{on_one_shard([frames] { return failure_ns(frames); }), limit};
  };
  return {{"future.ready_then", "ns",
           [] {
             const double limit = raw_ready_ns();
             return pair{on_one_shard(ready_then_ns), limit};
           },
           value_at_most(8)},
          {"promise.wake", "ns", [wake] { return wake(64); }, value_at_most(35)},
          {"promise.wake/1", "ns", [wake] { return wake(1); }},
          {"promise.wake/10k", "ns", [wake] { return wake(10'000); }},
          {"future.failure", "ns", [failure] { return failure(3); }, value_at_most(80)},
          {"future.failure/4", "ns", [failure] { return failure(4); }}};
}

}  // namespace bench
