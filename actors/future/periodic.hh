// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// periodic_timer: something to be done every so often.
//
//   atoll::periodic_timer every("flush", 1s);
//   while (true) {
//     const std::uint64_t missed = co_await every.next();   // 0 where the last round took less than a second
//     co_await flush();
//   }
//
// Ticks come at start + period, start + 2 * period and so on, however long the rounds between take: there is no drift.
// A next() that comes late is ready at once, for the latest tick that has passed; the ticks before that are missed, and
// their number is the result. Nothing is done twice in a row to catch up.
// Errors: next() ends with `cancelled` or `deadline_exceeded` where its context does, and with `cancelled` after cancel() or
// when the timer goes. Messages name it.
// Shard rules: one shard's. Several may wait for the same tick.
// Cost: a wait is one pooled block; the timer is armed only while somebody waits.
#pragma once

#include <string>

#include <atoll/actors/reactor/timer_queue.hh>
#include <atoll/actors/sync/wait_queue.hh>

namespace atoll_root::atoll {

class periodic_timer : timer_node {
 public:
  /// A shorter period is taken as this.
  static constexpr duration period_min = std::chrono::microseconds(1);

  /// The first tick is one period from now.
  periodic_timer(std::string name, duration period);
  periodic_timer(const periodic_timer&) = delete;
  periodic_timer& operator=(const periodic_timer&) = delete;
  ~periodic_timer() = default;

  /// Ready at the next tick; gives how many were missed before it.
  future<std::uint64_t> next();

  /// Fails who waits, and who comes later until restart().
  void cancel() noexcept;
  /// Counts anew: the first tick is one period from now, also for those who wait.
  void restart(duration period) noexcept;

  [[nodiscard]] duration period() const noexcept { return period_; }
  /// When the next tick is that next() would wait for.
  [[nodiscard]] time_point next_at() const noexcept { return next_; }

 private:
  static void passed(timer_node* t) noexcept;
  static void left(void* self) noexcept;
  /// Takes the latest tick up to now, and gives how many came before it. REQUIRES: one has come.
  std::uint64_t take(time_point now) noexcept;

  detail::wait_queue<std::uint64_t> waiting_;
  duration period_;
  time_point next_;
  bool cancelled_ = false;
};

}  // namespace atoll_root::atoll
