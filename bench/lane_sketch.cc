// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What a call between two cores costs at the very least: its record lies in the caller's frame, the handler's frame comes
// from a free list, and up to 14 records are published together. No context, no bounds, no failure, no cancellation, no
// counts, one caller thread and one callee thread that spin.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "bench.hh"
#include "raw_coroutine.hh"

namespace bench {
namespace {

struct record {
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::uint64_t sum = 0;
  std::coroutine_handle<> caller;
};

/// Records one way, by cache lines that say how many they hold.
class lane {
 public:
  void send(record& r) noexcept {
    unpublished_[count_++] = &r;
    if (count_ == unpublished_.size()) publish();
  }
  void publish() noexcept {
    for (std::size_t sent = 0; sent < count_;) {
      line& l = lines_[tail_ % lines_.size()];
      if (l.count.load(std::memory_order_acquire) != 0) continue;
      const std::size_t n = std::min(count_ - sent, l.records.size());
      for (std::size_t i = 0; i < n; ++i) l.records[i] = unpublished_[sent++];
      l.count.store(n, std::memory_order_release);
      ++tail_;
    }
    count_ = 0;
  }
  template <class F>
  void receive(F f) noexcept {
    while (true) {
      line& l = lines_[head_ % lines_.size()];
      const std::size_t n = l.count.load(std::memory_order_acquire);
      if (n == 0) return;
      for (std::size_t i = 0; i < n; ++i) __builtin_prefetch(l.records[i], 1);
      for (std::size_t i = 0; i < n; ++i) f(*l.records[i]);
      l.count.store(0, std::memory_order_release);
      ++head_;
    }
  }

 private:
  struct alignas(64) line {
    std::atomic<std::uint64_t> count{0};
    std::array<record*, 7> records{};
  };

  std::array<line, 256> lines_;
  alignas(64) std::array<record*, 14> unpublished_{};
  std::size_t count_ = 0;
  std::size_t tail_ = 0;
  alignas(64) std::size_t head_ = 0;
};

raw::job serve(record& r, lane& back) {
  r.sum = r.a + r.b;
  back.send(r);
  co_return;
}

struct call {
  record& r;
  lane& way;
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> handle) const noexcept {
    r.caller = handle;
    way.send(r);
  }
  std::uint64_t await_resume() const noexcept { return r.sum; }
};

raw::job call_again(lane& way, std::uint64_t calls, std::uint64_t& left) {
  record r;
  for (std::uint64_t i = 0; i < calls; ++i) {
    r.a = i;
    r.b = 1;
    const std::uint64_t sum = co_await call{r, way};
    if (sum != i + 1) std::terminate();
    --left;
  }
}

}  // namespace

double sketched_call_ns(std::uint32_t outstanding) {
  const std::uint64_t each = (outstanding == 1 ? 300'000 : 2'000'000) / outstanding;
  const auto there = std::make_unique<lane>();
  const auto back = std::make_unique<lane>();
  std::atomic<bool> ends{false};
  std::thread callee([&] {
    pin(1);
    while (!ends.load(std::memory_order_relaxed)) {
      there->receive([&back](record& r) { serve(r, *back); });
      back->publish();
    }
  });
  double ns = 0;
  std::thread caller([&] {
    pin(0);
    std::uint64_t left = each * outstanding;
    const auto begin = std::chrono::steady_clock::now();
    for (std::uint32_t i = 0; i < outstanding; ++i) call_again(*there, each, left);
    raw::run_queue ready;
    while (left > 0) {
      there->publish();
      back->receive([&ready](record& r) { ready.push(r.caller); });
      ready.run();
    }
    const auto took = std::chrono::steady_clock::now() - begin;
    ns = static_cast<double>(took.count()) / static_cast<double>(each * outstanding);
    ends = true;
  });
  caller.join();
  callee.join();
  return ns;
}

}  // namespace bench
