// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The loops over an allocator that the alloc benches and their limits share, so that they differ in the allocator
// alone. An allocator here is anything with allocate(bytes) and free(block).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "measure.hh"

namespace bench {

inline constexpr std::size_t block_bytes = 64;

/// 1,000 live blocks, of which one that chance picks is freed and replaced: ns for a free and an allocation.
template <class Allocator>
double replace_ns(const Allocator& a) {
  constexpr std::size_t pairs = 60'000;
  std::array<void*, 1000> live{};
  std::array<std::uint16_t, 4096> order{};
  std::uint32_t chance = 1;
  for (auto& index : order) {
    chance = chance * 1664525 + 1013904223;
    index = static_cast<std::uint16_t>((chance >> 8) % live.size());
  }
  for (auto& block : live) block = a.allocate(block_bytes);
  laps measured;
  while (measured.next(pairs)) {
    for (std::size_t i = 0; i < pairs; ++i) {
      void*& block = live[order[i % order.size()]];
      a.free(block);
      block = a.allocate(block_bytes);
      *static_cast<std::size_t*>(block) = i;
    }
  }
  for (auto& block : live) a.free(block);
  return measured.median_ns();
}

/// Blocks on their way from the one who allocates them to the one who frees them.
struct block_ring {
  static constexpr std::uint64_t slots = 1024;
  static constexpr std::uint64_t batch = 64;
  static constexpr std::uint64_t lap_blocks = 5'120;
  static constexpr std::uint64_t laps_counted = 199;
  static constexpr std::uint64_t blocks = (laps_counted + 1) * lap_blocks;  // that pass through it in all

  alignas(64) std::atomic<std::uint64_t> written{0};
  alignas(64) std::atomic<std::uint64_t> read{0};
  alignas(64) std::array<void*, slots> content{};

  laps measured{laps_counted};  // by the one who allocates

  /// Allocates a batch if there is room for it; false once all blocks have been sent.
  template <class Allocator>
  bool send_batch(const Allocator& a) {
    const auto at = written.load(std::memory_order_relaxed);
    if (at == blocks) {
      measured.end();
      return false;
    }
    if (at + batch > read.load(std::memory_order_acquire) + slots) return true;
    if (at % lap_blocks == 0) measured.next(lap_blocks);
    for (std::uint64_t i = at; i < at + batch; ++i) {
      void* block = a.allocate(block_bytes);
      *static_cast<std::uint64_t*>(block) = i;
      content[i % slots] = block;
    }
    written.store(at + batch, std::memory_order_release);
    return true;
  }

  /// Frees what has arrived; false once all blocks have.
  template <class Allocator>
  bool free_arrived(const Allocator& a) {
    auto at = read.load(std::memory_order_relaxed);
    for (const auto there = written.load(std::memory_order_acquire); at < there; ++at) a.free(content[at % slots]);
    read.store(at, std::memory_order_release);
    return at < blocks;
  }
};
static_assert(block_ring::lap_blocks % block_ring::batch == 0 && block_ring::slots % block_ring::batch == 0);

}  // namespace bench
