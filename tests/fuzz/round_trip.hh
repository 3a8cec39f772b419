// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What every fuzz target of a described struct asserts.
//
//   extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
//     fuzz::decode_both_ways<hello_body>(fuzz::view(data, size));  ...
//
// Nothing is asserted of an input but that it is decoded or refused as `invalid_argument`; what is asserted is that
// a value which was decoded is encoded, and decoded again to the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <atoll/actors/base/assert.hh>
#include <atoll/rpc/codec.hh>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace fuzz {

inline std::string_view view(const std::uint8_t* data, std::size_t size) noexcept {
  return {reinterpret_cast<const char*>(data), size};
}

/// The encoding of what was decoded. REQUIRES: T has no unordered containers.
template <class T>
std::string encode_decoded(const T& value) {
  std::string encoded;
  const auto refused = atoll::encode_message(encoded, value);
  ATOLL_ASSERT(!refused, "what was decoded can be encoded");
  ATOLL_ASSERT(encoded.size() == atoll::wire::message_size(value), "the size is that of the encoding");
  return encoded;
}

/// The message in the input, if there is one, after encoding it and decoding it again.
template <class T>
std::optional<T> decode_both_ways(std::string_view input) {
  T value;
  if (const auto refused = atoll::decode_message(input, value)) {
    ATOLL_ASSERT(refused->code() == atoll::status_code::invalid_argument, "a bad message is an invalid argument");
    return std::nullopt;
  }
  const std::string once = encode_decoded(value);
  T again;
  ATOLL_ASSERT(!atoll::decode_message(once, again), "what was encoded can be decoded");
  ATOLL_ASSERT(encode_decoded(again) == once, "decoding and encoding gives the same bytes");
  return value;
}

}  // namespace fuzz
