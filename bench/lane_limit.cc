// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The limit for calls between two cores: rings and nothing else.
#include <pthread.h>
#include <sched.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "bench.hh"

namespace bench {
namespace {

constexpr std::size_t slots = 1024;

struct alignas(64) slot {
  std::uint64_t payload = 0;
};

struct ring {
  alignas(64) std::atomic<std::uint64_t> written{0};
  alignas(64) std::atomic<std::uint64_t> read{0};
  std::array<slot, slots> content{};
};

}  // namespace

void pin(unsigned cpu) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  CPU_SET(cpu, &mask);
  ::pthread_setaffinity_np(::pthread_self(), sizeof mask, &mask);
}

double ring_round_trip_ns(std::uint32_t outstanding) {
  constexpr std::uint64_t trips = 2'000'000;
  auto requests = std::make_unique<ring>();
  auto responses = std::make_unique<ring>();
  std::thread echo([&] {
    pin(1);
    for (std::uint64_t done = 0; done < trips;) {
      const auto there = requests->written.load(std::memory_order_acquire);
      if (there == done) continue;
      for (; done < there; ++done) responses->content[done % slots].payload = requests->content[done % slots].payload;
      responses->written.store(done, std::memory_order_release);  // published a sweep
    }
  });
  double ns = 0;
  std::thread caller([&] {
    pin(0);
    const auto begin = std::chrono::steady_clock::now();
    std::uint64_t sum = 0;
    std::uint64_t sent = 0;
    for (std::uint64_t back = 0; back < trips;) {
      for (; sent < trips && sent - back < outstanding; ++sent) requests->content[sent % slots].payload = sent;
      requests->written.store(sent, std::memory_order_release);
      const auto there = responses->written.load(std::memory_order_acquire);
      for (; back < there; ++back) sum += responses->content[back % slots].payload;
    }
    const auto took = std::chrono::steady_clock::now() - begin;
    ns = static_cast<double>(took.count()) / static_cast<double>(trips) + (sum == 0 ? 1 : 0);
  });
  caller.join();
  echo.join();
  return ns;
}

double ring_one_way_ns() {
  constexpr std::uint64_t values = 20'000'000;
  constexpr std::uint64_t capacity = 4096;
  constexpr std::uint64_t batch = 64;
  struct values_ring {
    alignas(64) std::atomic<std::uint64_t> written{0};
    alignas(64) std::atomic<std::uint64_t> read{0};
    alignas(64) std::array<std::uint64_t, capacity> content{};
  };
  const auto ring = std::make_unique<values_ring>();
  std::thread writer([&] {
    pin(1);
    for (std::uint64_t sent = 0; sent < values; sent += batch) {
      while (sent + batch - ring->read.load(std::memory_order_acquire) > capacity) continue;
      for (std::uint64_t i = sent; i < sent + batch; ++i) ring->content[i % capacity] = i;
      ring->written.store(sent + batch, std::memory_order_release);
    }
  });
  double ns = 0;
  std::thread reader([&] {
    pin(0);
    const auto begin = std::chrono::steady_clock::now();
    std::uint64_t sum = 0;
    for (std::uint64_t done = 0; done < values;) {
      const auto there = ring->written.load(std::memory_order_acquire);
      for (; done < there; ++done) sum += ring->content[done % capacity];
      ring->read.store(done, std::memory_order_release);
    }
    const auto took = std::chrono::steady_clock::now() - begin;
    ns = static_cast<double>(took.count()) / static_cast<double>(values) + (sum == 0 ? 1 : 0);
  });
  reader.join();
  writer.join();
  return ns;
}

}  // namespace bench
