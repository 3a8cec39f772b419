// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// semaphore: units of something scarce (memory, requests, disk tokens), and who holds them.
//
//   atoll::semaphore memory("request memory", 64 << 20);
//   auto units = co_await memory.acquire(request.size());      // semaphore_units: given back when they go
//   units.release(100);                                        // some of them earlier
//
// First come, first served: a large request is not overtaken by small ones behind it. acquire() ends with
// `cancelled` or `deadline_exceeded` where its context does, with `out_of_range` for more than there will ever be, with
// the given error after close(), with `cancelled` when the semaphore is destroyed. Messages name the semaphore.
// Units may outlive the semaphore.
// Shard rules: one shard's.
// Cost: without waiting, a few ns and no allocation; a wait is one pooled block.
#pragma once

#include <algorithm>
#include <optional>

#include <atoll/actors/sync/wait_queue.hh>

namespace atoll_root::atoll {

class semaphore_units;

namespace detail {

/// What a semaphore and the units taken from it share.
struct semaphore_core {
  semaphore_core(std::string_view kind, std::string name, std::uint64_t units)
      : waiting(kind, std::move(name), &serve_from, this), available(units), capacity(units) {}

  static void serve_from(void* core) noexcept { static_cast<semaphore_core*>(core)->serve(); }
  void serve() noexcept {
    if (!waiting.empty() && !serving) serve_waiting();
  }
  void serve_waiting() noexcept;
  void put(std::uint64_t n) noexcept {
    available += n;
    serve();
  }
  void drop() noexcept {
    if (--references == 0) delete this;
  }

  wait_queue<semaphore_units, std::uint64_t> waiting;
  std::uint64_t available;
  std::uint64_t capacity;
  std::uint64_t references = 1;
  bool serving = false;
  std::optional<error> closed;
};

}  // namespace detail

/// Units of a semaphore, given back when this goes. Move-only.
class [[nodiscard]] semaphore_units {
 public:
  semaphore_units() noexcept = default;
  semaphore_units(semaphore_units&& other) noexcept
      : core_(std::exchange(other.core_, nullptr)), count_(std::exchange(other.count_, 0)) {}
  semaphore_units& operator=(semaphore_units&& other) noexcept {
    std::swap(core_, other.core_);
    std::swap(count_, other.count_);
    return *this;
  }
  /// What a semaphore gives. Internal to atoll.
  semaphore_units(detail::semaphore_core& core, std::uint64_t n) noexcept : core_(&core), count_(n) {
    ++core.references;
  }
  ~semaphore_units() {
    if (core_ != nullptr) give_back();
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  explicit operator bool() const noexcept { return count_ > 0; }

  /// Gives back n, or all where there are fewer.
  void release(std::uint64_t n) noexcept {
    n = std::min(n, count_);
    count_ -= n;
    if (n > 0) core_->put(n);
  }
  void release() noexcept { release(count_); }
  /// Takes n of them, or all where there are fewer, into an object of their own.
  semaphore_units split(std::uint64_t n) noexcept {
    n = std::min(n, count_);
    if (n == 0) return {};
    count_ -= n;
    return {*core_, n};
  }
  /// Joins units of the same semaphore to these; of another: false, and nothing happens.
  bool adopt(semaphore_units& other) noexcept {
    if (other.core_ == nullptr || (core_ != nullptr && core_ != other.core_)) return false;
    if (core_ == nullptr) {
      *this = std::move(other);
    } else {
      count_ += std::exchange(other.count_, 0);
    }
    return true;
  }
  /// Forgets the units: they are not given back.
  void forfeit() noexcept { count_ = 0; }

 private:
  [[gnu::noinline]] void give_back() noexcept {
    core_->put(count_);
    core_->drop();
  }

  detail::semaphore_core* core_ = nullptr;
  std::uint64_t count_ = 0;
};

inline void detail::semaphore_core::serve_waiting() noexcept {
  // Units for a future that nobody holds come back inside the loop: it goes on with them, instead of nesting.
  if (std::exchange(serving, true)) return;
  while (!waiting.empty() && available >= waiting.first_wants()) {
    const std::uint64_t wanted = waiting.first_wants();
    available -= wanted;
    waiting.complete_first(semaphore_units(*this, wanted));
  }
  serving = false;
}

class semaphore {
 public:
  semaphore(std::string name, std::uint64_t units) : semaphore("semaphore", std::move(name), units) {}
  semaphore(const semaphore&) = delete;
  semaphore& operator=(const semaphore&) = delete;
  ~semaphore() {
    core_->waiting.fail_all(error(status_code::cancelled, "destroyed"));
    core_->drop();
  }

  future<semaphore_units> acquire(std::uint64_t n = 1) {
    auto& c = *core_;
    if (c.available >= n && c.waiting.empty() && !c.closed) [[likely]] {
      c.available -= n;
      return future<semaphore_units>(std::in_place, c, n);
    }
    return acquire_slowly(n);
  }
  /// At once, or not at all.
  std::optional<semaphore_units> try_acquire(std::uint64_t n = 1) noexcept {
    auto& c = *core_;
    if (c.available < n || !c.waiting.empty() || c.closed) return std::nullopt;
    c.available -= n;
    return semaphore_units(c, n);
  }

  /// More units, for good; as many as a 64-bit number holds in all.
  void grow(std::uint64_t n) noexcept {
    n = std::min(n, UINT64_MAX - core_->capacity);
    core_->capacity += n;
    core_->put(n);
  }
  /// Fails who waits and who comes later. The first reason stays.
  void close(const error& why) noexcept {
    if (!core_->closed) core_->closed = why;
    core_->waiting.fail_all(*core_->closed);
  }

  [[nodiscard]] std::uint64_t available() const noexcept { return core_->available; }
  [[nodiscard]] std::size_t waiting() const noexcept { return core_->waiting.size(); }
  [[nodiscard]] const std::string& name() const noexcept { return core_->waiting.name(); }

 protected:
  semaphore(std::string_view kind, std::string name, std::uint64_t units)
      : core_(new detail::semaphore_core(kind, std::move(name), units)) {}

 private:
  future<semaphore_units> acquire_slowly(std::uint64_t n);

  detail::semaphore_core* core_;
};

}  // namespace atoll_root::atoll
