// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// alloc_failures: allocations that fail when a test says so. Linking what uses it replaces operators new and delete.
//
//   {
//     const auto failing = alloc_failures::after(3);          // the third allocation of this thread throws bad_alloc
//     EXPECT_THROW(table.grow(), std::bad_alloc);
//   }
//   co_await for_each_allocation_failure([] { return copy_and_send(); });   // failing at the 1st, 2nd, ... allocation
//
// Counted is what goes through operator new, which is all that atoll's own code allocates: while failures are on, the
// shard's free lists are switched off, so coroutine frames and promises count, too. malloc() does not, nor does what the
// runtime of C++ keeps for exceptions.
// Thread rules: of the thread that asks for it; one at a time a thread.
#pragma once

#include <cstdint>
#include <functional>

#include <gtest/gtest.h>

#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll::testing {

class alloc_failures {
 public:
  static constexpr std::uint64_t all = UINT64_MAX;

  /// The nth allocation of this thread from now on fails, and so do those after it, `failures` in all. 1 is the next
  /// one; 0 is none: then allocations are only counted.
  static alloc_failures after(std::uint64_t n, std::uint64_t failures = 1) { return alloc_failures(n, failures); }
  explicit alloc_failures(std::uint64_t n, std::uint64_t failures = 1) noexcept;
  alloc_failures(const alloc_failures&) = delete;
  alloc_failures& operator=(const alloc_failures&) = delete;
  ~alloc_failures();

  /// Of this thread, since it was made.
  [[nodiscard]] std::uint64_t allocations() const noexcept;
  [[nodiscard]] std::uint64_t failed() const noexcept;

  /// Calls of operator new that this thread has made so far, also while no failures are on.
  static std::uint64_t of_this_thread() noexcept;
  /// Blocks of operator new that exist, of all threads.
  static std::int64_t blocks_alive() noexcept;

 private:
  bool pooled_;
};

struct sweep_options {
  std::uint64_t failures = 1;          // in a row, in each run
  std::uint64_t runs_max = 2000;       // more allocations in one run are a mistake of the test
  std::uint32_t shard = 0;             // whose allocations fail; the body runs on this shard, the caller's
  bool keeps_blocks = false;           // the body leaves blocks behind by design: they are not counted
  bool may_succeed_despite_it = true;  // false: each failure has to be seen in the outcome
};

/// Runs the body with a failure at its first, second, ... allocation until a run has no failure; after two runs without
/// any, which fill what grows once. A test failure is each run that ends otherwise than well or with
/// `resource_exhausted`, takes 20 s, or leaves behind a block, a suspended coroutine or a scope; without a failure, a
/// failed future that nobody read, too. The body must not use what is left of an earlier run. Gives the number of runs that had a failure.
future<std::uint64_t> for_each_allocation_failure(std::function<future<>()> body, sweep_options options = {});

}  // namespace atoll_root::atoll::testing
