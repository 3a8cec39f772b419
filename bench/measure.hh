// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What the loops of the benches and of their limits measure with; nothing of atoll, so that a limit can use it.
//
//   laps measured;
//   while (measured.next(operations)) {
//     for (...) { work(); keep(result); }
//   }
//   return measured.median_ns();
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace bench {

/// Makes the compiler believe that `value` is read here, and that all memory may have been.
template <class T>
inline void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

inline std::int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Times the same work a few times and gives the median, so that one preemption doesn't count. The first lap warms up
/// and is left out.
class laps {
 public:
  static constexpr std::size_t count = 5;

  /// Ends the lap under way, and begins another one of so many operations unless all have been run.
  bool next(std::uint64_t operations) {
    const auto now = steady_ns();
    if (lap_ >= 2) ns_[lap_ - 2] = static_cast<double>(now - begin_) / static_cast<double>(operations_);
    if (lap_ > count) return false;
    ++lap_;
    operations_ = operations;
    begin_ = steady_ns();
    return true;
  }

  [[nodiscard]] double median_ns() {
    std::nth_element(ns_.begin(), ns_.begin() + count / 2, ns_.end());
    return ns_[count / 2];
  }

 private:
  std::array<double, count> ns_{};
  std::size_t lap_ = 0;  // 1 is the one that warms up
  std::uint64_t operations_ = 1;
  std::int64_t begin_ = 0;
};

/// Binds the calling thread to a processor.
void run_on_processor(unsigned cpu);
/// Runs f on a new thread that is bound to processor 0, where shard 0 runs, and gives its figure.
double on_bare_thread(const std::function<double()>& f);

}  // namespace bench
