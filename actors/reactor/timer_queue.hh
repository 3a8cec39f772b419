// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The timers of one shard: a monotone radix heap (Ahuja, Mehlhorn, Orlin, Tarjan 1990).
//
//   struct my_timer : atoll::timer_node { ... };
//   this_shard().timers->arm(t, mono_now() + 5ms);   t.cancel();
//
// A timer lies in the bucket of the highest bit in which its time differs from the last time the queue
// was advanced to. Arming and cancelling are O(1) and allocate nothing; each timer is moved at most once a
// bit before it fires. Full nanosecond resolution; how late a timer fires is the loop's matter.
// Shard rules: one shard's. A timer's action runs inside the reactor's loop, so it only schedules.
#pragma once

#include <array>
#include <cstdint>

#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/actors/reactor/clock.hh>

namespace atoll_root::atoll {

struct timer_node : list_hook {
  using fire_function = void(timer_node*) noexcept;
  explicit timer_node(fire_function* function) noexcept : fire(function) {}

  [[nodiscard]] bool armed() const noexcept { return linked(); }
  void cancel() noexcept { unlink(); }

  fire_function* fire;
  time_point at{};
};

class timer_queue {
 public:
  explicit timer_queue(time_point start) noexcept : last_(count_of(start)) {}

  /// A time that has passed fires at the next advance. REQUIRES: !t.armed().
  void arm(timer_node& t, time_point at) noexcept;

  /// Fires all timers due at `now`, in no particular order; returns how many.
  std::size_t advance(time_point now) noexcept;

  /// A time not later than that of the earliest timer, `never` when there is none. O(buckets).
  [[nodiscard]] time_point next() const noexcept;

 private:
  static constexpr std::size_t buckets = 65;
  static std::uint64_t count_of(time_point t) noexcept {
    const auto n = t.time_since_epoch().count();
    return n < 0 ? 0 : static_cast<std::uint64_t>(n);
  }
  [[nodiscard]] std::size_t bucket_of(std::uint64_t at) const noexcept;

  std::array<intrusive_list<timer_node>, buckets> lists_;
  std::uint64_t last_;
};

}  // namespace atoll_root::atoll
