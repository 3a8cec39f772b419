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
// Timeouts of what is over long before them, as calls mostly are, are brief_timers: those armed last are in a ring. They
// become timers when it comes round to them, or all when one may be due, or when the clock was not read for long.
//
// Eleven wheels of 64 slots cover all 64 bits of a nanosecond count. A timer lies in the wheel of the highest
// six-bit digit in which its time differs from the time the queue was last advanced to, in the slot of that
// digit. Arming and cancelling are O(1) and allocate nothing; a timer is moved at most once a wheel.
// A timer armed by arm_after gets its time when the loop next reads the clock, so it is late by that much at
// most and never early. A brief one is never early either, and late by the longest time between two looks at the clock since there was
// none: by 100 us, or where the one after its arming came later than that, by as much. How late a timer fires else is the loop's matter.
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

/// What is most likely over before its time. To arm it and to end it are a few instructions each that mostly touch no
/// other timer.
struct brief_timer {
  struct actions {
    /// It has lasted: gives the timer that it is from now on, not armed, `at` the time that it was armed for.
    timer_node& (*lasts)(brief_timer& self) noexcept;
  };
  explicit brief_timer(const actions& its_actions) noexcept : does(its_actions) {}

  const actions& does;
};

class timer_queue {
 public:
  /// More timers than this are not fired in one advance; the rest in the next.
  static constexpr std::size_t fired_at_once_max = 4096;

  explicit timer_queue(time_point start) noexcept
      : looked_(start.time_since_epoch().count()), last_(start.time_since_epoch().count()) {}

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

  /// More are not brief: the next one makes a timer of the oldest.
  static constexpr std::size_t briefs_max = 512;
  static constexpr duration brief_late_max = std::chrono::microseconds(100);
  /// Where a brief timer is while it is one.
  using brief_place = std::uint16_t;
  /// At a time by the clock as of the last look, or later. Until end_brief(), or until it lasts. REQUIRES: it is not armed.
  brief_place arm_briefly(brief_timer& t, time_point at) noexcept {
    if (!takes_briefly(at)) [[unlikely]]
      make_place(at);
    return put_briefly(t);
  }
  // The same in two steps, where the first says that the second needs nothing else.
  [[nodiscard]] bool takes_briefly(time_point at) const noexcept {
    if (briefs_[briefs_armed_ % briefs_max] != nullptr) [[unlikely]]
      return false;
    return at >= brief_next_;
  }
  brief_place put_briefly(brief_timer& t) noexcept {
    const std::uint64_t n = briefs_armed_++ % briefs_max;
    briefs_[n] = &t;
    return static_cast<brief_place>(n);
  }
  void end_brief(brief_place place) noexcept { briefs_[place] = nullptr; }

  /// The clock was read. REQUIRES: it has not gone back.
  void look(time_point now) noexcept {
    const std::int64_t before = std::exchange(looked_, now.time_since_epoch().count());
    if (briefs_armed_ != briefs_seen_) see_briefs(looked_ - before);
  }
  /// Looks, and fires timers due at `now`, in no particular order; returns how many.
  std::size_t advance(time_point now) noexcept;

  /// A time not later than that of the earliest timer, `never` when there is none. Called after an advance.
  [[nodiscard]] time_point next() noexcept;

  /// How many are armed now, counted one by one up to `most`.
  [[nodiscard]] std::size_t waiting(std::size_t most) noexcept;

  /// How many were armed and fired so far; the others were cancelled or wait.
  [[nodiscard]] std::uint64_t armed() const noexcept { return armed_ + briefs_armed_; }
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

  void make_place(time_point at) noexcept;
  void see_briefs(std::int64_t since_look) noexcept;
  void briefs_last(std::int64_t unseen_late) noexcept;
  void forget_ended_briefs() noexcept;
  [[nodiscard]] time_point next_in_wheels() noexcept;

  std::array<wheel, wheels> wheels_;
  intrusive_list<timer_node> due_;
  intrusive_list<timer_node> fresh_;  // armed since the clock was read last
  // Brief timers by their number: those before briefs_over_ have ended, or lasted; those from briefs_seen_ on came since the last look.
  alignas(64) std::uint64_t briefs_armed_ = 0;
  std::uint64_t briefs_seen_ = 0;
  std::uint64_t briefs_over_ = 0;
  std::int64_t briefs_late_ = 0;   // by how much those that were seen have to be
  time_point brief_next_ = never;  // none is for an earlier time
  std::array<brief_timer*, briefs_max> briefs_{};
  std::uint64_t armed_ = 0;  // but for those
  std::uint64_t fired_ = 0;
  std::int64_t looked_;
  std::int64_t last_;  // not negative: a monotonic clock's
};

}  // namespace atoll_root::atoll
