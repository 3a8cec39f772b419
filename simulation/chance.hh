// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The random numbers of a simulated world: a stream for each purpose, all from one seed, so that one more draw in one
// of them leaves what the others give as it was. One draw a statement: the order of two in one expression is the compiler's.
#pragma once

#include <cstdint>

#include <atoll/actors/base/assert.hh>
#include <atoll/actors/base/chrono.hh>
#include <atoll/actors/base/rng.hh>
#include <atoll/actors/reactor/clock.hh>

namespace atoll_root::atoll::sim {

enum class purpose : std::uint8_t { schedule, lanes, network, clocks, faults, nodes, points, test };

/// A stream of random numbers.
class chance {
 public:
  chance(std::uint64_t seed, purpose of, std::uint64_t index = 0) noexcept
      : random_(mix(mix(seed, static_cast<std::uint64_t>(of) + 1), index)) {}

  std::uint64_t operator()() noexcept { return random_(); }
  /// In [least, most].
  std::uint64_t between(std::uint64_t least, std::uint64_t most) noexcept {
    ATOLL_ASSERT(least <= most, "from the least to the most");
    return least + random_.below(most - least + 1);
  }
  duration between(duration least, duration most) noexcept {
    ATOLL_ASSERT(least <= most, "from the least to the most");
    return least +
           duration(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>((most - least).count()) + 1)));
  }
  bool happens(double probability) noexcept {
    constexpr double two_to_53 = 9007199254740992.0;
    return static_cast<double>(random_() >> 11U) < probability * two_to_53;
  }

 private:
  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    std::uint64_t z = a + 0x9e3779b97f4a7c15U * (b + 1);
    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
  }

  rng random_;
};

}  // namespace atoll_root::atoll::sim
