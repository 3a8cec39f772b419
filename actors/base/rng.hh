// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A seeded random number generator: xoshiro256** (Blackman and Vigna, https://prng.di.unimi.it), seeded
// through splitmix64. One lives in each shard (`this_shard().random`); nothing else draws random numbers.
// Not for secrets. Meets std::uniform_random_bit_generator.
#pragma once

#include <array>
#include <cstdint>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

class rng {
 public:
  using result_type = std::uint64_t;

  explicit rng(std::uint64_t seed = 0) noexcept {
    for (auto& word : state_) word = splitmix(seed);
  }

  static constexpr result_type min() noexcept { return 0; }
  static constexpr result_type max() noexcept { return ~std::uint64_t{0}; }

  std::uint64_t operator()() noexcept {
    const std::uint64_t drawn = rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = rotl(state_[3], 45);
    return drawn;
  }

  /// Of its state: differs where so many numbers were not drawn alike.
  [[nodiscard]] std::uint64_t fingerprint() const noexcept {
    return state_[0] ^ rotl(state_[1], 17) ^ rotl(state_[3], 39);
  }

  /// A number in [0, bound); 0 where bound is 0. The bias is below 2^-32 for bounds below 2^32.
  std::uint64_t below(std::uint64_t bound) noexcept { return bound == 0 ? 0 : (*this)() % bound; }

 private:
  static std::uint64_t rotl(std::uint64_t x, int k) noexcept { return (x << k) | (x >> (64 - k)); }
  static std::uint64_t splitmix(std::uint64_t& seed) noexcept {
    std::uint64_t z = (seed += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
  }

  std::array<std::uint64_t, 4> state_{};
};

}  // namespace atoll_root::atoll
