// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// coroutine.no_suspend: a coroutine that returns at once, awaited by another one. coroutine.suspend_once: one that
// gives way once and is resumed by the loop. Both from the call to the destruction of the frame; ns a call.
#include "bench.hh"
#include "shard_bench.hh"
#include "shard_limits.hh"

namespace bench {
namespace {

[[gnu::noinline]] atoll::future<int> no_suspend(int i) { co_return i; }

atoll::future<double> no_suspend_ns() {
  constexpr int calls = 50'000;
  laps measured;
  while (measured.next(calls)) {
    for (int i = 0; i < calls; ++i) {
      const int v = co_await no_suspend(i);
      keep(v);
    }
  }
  co_return measured.median_ns();
}

[[gnu::noinline]] atoll::future<int> suspend_once(int i) {
  co_await atoll::yield();
  co_return i;
}

atoll::future<double> suspend_once_ns() {
  constexpr int calls = 30'000;
  laps measured;
  while (measured.next(calls)) {
    for (int i = 0; i < calls; ++i) {
      const int v = co_await suspend_once(i);
      keep(v);
    }
  }
  co_return measured.median_ns();
}

}  // namespace

std::vector<benchmark> coroutine_benches() {
  return {{"coroutine.no_suspend", "ns",
           [] {
             const double limit = raw_coroutine_ns();
             return pair{on_one_shard(no_suspend_ns), limit};
           },
           ratio_at_most(1.0)},
          {"coroutine.suspend_once", "ns",
           [] {
             const double limit = raw_suspend_once_ns();
             return pair{on_one_shard(suspend_once_ns), limit};
           },
           value_at_most(45)}};
}

}  // namespace bench
