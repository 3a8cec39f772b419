// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The timers of one shard: a hierarchical timing wheel (Varghese and Lauck 1987, scheme 7).
//
//   struct my_timer : atoll::timer_node { ... };
//   this_shard().timers->arm(t, when);              // at a time
//   this_shard().timers->arm_after(t, 5ms);         // after a time; needs no look at the clock
//   t.cancel();
//
// Eleven wheels of 64 slots cover all 64 bits of a nanosecond count. A timer lies in the wheel of the highest
// six-bit digit in which its time differs from the time the queue was last advanced to, in the slot of that
// digit. Arming and cancelling are O(1) and allocate nothing; a timer is moved at most once a wheel.
// A timer armed by arm_after gets its time when the loop next reads the clock, so it is late by that much at
// most and never early. How late a timer fires else is the loop's matter.
// Shard rules: one shard's. A timer's action runs inside the reactor's loop, so it only schedules.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <utility>

#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/actors/reactor/clock.hh>

namespace atoll_root::atoll {

struct timer_node : list_hook {
  using fire_function = void(timer_node*) noexcept;
  explicit timer_node(fire_function* function) noexcept : fire(function) {}

  [[nodiscard]] bool armed() const noexcept { return linked(); }
  void cancel() noexcept { unlink(); }

  fire_function* fire;
  std::int64_t at = 0;  // ns on the shard's clock; while it waits for the clock, ns from then
};

class timer_queue {
 public:
  /// More timers than this are not fired in one advance; the rest in the next.
  static constexpr std::size_t fired_at_once_max = 4096;

  explicit timer_queue(time_point start) noexcept : last_(start.time_since_epoch().count()) {}

  /// A time that has passed fires at the next advance. REQUIRES: !t.armed().
  void arm(timer_node& t, time_point at) noexcept {
    ++armed_;
    t.at = at.time_since_epoch().count();
    place(t);
  }
  /// REQUIRES: !t.armed().
  void arm_after(timer_node& t, duration d) noexcept {
    ++armed_;
    t.at = d.count();
    fresh_.push_back(t);
  }

  /// Fires timers due at `now`, in no particular order; returns how many.
  std::size_t advance(time_point now) noexcept;

  /// A time not later than that of the earliest timer, `never` when there is none. Called after an advance.
  [[nodiscard]] time_point next() noexcept;

  /// How many are armed now, counted one by one up to `most`.
  [[nodiscard]] std::size_t waiting(std::size_t most) noexcept;

  /// How many were armed and fired so far; the others were cancelled or wait.
  [[nodiscard]] std::uint64_t armed() const noexcept { return armed_; }
  [[nodiscard]] std::uint64_t fired() const noexcept { return fired_; }

 private:
  static constexpr unsigned digit_bits = 6;
  static constexpr unsigned slots = 1U << digit_bits;
  static constexpr unsigned wheels = (64 + digit_bits - 1) / digit_bits;
  struct wheel {
    std::uint64_t occupied = 0;  // a bit a slot; may be set for a slot whose timers were all cancelled
    std::array<intrusive_list<timer_node>, slots> slot;
  };

  static unsigned digit(std::uint64_t time, unsigned level) noexcept {
    return static_cast<unsigned>(time >> (level * digit_bits)) & (slots - 1);
  }
  void place(timer_node& t) noexcept {
    if (t.at <= last_) return due_.push_back(t);
    const auto at = static_cast<std::uint64_t>(t.at);
    const std::uint64_t differs = at ^ static_cast<std::uint64_t>(last_);
    const unsigned level = static_cast<unsigned>(63 - std::countl_zero(differs)) / digit_bits;
    const unsigned s = digit(at, level);
    wheels_[level].occupied |= std::uint64_t{1} << s;
    wheels_[level].slot[s].push_back(t);
  }

  std::array<wheel, wheels> wheels_;
  intrusive_list<timer_node> due_;
  intrusive_list<timer_node> fresh_;  // armed since the clock was read last
  std::uint64_t armed_ = 0;
  std::uint64_t fired_ = 0;
  std::int64_t last_;  // not negative: a monotonic clock's
};

}  // namespace atoll_root::atoll
