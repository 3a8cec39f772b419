// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What has happened in a simulated world, as one number: two runs of one seed that give the same have gone the same way.
//
// Each happening is mixed into a rolling hash, by what it is and where, never by an address: turns with the state of their shard's random
// numbers, mail between shards by its ways, what goes over connections by its bytes. What a message within a node says is not in
// it, unless it changes something of these. Every `snapshot_every` of them
// the hash is kept, so that the first difference of two runs lies between two snapshots.
#pragma once

#include <bit>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <string_view>
#include <vector>

#include <atoll/actors/reactor/clock.hh>

namespace atoll_root::atoll::sim {

enum class happening : std::uint8_t {
  turn,        // of a shard: node and shard, tasks it ran and how many wait, its random numbers
  mail,        // let through between two shards: node, from, to
  bytes,       // arrived: host, connection, hash of them
  connection,  // made, refused or ended: host, connection, how
  node,        // started, stopped, ended, crashed, paused: node, how
  fault,       // of the network or a clock: which, of whom
  note,        // what a test or a point of the code says: hash of the text
};
inline constexpr std::string_view happening_names[] = {"turn", "mail", "bytes", "connection", "node", "fault", "note"};

class history {
 public:
  static constexpr std::uint64_t snapshot_every = 4096;

  void add(time_point at, happening what, std::uint64_t a, std::uint64_t b = 0, std::uint64_t c = 0) {
    mix(static_cast<std::uint64_t>(at.time_since_epoch().count()) * 8 + static_cast<std::uint64_t>(what));
    mix((a << 32U) ^ b);
    mix(c);
    ++happenings_;
    if (tell) tell(at, what, a, b, c);
    if (happenings_ % snapshot_every == 0) snapshots_.push_back(hash_);
  }

  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
  [[nodiscard]] std::uint64_t happenings() const noexcept { return happenings_; }
  [[nodiscard]] const std::vector<std::uint64_t>& snapshots() const noexcept { return snapshots_; }

  static std::uint64_t hash_of(std::string_view bytes) noexcept {
    std::uint64_t h = 0xcbf29ce484222325U;  // FNV-1a, by words
    while (bytes.size() >= sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      __builtin_memcpy(&word, bytes.data(), sizeof word);
      h = (h ^ word) * 0x9e3779b97f4a7c15U;
      h ^= h >> 29U;
      bytes.remove_prefix(sizeof word);
    }
    for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    return h;
  }

  /// Told of each, in words for people; empty: nobody is.
  std::function<void(time_point, happening, std::uint64_t, std::uint64_t, std::uint64_t)> tell;

 private:
  void mix(std::uint64_t word) noexcept {
    hash_ = (std::rotl(hash_, 5) ^ word) * 0x9e3779b97f4a7c15U;
    hash_ ^= hash_ >> 32U;
  }

  std::uint64_t hash_ = 0;
  std::uint64_t happenings_ = 0;
  std::vector<std::uint64_t> snapshots_;
};

}  // namespace atoll_root::atoll::sim
