// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// semaphore.uncontended: a unit taken and given back; ns for both. semaphore.contended_16 (and _10k): so many
// coroutines want one unit, and each holder yields once with it; ns an acquisition. channel.ping_pong: a coroutine that
// pushes and one that pops, over a channel with room for one item; ns an item.
#include <atoll/actors/sync/channel.hh>
#include <atoll/actors/sync/semaphore.hh>

#include "bench.hh"
#include "shard_bench.hh"
#include "shard_limits.hh"

namespace bench {
namespace {

atoll::future<double> uncontended_ns() {
  constexpr int times = 50'000;
  atoll::semaphore units{"bench", 1};
  laps measured;
  while (measured.next(times)) {
    for (int i = 0; i < times; ++i) {
      const auto held = co_await units.acquire(1);
      keep(i);
    }
  }
  co_return measured.median_ns();
}

atoll::future<> acquire_again(atoll::semaphore& units, std::uint64_t times) {
  for (std::uint64_t i = 0; i < times; ++i) {
    const auto held = co_await units.acquire(1);
    co_await atoll::yield();
  }
}

atoll::future<double> contended_ns(std::uint32_t waiters) {
  const std::uint64_t times = turns_of(waiters);
  atoll::semaphore units{"bench", 1};
  laps measured(laps_of(waiters));
  while (measured.next(times * waiters)) {
    std::vector<atoll::future<>> running;
    for (std::uint32_t i = 0; i < waiters; ++i) running.push_back(acquire_again(units, times));
    for (auto& each : running) co_await std::move(each);
  }
  co_return measured.median_ns();
}

atoll::future<> push_again(atoll::channel<int>& items, int count) {
  for (int i = 0; i < count; ++i) co_await items.push(1);
}

atoll::future<double> ping_pong_ns() {
  constexpr int count = 10'000;
  atoll::channel<int> items{"bench", 1};
  laps measured;
  while (measured.next(count)) {
    auto pushing = push_again(items, count);
    for (int i = 0; i < count; ++i) {
      const auto item = co_await items.pop();
      keep(item.value());
    }
    co_await std::move(pushing);
  }
  co_return measured.median_ns();
}

pair contended(std::uint32_t waiters) {
  const double limit = raw_semaphore_ns(waiters);
  return {on_one_shard([waiters] { return contended_ns(waiters); }), limit};
}

}  // namespace

std::vector<benchmark> sync_benches() {
  return {{"semaphore.uncontended", "ns",
           [] {
             const double limit = raw_semaphore_ns(1);
             return pair{on_one_shard(uncontended_ns), limit};
           },
           value_at_most(10)},
          {"semaphore.contended_16", "ns", [] { return contended(16); }, value_at_most(90)},
          {"semaphore.contended_10k", "ns", [] { return contended(10'000); }},
          {"channel.ping_pong", "ns",
           [] {
             const double limit = raw_channel_ns();
             return pair{on_one_shard(ping_pong_ns), limit};
           },
           value_at_most(60)}};
}

}  // namespace bench
