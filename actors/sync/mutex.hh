// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// mutex and shared_mutex: one at a time across awaits.
//
//   auto lock = co_await table_mutex.lock();         // held until `lock` goes
//   auto reader = co_await index_mutex.lock_shared();
//
// Between two awaits a coroutine has its shard for itself: a mutex is needed only for what spans an await.
// First come, first served, so writers and readers of a shared_mutex don't starve each other. A wait ends as
// that of a semaphore does (semaphore.hh), whose costs they have. Not recursive: a second lock() of the holder waits for
// ever, or to its deadline.
// Shard rules: one shard's.
#pragma once

#include <atoll/actors/sync/semaphore.hh>

namespace atoll_root::atoll {

/// Holds a mutex until it goes.
using mutex_lock = semaphore_units;

class mutex : semaphore {
 public:
  explicit mutex(std::string name = {}) : semaphore("mutex", std::move(name), 1) {}
  future<mutex_lock> lock() { return acquire(1); }
  std::optional<mutex_lock> try_lock() noexcept { return try_acquire(1); }
  [[nodiscard]] bool locked() const noexcept { return available() == 0; }
  using semaphore::close;
  using semaphore::name;
  using semaphore::waiting;
};

class shared_mutex : semaphore {
 public:
  static constexpr std::uint64_t readers_max = 1'000'000'000;

  explicit shared_mutex(std::string name = {}) : semaphore("shared_mutex", std::move(name), readers_max) {}
  future<mutex_lock> lock() { return acquire(readers_max); }
  future<mutex_lock> lock_shared() { return acquire(1); }
  std::optional<mutex_lock> try_lock() noexcept { return try_acquire(readers_max); }
  std::optional<mutex_lock> try_lock_shared() noexcept { return try_acquire(1); }
  [[nodiscard]] std::uint64_t readers() const noexcept { return available() == 0 ? 0 : readers_max - available(); }
  using semaphore::close;
  using semaphore::name;
  using semaphore::waiting;
};

}  // namespace atoll_root::atoll
