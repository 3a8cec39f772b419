// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/histogram.hh>

#include <algorithm>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

#include <atoll/actors/base/rng.hh>

namespace {

using atoll::histogram;
constexpr auto largest = std::numeric_limits<std::uint64_t>::max();
constexpr auto nan = std::numeric_limits<double>::quiet_NaN();

histogram of(const std::vector<std::uint64_t>& values) {
  histogram h;
  for (const auto value : values) h.record(value);
  return h;
}

/// Values of all sizes, as many small as large.
std::vector<std::uint64_t> values_of_all_sizes(std::uint64_t seed, std::size_t count) {
  atoll::rng random(seed);
  std::vector<std::uint64_t> values;
  while (values.size() < count) values.push_back(random() >> random.below(64));
  return values;
}

TEST(histogram, of_nothing_is_zero) {
  const histogram h;
  EXPECT_EQ(h.count(), 0U);
  EXPECT_EQ(h.sum(), 0U);
  EXPECT_EQ(h.min(), 0U);
  EXPECT_EQ(h.max(), 0U);
  for (const double q : {0.0, 0.5, 1.0, -1.0, 2.0, nan}) EXPECT_EQ(h.quantile(q), 0U);
  h.for_each_bucket([](auto, auto, auto) { ADD_FAILURE() << "an empty bucket"; });
}

TEST(histogram, of_one_value_is_that_value) {
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1'000'003}, largest}) {
    const auto h = of({value});
    EXPECT_EQ(h.count(), 1U);
    EXPECT_EQ(h.sum(), value);
    EXPECT_EQ(h.min(), value);
    EXPECT_EQ(h.max(), value);
    for (const double q : {0.0, 1e-9, 0.5, 1.0}) EXPECT_EQ(h.quantile(q), value);
  }
}

TEST(histogram, keeps_small_values_exactly) {
  histogram h;
  for (std::uint64_t value = 0; value < 32; ++value) h.record(value);
  for (std::uint64_t rank = 1; rank <= 32; ++rank) {
    EXPECT_EQ(h.quantile(static_cast<double>(rank) / 32), rank - 1);
  }
}

TEST(histogram, puts_each_value_into_a_bucket_that_holds_it) {
  auto values = values_of_all_sizes(1, 10'000);
  for (int bits = 0; bits < 64; ++bits) {
    const auto power = std::uint64_t{1} << bits;
    values.insert(values.end(), {power - 1, power, power + 1});
  }
  values.push_back(largest);
  for (const auto value : values) {
    int buckets = 0;
    of({value}).for_each_bucket([&](std::uint64_t lowest, std::uint64_t highest, std::uint64_t count) {
      ++buckets;
      EXPECT_EQ(count, 1U);
      EXPECT_LE(lowest, value);
      EXPECT_GE(highest, value);
      EXPECT_LE(highest - lowest, lowest / 16);
      EXPECT_EQ(std::bit_width(lowest), std::bit_width(highest));
    });
    EXPECT_EQ(buckets, 1);
  }
}

TEST(histogram, has_buckets_without_gaps) {
  histogram h;
  for (int bits = 0; bits < 64; ++bits) {
    for (std::uint64_t part = 0; part < 32; ++part) {
      h.record((std::uint64_t{1} << bits) + (bits < 5 ? 0 : part << (bits - 5)));
    }
  }
  for (std::uint64_t value = 0; value < 32; ++value) h.record(value);
  std::uint64_t expected = 0, last = 0, buckets = 0;
  h.for_each_bucket([&](std::uint64_t lowest, std::uint64_t highest, std::uint64_t) {
    EXPECT_EQ(lowest, expected);
    expected = highest + 1;
    last = highest;
    ++buckets;
  });
  EXPECT_EQ(last, largest);
  EXPECT_EQ(buckets, 976U);
}

TEST(histogram, has_quantiles_within_its_error) {
  for (const std::size_t count : {1U, 2U, 10U, 999U, 20'000U}) {
    auto values = values_of_all_sizes(count, count);
    const auto h = of(values);
    std::ranges::sort(values);
    for (const double q : {0.001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 0.99999}) {
      const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(count)));
      const auto exact = static_cast<double>(values[rank - 1]);
      EXPECT_NEAR(static_cast<double>(h.quantile(q)), exact, exact * histogram::relative_error) << count << " " << q;
    }
    EXPECT_EQ(h.quantile(0), values.front());
    EXPECT_EQ(h.quantile(-1), values.front());
    EXPECT_EQ(h.quantile(nan), values.front());
    EXPECT_EQ(h.quantile(1), values.back());
    EXPECT_EQ(h.quantile(7), values.back());
  }
}

TEST(histogram, that_was_merged_is_as_if_all_was_recorded_in_it) {
  const auto a = values_of_all_sizes(1, 500), b = values_of_all_sizes(2, 700);
  auto both = a;
  both.insert(both.end(), b.begin(), b.end());
  auto merged = of(a);
  merged.merge(of(b));
  EXPECT_EQ(merged, of(both));
  merged.merge(histogram());
  EXPECT_EQ(merged, of(both));
  histogram from_nothing;
  from_nothing.merge(of(both));
  EXPECT_EQ(from_nothing, of(both));
}

TEST(histogram, sums_up_to_the_largest_number) {
  auto h = of({largest - 1, 1});
  EXPECT_EQ(h.sum(), largest);
  h.record(5);
  EXPECT_EQ(h.sum(), largest);
  h.merge(of({1}));
  EXPECT_EQ(h.sum(), largest);
  EXPECT_EQ(h.count(), 4U);
}

TEST(histogram, records_a_value_for_many) {
  atoll::histogram many;
  atoll::histogram one_by_one;
  for (int i = 0; i < 64; ++i) one_by_one.record(1234);
  many.record(1234, 64);
  EXPECT_EQ(many, one_by_one);
  many.record(1, 0);
  EXPECT_EQ(many, one_by_one);
  many.record(std::numeric_limits<std::uint64_t>::max() / 2, 3);
  EXPECT_EQ(many.sum(), std::numeric_limits<std::uint64_t>::max());
}

TEST(histogram, forgets_when_it_is_reset) {
  auto h = of({7, 9});
  h.reset();
  EXPECT_EQ(h, histogram());
  h.record(9);
  EXPECT_EQ(h.min(), 9U);
}

}  // namespace
