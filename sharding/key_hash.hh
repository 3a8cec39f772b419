// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The hash that places keys on nodes and shards. Part of the wire contract: every node of a cluster must
// compute the same, so it never changes for a type once released.
//
// Of a string's bytes FNV-1a, 64 bits (Fowler, Noll, Vo), then the finaliser of MurmurHash3 (Appleby), because FNV alone leaves the
// high bits of short keys poor. Of an integer that finaliser, of its value plus the increment of SplitMix64 (Steele, Lea,
// Flood 2014). Not seeded, so whoever chooses the keys can choose the shard.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include <atoll/actors/base/bytes.hh>
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll {

constexpr std::uint64_t mix_hash(std::uint64_t h) noexcept {
  h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdU;
  h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53U;
  return h ^ (h >> 33);
}

constexpr std::uint64_t key_hash(std::string_view key) noexcept {
  std::uint64_t h = 0xcbf29ce484222325U;
  for (const char c : key) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return mix_hash(h);
}
inline std::uint64_t key_hash(const bytes& key) noexcept { return key_hash(key.view()); }

template <std::integral T>
constexpr std::uint64_t key_hash(T key) noexcept {
  return mix_hash(static_cast<std::uint64_t>(key) + 0x9e3779b97f4a7c15U);  // sign-extended: the same for every width
}

/// Of an enum that of its number.
template <class E>
  requires std::is_enum_v<E>
constexpr std::uint64_t key_hash(E key) noexcept {
  return key_hash(static_cast<std::underlying_type_t<E>>(key));
}

/// Of a type of its user's that of what `atoll_key(key)` gives, a function of its namespace: a string, `bytes`, an integer or an enum, the same
/// for equal keys, on every node.
template <class T>
  requires requires(const T& key) {
    { atoll_key(key) } noexcept;
  }
constexpr std::uint64_t key_hash(const T& key) noexcept {
  return ::atoll_root::atoll::key_hash(atoll_key(key));
}

/// May choose where it is served: a string, `bytes`, an integer, an enum, or a type with == and atoll_key().
template <class T>
concept routing_key = std::equality_comparable<T> && requires(const T& key) { ::atoll_root::atoll::key_hash(key); };

/// The shard, of so many, that owns a key.
constexpr shard_id shard_of_hash(std::uint64_t hash, shard_id shards) noexcept {
  // The upper half times the count, so the placement doesn't hang on the hash's low bits.
  return static_cast<shard_id>(((hash >> 32) * shards) >> 32);
}

/// The number of a slot, from 0: see slots.hh.
using slot_id = std::uint32_t;

/// The slot, of so many, that a key is in.
constexpr slot_id slot_of_hash(std::uint64_t hash, slot_id slots) noexcept {
  return static_cast<slot_id>(((hash >> 32) * slots) >> 32);
}

inline constexpr slot_id slots_max = 65'536;  // of a service

namespace detail {

template <std::size_t N, class First, class... Rest>
constexpr const auto& nth_of(const First& first, const Rest&... rest) noexcept {
  if constexpr (N == 0) {
    return first;
  } else {
    return nth_of<N - 1>(rest...);
  }
}

}  // namespace detail
}  // namespace atoll_root::atoll
