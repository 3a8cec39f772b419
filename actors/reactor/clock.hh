// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The seam through which all code takes the time. Real shards read CLOCK_MONOTONIC, tests and the
// simulation put a clock of their own here.
#pragma once

#include <cstdint>

#include <atoll/actors/base/chrono.hh>
#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

/// Names the time line of time_point. It has no now(): time comes from the shard's clock, mono_now().
struct mono_clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<mono_clock>;
  static constexpr bool is_steady = true;
};

using duration = mono_clock::duration;
using time_point = mono_clock::time_point;

/// The time of day, UTC: it may jump, so deadlines don't use it.
using wall_time = std::chrono::sys_time<std::chrono::nanoseconds>;

/// Stands for "no deadline".
inline constexpr time_point never = time_point::max();

/// `start + d`, and `never` where that does not fit.
constexpr time_point saturating_add(time_point start, duration d) noexcept {
  if (d > never - start) return never;
  return start + d;
}

class clock {
 public:
  virtual ~clock() = default;
  virtual time_point now() noexcept = 0;
  virtual wall_time wall_now() noexcept = 0;
  /// False for a clock that somebody moves: an idle shard then looks at it every `idle_look_every`.
  [[nodiscard]] virtual bool runs_alone() const noexcept { return true; }

  static constexpr duration idle_look_every = std::chrono::microseconds(200);
};

/// The machine's CLOCK_MONOTONIC and CLOCK_REALTIME. Stateless: any thread, and a signal handler, may use it.
clock& system_clock() noexcept;

}  // namespace atoll_root::atoll
