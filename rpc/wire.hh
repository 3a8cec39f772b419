// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The protobuf encoding, one field at a time (https://protobuf.dev/programming-guides/encoding).
//
//   wire::put_tag(out, 1, wire::wire_type::varint);  wire::put_varint(out, 150);
//   wire::reader in(bytes);
//   while (in.next()) { if (in.field() == 1) ok = in.varint(value); else ok = in.skip(); }
//   if (in.failed()) ...
//
// A reader never reads past its bytes and never allocates. The first malformed thing makes it fail; from then on
// every call returns false. Groups (deprecated in protobuf) count as malformed.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll::wire {

static_assert(std::endian::native == std::endian::little, "fixed fields are copied as they lie");

enum class wire_type : std::uint8_t { varint = 0, fixed64 = 1, length = 2, fixed32 = 5 };

inline std::size_t varint_size(std::uint64_t value) noexcept {
  // 7 bits a byte; 0 takes one byte too.
  return (static_cast<std::size_t>(std::bit_width(value | 1)) + 6) / 7;
}

inline void put_varint(std::string& out, std::uint64_t value) {
  char bytes[10];  // NOLINT(modernize-avoid-c-arrays): written in part
  std::size_t n = 0;
  for (; value >= 0x80; value >>= 7) bytes[n++] = static_cast<char>(value | 0x80);
  bytes[n++] = static_cast<char>(value);
  out.append(bytes, n);
}

inline std::size_t tag_size(std::uint32_t field) noexcept { return varint_size(std::uint64_t{field} << 3); }
inline void put_tag(std::string& out, std::uint32_t field, wire_type t) {
  put_varint(out, (std::uint64_t{field} << 3) | static_cast<std::uint64_t>(t));
}

template <class Number>
void put_fixed(std::string& out, Number value) {
  char bytes[sizeof value];  // NOLINT(modernize-avoid-c-arrays)
  std::memcpy(bytes, &value, sizeof value);
  out.append(bytes, sizeof value);
}

inline void put_bytes(std::string& out, std::string_view bytes) {
  put_varint(out, bytes.size());
  out.append(bytes);
}

/// True if the bytes are well-formed UTF-8: no surrogates, nothing overlong, nothing above U+10FFFF.
bool is_utf8(std::string_view bytes) noexcept;

/// The same text with each malformed byte replaced by U+FFFD.
std::string to_utf8(std::string_view bytes);

class reader {
 public:
  explicit reader(std::string_view bytes) noexcept : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  /// Moves to the next field; false at the end and after a failure.
  bool next() noexcept {
    if (at_ == end_ || failed_) return false;
    std::uint64_t tag = 0;
    if (!varint(tag)) return false;
    const auto field = tag >> 3;
    const auto t = static_cast<std::uint8_t>(tag & 7);
    if (field == 0 || field > field_max || (t > 2 && t != 5)) return fail();
    field_ = static_cast<std::uint32_t>(field);
    type_ = static_cast<wire::wire_type>(t);
    return true;
  }

  [[nodiscard]] std::uint32_t field() const noexcept { return field_; }
  [[nodiscard]] wire_type type() const noexcept { return type_; }
  [[nodiscard]] bool failed() const noexcept { return failed_; }
  [[nodiscard]] bool at_end() const noexcept { return at_ == end_; }
  bool fail() noexcept {
    failed_ = true;
    return false;
  }

  bool varint(std::uint64_t& value) noexcept {
    value = 0;
    for (unsigned shift = 0; shift < 70 && at_ != end_; shift += 7) {
      const auto byte = static_cast<unsigned char>(*at_++);
      if (shift < 64) value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) return true;
    }
    return fail();
  }

  template <class Number>
  bool fixed(Number& value) noexcept {
    if (static_cast<std::size_t>(end_ - at_) < sizeof value) return fail();
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return true;
  }

  bool bytes(std::string_view& value) noexcept {
    std::uint64_t size = 0;
    if (!varint(size)) return false;
    if (size > static_cast<std::uint64_t>(end_ - at_)) return fail();
    value = {at_, static_cast<std::size_t>(size)};
    at_ += size;
    return true;
  }

  /// Passes over the value of the current field.
  bool skip() noexcept {
    std::uint64_t number = 0;
    std::uint32_t half = 0;
    std::string_view content;
    switch (type_) {
      case wire_type::varint:
        return varint(number);
      case wire_type::fixed64:
        return fixed(number);
      case wire_type::fixed32:
        return fixed(half);
      case wire_type::length:
        return bytes(content);
    }
    return fail();
  }

 private:
  static constexpr std::uint64_t field_max = (1U << 29) - 1;

  const char* at_;
  const char* end_;
  std::uint32_t field_ = 0;
  wire_type type_ = wire_type::varint;
  bool failed_ = false;
};

}  // namespace atoll_root::atoll::wire
