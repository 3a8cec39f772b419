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
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace bench {

/// Makes the compiler believe that `value` is read here, and that all memory may have been.
template <class T>
inline void keep(const T& value) {
  asm volatile("" : : "r,m"(value) : "memory");
}

/// REQUIRES: not empty.
inline double median(std::vector<double> figures) {
  const auto middle = figures.begin() + static_cast<std::ptrdiff_t>(figures.size() / 2);
  std::nth_element(figures.begin(), middle, figures.end());
  return *middle;
}

inline std::int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// Times the same work again and again and gives the median, so that being preempted now and then doesn't count: laps
/// of less than a millisecond fit into a time slice. The first lap warms up and is left out.
class laps {
 public:
  explicit laps(std::size_t count = 31) : ns_(count) {}

  /// Ends the lap under way, and begins another one of so many operations unless all have been run.
  bool next(std::uint64_t operations) {
    end();
    if (lap_ > ns_.size()) return false;
    ++lap_;
    operations_ = operations;
    begin_ = steady_ns();
    return true;
  }

  /// Ends the lap under way: for what has to be done between two laps.
  void end() {
    const auto now = steady_ns();
    if (operations_ > 0 && lap_ >= 2) {
      ns_[lap_ - 2] = static_cast<double>(now - begin_) / static_cast<double>(operations_);
    }
    operations_ = 0;
  }

  [[nodiscard]] double median_ns() { return median(ns_); }

 private:
  std::vector<double> ns_;
  std::size_t lap_ = 0;           // 1 is the one that warms up
  std::uint64_t operations_ = 0;  // of the lap under way; 0 between two
  std::int64_t begin_ = 0;
};

// Coroutines that take turns are made anew for each lap: with many of them, fewer and longer laps keep their making
// below a hundredth of the work.
inline std::uint64_t turns_of(std::uint32_t coroutines) { return std::max(100U, 50'000U / coroutines); }
inline std::size_t laps_of(std::uint32_t coroutines) { return coroutines < 1'000 ? 31 : 5; }

/// Binds the calling thread to a processor.
void run_on_processor(unsigned cpu);
/// Runs f on a new thread that is bound to processor 0, where shard 0 runs, and gives its figure.
double on_bare_thread(const std::function<double()>& f);

}  // namespace bench
