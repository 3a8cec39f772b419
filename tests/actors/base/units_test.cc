// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/units.hh>

#include <gtest/gtest.h>

#include <atoll/actors/base/printable.hh>

namespace {

using namespace std::chrono_literals;
using atoll::status_code;

TEST(units, reads_durations_in_each_unit) {
  EXPECT_EQ(*atoll::parse_duration("0"), 0ns);
  EXPECT_EQ(*atoll::parse_duration("00"), 0ns);
  EXPECT_EQ(*atoll::parse_duration("0ms"), 0ns);
  EXPECT_EQ(*atoll::parse_duration("7ns"), 7ns);
  EXPECT_EQ(*atoll::parse_duration("40us"), 40us);
  EXPECT_EQ(*atoll::parse_duration("25ms"), 25ms);
  EXPECT_EQ(*atoll::parse_duration("3s"), 3s);
  EXPECT_EQ(*atoll::parse_duration("2min"), 2min);
  EXPECT_EQ(*atoll::parse_duration("1h"), 1h);
  EXPECT_EQ(*atoll::parse_duration("9223372036854775807ns"), std::chrono::nanoseconds::max());
}

TEST(units, refuses_what_is_no_duration) {
  using std::string_view_literals::operator""sv;
  for (const auto text : {""sv,
                          " "sv,
                          "s"sv,
                          "1"sv,
                          "1 s"sv,
                          " 1s"sv,
                          "1s "sv,
                          "-1s"sv,
                          "+1s"sv,
                          "1.5s"sv,
                          "1S"sv,
                          "1m"sv,
                          "1sec"sv,
                          "0x1s"sv,
                          "1e3s"sv,
                          "1s1s"sv,
                          "1us\0"sv,
                          "\xff"sv,
                          "99999999999999999999"sv,
                          "99999999999999999999q"sv}) {
    const auto parsed = atoll::parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), status_code::invalid_argument) << text;
  }
}

TEST(units, says_that_a_duration_does_not_fit) {
  for (const auto* const text :
       {"9223372036854775808ns", "18446744073709551616ns", "2562048h", "99999999999999999999s"}) {
    const auto parsed = atoll::parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), status_code::out_of_range) << text;
  }
}

TEST(units, reads_sizes_in_each_unit) {
  EXPECT_EQ(*atoll::parse_bytes("0"), 0U);
  EXPECT_EQ(*atoll::parse_bytes("1000"), 1000U);
  EXPECT_EQ(*atoll::parse_bytes("12B"), 12U);
  for (const auto* const text : {"3K", "3k", "3KiB"}) EXPECT_EQ(*atoll::parse_bytes(text), 3072U) << text;
  for (const auto* const text : {"512M", "512m", "512MiB"}) EXPECT_EQ(*atoll::parse_bytes(text), 536870912U) << text;
  for (const auto* const text : {"2G", "2g", "2GiB"}) EXPECT_EQ(*atoll::parse_bytes(text), 2147483648U) << text;
  for (const auto* const text : {"1T", "1t", "1TiB"}) EXPECT_EQ(*atoll::parse_bytes(text), 1099511627776U) << text;
  EXPECT_EQ(*atoll::parse_bytes("18446744073709551615"), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(*atoll::parse_bytes("16777215T"), 16777215U * 1099511627776U);
}

TEST(units, refuses_what_is_no_size) {
  for (const auto* const text :
       {"", "M", "-1", "+1", "1.5G", "1 M", "1M ", "1MB", "1KB", "1kB", "1Mi", "1kib", "1b", "0x10", "1P", "1M1"}) {
    const auto parsed = atoll::parse_bytes(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), status_code::invalid_argument) << text;
  }
  for (const auto* const text : {"18446744073709551616", "16777216T", "99999999999999999999999K"}) {
    const auto parsed = atoll::parse_bytes(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), status_code::out_of_range) << text;
  }
}

TEST(units, names_what_it_was_given_in_one_short_line) {
  const auto parsed = atoll::parse_bytes("1\n" + std::string(100'000, 'x'));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().message().find('\n'), std::string_view::npos);
  EXPECT_LT(parsed.error().message().size(), 300U);
}

TEST(units, prints_exactly_in_the_largest_unit) {
  EXPECT_EQ(atoll::format_duration(0ns), "0");
  EXPECT_EQ(atoll::format_duration(1500us), "1500us");
  EXPECT_EQ(atoll::format_duration(60s), "1min");
  EXPECT_EQ(atoll::format_duration(25ms), "25ms");
  EXPECT_EQ(atoll::format_duration(1ns), "1ns");
  EXPECT_EQ(atoll::format_bytes(0), "0");
  EXPECT_EQ(atoll::format_bytes(1000), "1000");
  EXPECT_EQ(atoll::format_bytes(1536ULL << 20U), "1536MiB");
  EXPECT_EQ(atoll::format_bytes(2ULL << 30U), "2GiB");
}

TEST(units, an_option_keeps_to_its_bounds) {
  std::chrono::nanoseconds wait = 5ms;
  const atoll::duration_option option{.value = wait, .min = 1ms, .max = 1s};
  EXPECT_EQ(option.accepted(), "a duration like 40us, from 1ms to 1s");
  EXPECT_EQ(*option.parse("1ms"), 1ms);
  EXPECT_EQ(*option.parse("1s"), 1s);
  EXPECT_EQ(option.parse("999us").error().code(), status_code::out_of_range);
  EXPECT_EQ(option.parse("1001ms").error().code(), status_code::out_of_range);
  EXPECT_EQ(option.parse("x").error().code(), status_code::invalid_argument);
  EXPECT_EQ(wait, 5ms);

  std::uint64_t cache = 0;
  const atoll::bytes_option bounded{.value = cache, .min = 1024, .max = 2048};
  EXPECT_EQ(bounded.accepted(), "a size like 512M, from 1KiB to 2KiB");
  EXPECT_EQ(*bounded.parse("1K"), 1024U);
  EXPECT_EQ(*bounded.parse("2K"), 2048U);
  EXPECT_EQ(bounded.parse("1023").error().code(), status_code::out_of_range);
  EXPECT_EQ(bounded.parse("2049").error().code(), status_code::out_of_range);
  EXPECT_EQ((atoll::bytes_option{.value = cache}.accepted()), "a size like 512M");
  EXPECT_EQ((atoll::bytes_option{.value = cache, .min = 1}.accepted()), "a size like 512M, at least 1");
}

TEST(printable, leaves_one_line_of_ascii) {
  EXPECT_EQ(atoll::printable("plain 'text'"), "plain 'text'");
  EXPECT_EQ(atoll::printable("a\nb\tc\x1b\x7f\xff"), "a\\nb\\tc\\x1b\\x7f\\xff");
  EXPECT_EQ(atoll::printable(std::string_view("\0", 1)), "\\x00");
  EXPECT_EQ(atoll::printable("12345", 4), "1234...");
  EXPECT_EQ(atoll::printable("1234", 4), "1234");
}

}  // namespace
