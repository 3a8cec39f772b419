// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/text.hh>

#include <chrono>
#include <cstdint>
#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace {

TEST(text, knows_the_length_of_each_kind_of_character) {
  EXPECT_EQ(atoll::utf8_length("ab"), 1U);
  EXPECT_EQ(atoll::utf8_length(std::string_view("\0", 1)), 1U);
  EXPECT_EQ(atoll::utf8_length("\xc2\x80x"), 2U);
  EXPECT_EQ(atoll::utf8_length("\xe0\xa0\x80x"), 3U);
  EXPECT_EQ(atoll::utf8_length("\xed\x9f\xbf"), 3U);
  EXPECT_EQ(atoll::utf8_length("\xef\xbf\xbf"), 3U);
  EXPECT_EQ(atoll::utf8_length("\xf0\x90\x80\x80x"), 4U);
  EXPECT_EQ(atoll::utf8_length("\xf4\x8f\xbf\xbf"), 4U);
}

TEST(text, finds_no_character_in_what_is_no_utf8) {
  for (const std::string_view bad :
       {"", "\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2\x7f", "\xc2\xc0", "\xe0\x9f\xbf", "\xe1\x80",
        "\xe1\x80\x7f", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf1\x80\x80", "\xf1\x80\x80\xc0", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_EQ(atoll::utf8_length(bad), 0U) << testing::PrintToString(bad);
  }
}

TEST(text, is_trimmed_at_both_ends) {
  static_assert(atoll::trimmed(" \ta b\t ") == "a b");
  EXPECT_EQ(atoll::trimmed(""), "");
  EXPECT_EQ(atoll::trimmed(" \t "), "");
  EXPECT_EQ(atoll::trimmed("a\n"), "a\n");
  EXPECT_EQ(atoll::trimmed(" a\n", " \n"), "a");
}

TEST(text, is_appended_to_what_is_there) {
  std::string out = "1\n";
  atoll::append_escaped(out, "2\n\"\\ \xe2\x80\xa9");
  atoll::append_value(out, "\"");
  atoll::append_value(out, "x");
  EXPECT_EQ(out, "1\n2\\n\"\\ \\xe2\\x80\\xa9\"\\\"\"x");
}

TEST(text, utc_is_written_as_iso_8601) {
  using atoll::utc_text;
  using nanoseconds = std::chrono::nanoseconds;
  const auto at = [](std::int64_t ns) {
    return std::string(utc_text(std::chrono::sys_time<nanoseconds>(nanoseconds(ns))).data());
  };
  EXPECT_EQ(at(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(at(-1), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(at(951'827'696'123'456'789), "2000-02-29T12:34:56.123456Z");
  EXPECT_EQ(at(std::numeric_limits<std::int64_t>::max()), "2262-04-11T23:47:16.854775Z");
  EXPECT_EQ(at(std::numeric_limits<std::int64_t>::min() + 86'400'000'000'000), "1677-09-22T00:12:43.145224Z");
}

}  // namespace
