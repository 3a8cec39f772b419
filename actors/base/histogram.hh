// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A log-linear histogram of unsigned 64-bit values, in a unit that its owner's name says (latency_ns).
//
//   atoll::histogram latency_ns;
//   latency_ns.record(1234);
//   latency_ns.quantile(0.99);                              // within 3.2% of the value of that rank
//   all.merge(latency_ns);
//
// Each power of two is divided into 16 buckets of the same width: values below 32 are kept exactly, others within 1/16.
// A value type of 7'840 bytes that allocates nothing: any shard may hold one, each recorder its own.
// Cost: record() a few ns, O(1); quantile() and merge() walk the 976 buckets, some 0.7 us.
// Bounds: the sum stops at the largest std::uint64_t; counts are 64-bit and don't overflow in practice.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

class histogram {
 public:
  /// The error of quantile(), relative to the exact value: half a bucket.
  static constexpr double relative_error = 1.0 / 32;

  /// `times`: as if it were recorded so often.
  void record(std::uint64_t value, std::uint32_t times = 1) noexcept {
    if (times == 0) return;
    buckets_[index_of(value)] += times;
    count_ += times;
    sum_ = saturating_sum(sum_, saturating_product(value, times));
    include(value, value);
  }

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t sum() const noexcept { return sum_; }
  /// Exact; 0 where nothing was recorded.
  [[nodiscard]] std::uint64_t min() const noexcept { return count_ == 0 ? 0 : min_; }
  /// Exact; 0 where nothing was recorded.
  [[nodiscard]] std::uint64_t max() const noexcept { return max_; }

  /// The value that a share q of all values does not exceed: 0.5 is the median, 0 the minimum and 1 the maximum (both
  /// exact; what lies outside counts as the nearer of them, NaN as 0). 0 where nothing was recorded.
  [[nodiscard]] std::uint64_t quantile(double q) const noexcept {
    if (!(q > 0)) return min();
    if (q >= 1) return max();
    const double exact_rank = q * static_cast<double>(count_);
    auto left = static_cast<std::uint64_t>(exact_rank);
    if (left == 0 || static_cast<double>(left) < exact_rank) ++left;  // rounded up, and the first at least
    for (std::size_t i = 0; i < bucket_count; ++i) {
      if (buckets_[i] >= left) {
        const std::uint64_t lowest = lowest_of(i);
        const std::uint64_t middle = lowest + (highest_of(i) - lowest) / 2;
        return middle < min() ? min() : middle > max() ? max() : middle;
      }
      left -= buckets_[i];
    }
    return max();
  }

  /// Adds what the other has recorded.
  void merge(const histogram& other) noexcept {
    for (std::size_t i = 0; i < bucket_count; ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    sum_ = saturating_sum(sum_, other.sum_);
    include(other.min_, other.max_);
  }

  void reset() noexcept { *this = histogram(); }

  /// Calls f(lowest, highest, count) for each bucket that is not empty, in rising order; both ends belong to it, and no
  /// bucket reaches from one power of two into the next.
  template <class F>
  void for_each_bucket(F f) const {
    for (std::size_t i = 0; i < bucket_count; ++i) {
      if (buckets_[i] > 0) f(lowest_of(i), highest_of(i), buckets_[i]);
    }
  }

  friend bool operator==(const histogram&, const histogram&) = default;

 private:
  static constexpr unsigned linear_bits = 4;
  static constexpr std::size_t linear = std::size_t{1} << linear_bits;  // buckets a power of two
  static constexpr std::size_t bucket_count = (64 - linear_bits + 1) * linear;

  /// How many low bits of a value its bucket forgets.
  static constexpr unsigned shift_of(std::uint64_t value) noexcept {
    return static_cast<unsigned>(std::bit_width(value | linear)) - linear_bits - 1;
  }
  static constexpr std::size_t index_of(std::uint64_t value) noexcept {
    const unsigned shift = shift_of(value);
    return shift * linear + static_cast<std::size_t>(value >> shift);
  }
  static constexpr std::uint64_t lowest_of(std::size_t index) noexcept {
    if (index < 2 * linear) return index;
    const std::size_t shift = index / linear - 1;
    return std::uint64_t{index - shift * linear} << shift;
  }
  static constexpr std::uint64_t highest_of(std::size_t index) noexcept {
    return index + 1 == bucket_count ? std::numeric_limits<std::uint64_t>::max() : lowest_of(index + 1) - 1;
  }
  static constexpr std::uint64_t saturating_sum(std::uint64_t a, std::uint64_t b) noexcept {
    return a + b < a ? std::numeric_limits<std::uint64_t>::max() : a + b;
  }
  static constexpr std::uint64_t saturating_product(std::uint64_t a, std::uint32_t b) noexcept {
    std::uint64_t product = 0;
    return __builtin_mul_overflow(a, std::uint64_t{b}, &product) ? std::numeric_limits<std::uint64_t>::max() : product;
  }

  void include(std::uint64_t least, std::uint64_t most) noexcept {
    if (least < min_) min_ = least;
    if (most > max_) max_ = most;
  }

  std::array<std::uint64_t, bucket_count> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t min_ = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t max_ = 0;
};

static_assert(sizeof(histogram) == 7'840);

}  // namespace atoll_root::atoll
