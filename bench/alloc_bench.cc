// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// alloc.small: operator new and delete on a shard, 64 bytes, 1,000 live; ns a pair. alloc.cross: allocated on shard 0,
// freed on shard 1; ns a block. alloc.frame: a block of 128 bytes from the shard's free lists and back; ns a pair.
#include <memory>
#include <new>

#include <atoll/sharding/submit.hh>

#include "alloc_limit.hh"
#include "bench.hh"
#include "shard_bench.hh"
#include "shard_limits.hh"

namespace bench {
namespace {

struct operators {
  void* allocate(std::size_t bytes) const { return ::operator new(bytes); }
  void free(void* block) const { ::operator delete(block, block_bytes); }
};

atoll::future<double> small_ns() { co_return replace_ns(operators{}); }

atoll::future<> free_all(block_ring* ring) {
  while (ring->free_arrived(operators{})) co_await atoll::yield();
}

atoll::future<double> cross_ns() {
  const auto ring = std::make_unique<block_ring>();
  auto freed = atoll::submit_to(1, [to_free = ring.get()] { return free_all(to_free); });
  while (ring->send_batch(operators{})) co_await atoll::yield();
  co_await std::move(freed);
  co_return ring->measured.median_ns();
}

atoll::future<double> frame_ns() {
  constexpr int calls = 200'000;
  laps measured;
  while (measured.next(calls)) {
    for (int i = 0; i < calls; ++i) {
      void* block = atoll::pool_allocate(128);
      keep(block);
      atoll::pool_free(block, 128);
    }
  }
  co_return measured.median_ns();
}

}  // namespace

std::vector<benchmark> alloc_benches() {
  return {{"alloc.small", "ns",
           [] {
             const double limit = bare_alloc_ns();
             return pair{on_one_shard(small_ns), limit};
           },
           ratio_at_most(1.05)},
          {"alloc.cross", "ns",
           [] {
             const double limit = bare_alloc_cross_ns();
             return pair{in_runtime({.count = 2}, cross_ns), limit};
           },
           ratio_at_most(1.05)},
          {"alloc.frame", "ns",
           [] {
             const double limit = raw_free_list_ns();
             return pair{on_one_shard(frame_ns), limit};
           },
           value_at_most(4)}};
}

}  // namespace bench
