// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// decode_message, of a struct with a field of every kind.
#include "round_trip.hh"

namespace demo {

enum class colour : std::int8_t { none = 0, red = 1, minus = -3 };

struct point {
  std::string label;
  float x = 0;
  double y = 0;
};
ATOLL_MESSAGE(point, label, x, y);

struct sample {
  bool flag = false;
  std::int8_t small = 0;
  std::uint16_t half = 0;
  std::int32_t number = 0;
  std::uint64_t large = 0;
  colour shade = colour::none;
  std::string text;
  atoll::bytes raw;
  point place;
  std::optional<std::int64_t> maybe;
  std::optional<point> maybe_place;
  std::vector<bool> flags;
  std::vector<std::int16_t> numbers;
  std::vector<double> doubles;
  std::vector<std::string> texts;
  std::vector<sample> children;
  std::map<std::string, point> by_name;
  std::map<std::int32_t, atoll::bytes> by_number;
  std::map<bool, colour> by_flag;
};
ATOLL_MESSAGE(sample, flag, small, half, number, large, shade, text, raw, place, maybe, maybe_place, flags, numbers,
              doubles, texts, children, by_name, by_number, by_flag);

/// Of those the order of the encoding is not fixed, so their values are compared.
struct unordered {
  std::unordered_map<std::string, std::int32_t> by_name;
  std::unordered_map<std::uint64_t, std::string> by_number;
};
ATOLL_MESSAGE(unordered, by_name, by_number);

}  // namespace demo

namespace {

void check_unordered(std::string_view input) {
  demo::unordered value;
  if (atoll::decode_message(input, value)) return;
  demo::unordered again;
  ATOLL_ASSERT(!atoll::decode_message(fuzz::encode_decoded(value), again), "what was encoded can be decoded");
  ATOLL_ASSERT(again.by_name == value.by_name && again.by_number == value.by_number, "decoding gives the same value");
}

/// Protobuf's rule of merging: the encodings of two messages, one after the other, are the encoding of one.
void check_merge(std::string_view input) {
  const auto head = input.substr(0, input.size() / 2);
  const auto tail = input.substr(head.size());
  demo::sample parts;
  if (atoll::decode_message(head, parts) || atoll::decode_message(tail, parts)) return;
  demo::sample whole;
  ATOLL_ASSERT(!atoll::decode_message(input, whole), "two messages are one");
  ATOLL_ASSERT(fuzz::encode_decoded(whole) == fuzz::encode_decoded(parts), "and merge to the same value");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::view(data, size);
  fuzz::decode_both_ways<demo::sample>(input);
  check_unordered(input);
  check_merge(input);
  return 0;
}
