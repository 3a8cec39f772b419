// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Durations and amounts of bytes as people write them: "40us", "512M".
//
//   atoll::result<std::chrono::nanoseconds> wait = atoll::parse_duration("40us");
//   atoll::result<std::uint64_t> cache = atoll::parse_bytes("512M");
//   atoll::format_bytes(536870912) == "512MiB"; atoll::format_duration(40us) == "40us"
//
// A duration is a whole number and a unit: ns, us, ms, s, min or h; 0 needs no unit. An amount of bytes is a whole
// number and at most one unit: B (or none), K, M, G or T in either case, or KiB, MiB, GiB, TiB; all are powers of 1024.
// KB, MB and so on are refused: they mean 1000 to some and 1024 to others. No sign, no fraction, no space. Errors:
// `invalid_argument` for other text, `out_of_range` where the value does not fit 63 (durations) or 64 bits (bytes).
// Values only: any thread may call these.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include <atoll/actors/base/chrono.hh>
#include <atoll/actors/base/result.hh>

namespace atoll_root::atoll {

result<std::chrono::nanoseconds> parse_duration(std::string_view text);
result<std::uint64_t> parse_bytes(std::string_view text);

/// Exact, in the largest unit that divides it: "1500us", "0". What parse_duration() reads; REQUIRES: not negative.
std::string format_duration(std::chrono::nanoseconds value);
/// Exact, in the largest unit that divides it: "1536MiB", "1000", "0". What parse_bytes() reads.
std::string format_bytes(std::uint64_t value);

/// Where an option of this kind keeps its value, and what it may be; both ends are allowed.
struct duration_option {
  std::chrono::nanoseconds& value;
  std::chrono::nanoseconds min = std::chrono::nanoseconds::zero();
  std::chrono::nanoseconds max = std::chrono::hours(24 * 365);

  /// `out_of_range` outside the bounds.
  [[nodiscard]] result<std::chrono::nanoseconds> parse(std::string_view text) const;
  /// "a duration like 40us, from 10us to 1s".
  [[nodiscard]] std::string accepted() const;
};

struct bytes_option {
  std::uint64_t& value;
  std::uint64_t min = 0;
  std::uint64_t max = std::numeric_limits<std::uint64_t>::max();

  [[nodiscard]] result<std::uint64_t> parse(std::string_view text) const;
  /// "a size like 512M, from 0 to 2GiB".
  [[nodiscard]] std::string accepted() const;
};

}  // namespace atoll_root::atoll
