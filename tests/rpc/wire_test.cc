// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/wire.hh>

#include <gtest/gtest.h>

namespace {

using namespace atoll;  // NOLINT
using wire::reader;
using wire::wire_type;

TEST(wire, varints_of_every_length_survive) {
  for (unsigned bits = 0; bits <= 64; ++bits) {
    const std::uint64_t value = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits);
    std::string out;
    wire::put_varint(out, value);
    EXPECT_EQ(out.size(), wire::varint_size(value));
    reader in(out);
    std::uint64_t back = 0;
    ASSERT_TRUE(in.varint(back));
    EXPECT_EQ(back, value);
    EXPECT_TRUE(in.at_end());
  }
}

TEST(wire, a_varint_that_never_ends_is_malformed) {
  for (const auto& bytes : {std::string("\x80"), std::string(11, '\xff'), std::string()}) {
    reader in(bytes);
    std::uint64_t value = 0;
    EXPECT_FALSE(in.varint(value));
    EXPECT_TRUE(in.failed());
  }
}

TEST(wire, a_length_beyond_the_end_is_malformed) {
  for (const std::uint64_t length : {std::uint64_t{3}, ~std::uint64_t{0}}) {
    std::string bytes;
    wire::put_varint(bytes, length);
    bytes += "ab";
    reader in(bytes);
    std::string_view content;
    EXPECT_FALSE(in.bytes(content));
  }
}

TEST(wire, field_numbers_and_types_out_of_range_are_malformed) {
  for (const std::uint64_t tag :
       {std::uint64_t{0}, std::uint64_t{3 | 8}, std::uint64_t{4 | 8}, std::uint64_t{6 | 8}, std::uint64_t{1} << 32}) {
    std::string bytes;
    wire::put_varint(bytes, tag);
    reader in(bytes);
    EXPECT_FALSE(in.next()) << tag;
    EXPECT_TRUE(in.failed());
  }
}

TEST(wire, every_type_of_field_can_be_skipped) {
  std::string bytes;
  wire::put_tag(bytes, 1, wire_type::varint);
  wire::put_varint(bytes, 300);
  wire::put_tag(bytes, 2, wire_type::fixed64);
  wire::put_fixed(bytes, std::uint64_t{1});
  wire::put_tag(bytes, 3, wire_type::length);
  wire::put_bytes(bytes, "abc");
  wire::put_tag(bytes, 536'870'911, wire_type::fixed32);
  wire::put_fixed(bytes, std::uint32_t{1});
  reader in(bytes);
  int fields = 0;
  for (; in.next(); ++fields) EXPECT_TRUE(in.skip());
  EXPECT_EQ(fields, 4);
  EXPECT_FALSE(in.failed());
}

TEST(wire, knows_utf8_from_what_is_none) {
  for (const char* good :
       {"", "plain ascii, longer than a word", "h\xc3\xa4user", "\xe2\x82\xac", "\xf0\x9f\x8f\x9d"}) {
    EXPECT_TRUE(wire::is_utf8(good)) << good;
    EXPECT_EQ(wire::to_utf8(good), good);
  }
  for (const char* bad :
       {"\xff", "\xc3", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "twelve bytes\xe2\x82"}) {
    EXPECT_FALSE(wire::is_utf8(bad));
    EXPECT_TRUE(wire::is_utf8(wire::to_utf8(bad)));
  }
  EXPECT_EQ(wire::to_utf8("a\xff"
                          "b"),
            "a\xef\xbf\xbd"
            "b");
}

}  // namespace
