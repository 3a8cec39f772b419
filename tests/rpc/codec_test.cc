// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/codec.hh>

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "sample.pb.h"

namespace {

using atoll::bytes;
using atoll::decode_message;
using atoll::encode_message;

enum class colour : std::int8_t { none = 0, red = 1, minus = -3 };

struct inner {
  std::string text;
  std::int64_t number = 0;
};
ATOLL_MESSAGE(inner, text, number);

struct sample {
  bool flag = false;
  std::int32_t i32 = 0;
  std::int64_t i64 = 0;
  std::uint32_t u32 = 0;
  std::uint64_t u64 = 0;
  float f32 = 0;
  double f64 = 0;
  std::string text;
  bytes raw;
  std::int8_t small = 0;
  colour shade = colour::none;
  struct inner inner;
  std::optional<struct inner> maybe_inner;
  std::optional<std::int32_t> maybe;
  std::vector<std::int32_t> numbers;
  std::vector<std::string> texts;
  std::vector<struct inner> inners;
  std::vector<double> doubles;
  std::map<std::string, std::int64_t> by_name;
  std::unordered_map<std::int32_t, struct inner> by_number;
};
ATOLL_MESSAGE(sample, flag, i32, i64, u32, u64, f32, f64, text, raw, small, shade, inner, maybe_inner, maybe, numbers,
              texts, inners, doubles, by_name, by_number);

struct chain {
  std::vector<chain> next;
};
ATOLL_MESSAGE(chain, next);

/// As protobuf sees it a sample with nothing but `raw`: the same number, the same bytes.
struct paged {
  int unused_1 = 0, unused_2 = 0, unused_3 = 0, unused_4 = 0, unused_5 = 0, unused_6 = 0, unused_7 = 0, unused_8 = 0;
  atoll::buffer raw{};
};
ATOLL_MESSAGE(paged, unused_1, unused_2, unused_3, unused_4, unused_5, unused_6, unused_7, unused_8, raw);

sample full() {
  sample s;
  s.flag = true;
  s.i32 = -5;
  s.i64 = std::numeric_limits<std::int64_t>::min();
  s.u32 = std::numeric_limits<std::uint32_t>::max();
  s.u64 = std::numeric_limits<std::uint64_t>::max();
  s.f32 = -0.0F;
  s.f64 = 2.5;
  s.text = "h\xc3\xa4user";
  s.raw = bytes(std::string("\0\xff", 2));
  s.small = -128;
  s.shade = colour::minus;
  s.inner = {"in", 7};
  s.maybe_inner = inner{};
  s.maybe = 0;
  s.numbers = {0, -1, 300};
  s.texts = {"", "x"};
  s.inners = {{"a", 1}, {}};
  s.doubles = {0.0, 1.5};
  s.by_name = {{"", 0}, {"k", -9}};
  s.by_number = {{-4, {"m", 2}}};
  return s;
}

std::string encoded(const sample& s) {
  std::string out;
  EXPECT_FALSE(encode_message(out, s));
  EXPECT_EQ(out.size(), atoll::wire::message_size(s));
  return out;
}

TEST(codec, is_read_by_protobuf) {
  test::Sample p;
  ASSERT_TRUE(p.ParseFromString(encoded(full())));
  EXPECT_TRUE(p.flag());
  EXPECT_EQ(p.i32(), -5);
  EXPECT_EQ(p.i64(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(p.u64(), std::numeric_limits<std::uint64_t>::max());
  EXPECT_TRUE(std::signbit(p.f32()));
  EXPECT_EQ(p.f64(), 2.5);
  EXPECT_EQ(p.text(), "h\xc3\xa4user");
  EXPECT_EQ(p.raw(), std::string("\0\xff", 2));
  EXPECT_EQ(p.small(), -128);
  EXPECT_EQ(p.shade(), -3);
  EXPECT_EQ(p.inner().number(), 7);
  EXPECT_TRUE(p.has_maybe_inner());
  EXPECT_TRUE(p.has_maybe());
  EXPECT_THAT(p.numbers(), testing::ElementsAre(0, -1, 300));
  EXPECT_THAT(p.texts(), testing::ElementsAre("", "x"));
  EXPECT_EQ(p.inners_size(), 2);
  EXPECT_THAT(p.doubles(), testing::ElementsAre(0.0, 1.5));
  EXPECT_EQ(p.by_name().at("k"), -9);
  EXPECT_EQ(p.by_name().at(""), 0);
  EXPECT_EQ(p.by_number().at(-4).text(), "m");
}

TEST(codec, reads_what_protobuf_writes) {
  test::Sample p;
  ASSERT_TRUE(p.ParseFromString(encoded(full())));
  sample back;
  ASSERT_FALSE(decode_message(p.SerializeAsString(), back));
  EXPECT_EQ(encoded(back), encoded(full()));
}

TEST(codec, has_buffers_as_bytes) {
  const std::string content("some\0bytes", 10);
  paged p;
  p.raw = atoll::buffer::copy_of(content);
  std::string sent;
  ASSERT_FALSE(encode_message(sent, p));
  test::Sample theirs;
  ASSERT_TRUE(theirs.ParseFromString(sent));
  EXPECT_EQ(theirs.raw(), content);
  EXPECT_EQ(theirs.SerializeAsString(), sent);
  paged back;
  back.raw = atoll::buffer::copy_of("before");
  ASSERT_FALSE(decode_message(sent, back));
  EXPECT_EQ(back.raw.view(), content);
  EXPECT_TRUE(decode_message(std::string_view(sent).substr(0, sent.size() - 1), back)) << "it ends too early";
  std::string of_none;
  ASSERT_FALSE(encode_message(of_none, paged()));
  EXPECT_EQ(of_none, "");
}

TEST(codec, sends_nothing_for_default_values) { EXPECT_EQ(encoded(sample()), ""); }

TEST(codec, skips_fields_it_does_not_know) {
  std::string out;
  atoll::wire::put_tag(out, 1'000, atoll::wire::wire_type::length);
  atoll::wire::put_bytes(out, "of a later version");
  sample sent;
  sent.u32 = 9;
  out += encoded(sent);
  atoll::wire::put_tag(out, 1'001, atoll::wire::wire_type::varint);
  atoll::wire::put_varint(out, 5);
  sample s;
  ASSERT_FALSE(decode_message(out, s));
  EXPECT_EQ(s.u32, 9U);
}

TEST(codec, reads_repeated_numbers_that_are_not_packed) {
  std::string out;
  for (const std::uint64_t n : {1U, 2U}) {
    atoll::wire::put_tag(out, 15, atoll::wire::wire_type::varint);
    atoll::wire::put_varint(out, n);
  }
  sample s;
  ASSERT_FALSE(decode_message(out, s));
  EXPECT_EQ(s.numbers, (std::vector<std::int32_t>{1, 2}));
}

TEST(codec, takes_a_known_number_of_another_type_for_an_unknown_field) {
  sample s;
  ASSERT_FALSE(decode_message("\x40\x01", s));  // a number where a string should be; protobuf's parser agrees
  EXPECT_TRUE(test::Sample().ParseFromString("\x40\x01"));
  EXPECT_EQ(s.text, "");
}

TEST(codec, names_the_field_that_is_malformed) {
  const auto refused = [](std::string_view encoded_bytes, std::string_view field) {
    sample s;
    const auto e = decode_message(encoded_bytes, s);
    ASSERT_TRUE(e);
    EXPECT_EQ(e->code(), atoll::status_code::invalid_argument);
    EXPECT_NE(e->message().find(field), std::string::npos) << e->message();
  };
  refused("\x42\x01\xff", "'text'");                        // no UTF-8
  refused("\x42\x05x", "'text'");                           // longer than what is there
  refused(std::string_view("\x50\x80\x01", 3), "'small'");  // 128 in an int8
  refused("\x62\x03\x0a\x01\xff", "'inner'");
  refused("\x7a\x01\x80", "'numbers'");
  refused("\x9a\x01\x02\x0a\x05", "'by_name'");
  refused("\x08", "'flag'");
}

TEST(codec, refuses_to_send_a_string_that_is_not_utf8) {
  sample s;
  s.texts = {"good", "\xff"};
  std::string out;
  const auto e = encode_message(out, s);
  ASSERT_TRUE(e);
  EXPECT_NE(e->message().find("'texts'"), std::string::npos);
}

TEST(codec, nests_to_its_bound_and_not_deeper) {
  const auto nested = [](unsigned depth) {
    std::string encoded_chain;
    for (unsigned i = 0; i < depth; ++i) {
      std::string outer;
      atoll::wire::put_tag(outer, 1, atoll::wire::wire_type::length);
      atoll::wire::put_bytes(outer, encoded_chain);
      encoded_chain = outer;
    }
    return encoded_chain;
  };
  chain c;
  EXPECT_FALSE(decode_message(nested(atoll::nesting_max), c));
  chain deeper;
  EXPECT_TRUE(decode_message(nested(atoll::nesting_max + 1), deeper));
}

}  // namespace
