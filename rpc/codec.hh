// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// C++ values to protobuf messages and back.
//
//   std::string encoded;  if (auto bad = encode_message(encoded, a_hit)) ...     // ATOLL_MESSAGE structs
//   hit h;                if (auto bad = decode_message(encoded, h)) ...
//
// Types on the wire: bool, integers (int32/int64/uint32/uint64; narrower ones as int32/uint32, checked), enums
// (int32), float, double, std::string (`string`, must be UTF-8), bytes and buffer (`bytes`), std::vector (repeated, packed where
// protobuf packs), std::optional (`optional`), std::map and std::unordered_map with integer, bool or string
// keys, and described structs. Fields have the numbers of their order in ATOLL_MESSAGE or ATOLL_METHOD.
// As proto3 has it: default values are not sent, unknown fields (and known numbers with another wire type) are skipped,
// the last value of a field wins.
// Errors: `invalid_argument` naming the field. Nesting deeper than `nesting_max` is refused.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include <atoll/actors/base/bytes.hh>
#include <atoll/actors/base/error.hh>
#include <atoll/actors/memory/buffer.hh>
#include <atoll/rpc/wire.hh>
#include <atoll/sharding/message.hh>

namespace atoll_root::atoll {

/// How deep messages may lie in messages; protobuf's own parsers stop there too.
inline constexpr unsigned nesting_max = 100;

namespace wire {

/// The kinds of protobuf fields that C++ types become.
enum class field_kind : std::uint8_t {
  boolean,
  int32,
  int64,
  uint32,
  uint64,
  float32,
  float64,
  string,
  bytes,
  message,
};

/// How values of one type are encoded. Specialisations have `kind`, `type`, size, put, get, is_default.
template <class T>
struct scalar;

template <class T>
using enum_number =
    typename std::conditional_t<std::is_enum_v<T>, std::underlying_type<T>, std::type_identity<T>>::type;

template <class T>
  requires std::is_integral_v<T> || std::is_enum_v<T>
struct scalar<T> {
  static_assert(!std::is_enum_v<T> || sizeof(T) < 4 || (sizeof(T) == 4 && std::is_signed_v<enum_number<T>>),
                "an enum on the wire is an int32: its underlying type has to fit");
  static constexpr bool is_signed = std::is_enum_v<T> || std::is_signed_v<T>;
  static constexpr wire::field_kind kind = std::is_same_v<T, bool> ? field_kind::boolean
                                           : std::is_enum_v<T>     ? field_kind::int32
                                           : sizeof(T) == 8 ? (is_signed ? field_kind::int64 : field_kind::uint64)
                                                            : (is_signed ? field_kind::int32 : field_kind::uint32);
  static constexpr wire::wire_type type = wire_type::varint;

  static std::uint64_t number(T value) noexcept {
    // Negative numbers are sign-extended to 64 bits, as protobuf does for int32 too.
    return is_signed ? static_cast<std::uint64_t>(static_cast<std::int64_t>(value)) : static_cast<std::uint64_t>(value);
  }
  static std::size_t size(T value) noexcept { return varint_size(number(value)); }
  static bool put(std::string& out, T value) {
    put_varint(out, number(value));
    return true;
  }
  static bool is_default(T value) noexcept { return value == T{}; }
  static bool get(reader& in, T& value, unsigned) noexcept {
    std::uint64_t raw = 0;
    if (!in.varint(raw)) return false;
    if constexpr (std::is_same_v<T, bool>) {
      value = raw != 0;
    } else if constexpr (std::is_enum_v<T>) {
      const auto n = static_cast<std::int32_t>(raw);
      if (!std::in_range<std::underlying_type_t<T>>(n)) return in.fail();
      value = static_cast<T>(n);
    } else if constexpr (sizeof(T) >= 4) {
      value = static_cast<T>(raw);  // protobuf keeps the low bits of what is too wide
    } else {
      const auto n = static_cast<std::conditional_t<is_signed, std::int32_t, std::uint32_t>>(raw);
      if (!std::in_range<T>(n)) return in.fail();
      value = static_cast<T>(n);
    }
    return true;
  }
};

template <class T>
  requires std::is_floating_point_v<T> && (sizeof(T) <= 8)
struct scalar<T> {
  static constexpr wire::field_kind kind = sizeof(T) == 4 ? field_kind::float32 : field_kind::float64;
  static constexpr wire::wire_type type = sizeof(T) == 4 ? wire_type::fixed32 : wire_type::fixed64;
  static std::size_t size(T) noexcept { return sizeof(T); }
  static bool put(std::string& out, T value) {
    put_fixed(out, value);
    return true;
  }
  // Minus zero is not the default: its sign would be lost.
  static bool is_default(T value) noexcept {
    return std::bit_cast<std::array<char, sizeof(T)>>(value) == std::array<char, sizeof(T)>{};
  }
  static bool get(reader& in, T& value, unsigned) noexcept { return in.fixed(value); }
};

template <>
struct scalar<std::string> {
  static constexpr wire::field_kind kind = field_kind::string;
  static constexpr wire::wire_type type = wire_type::length;
  static std::size_t size(const std::string& v) noexcept { return varint_size(v.size()) + v.size(); }
  static bool put(std::string& out, const std::string& v) {
    put_bytes(out, v);
    return is_utf8(v);
  }
  static bool is_default(const std::string& v) noexcept { return v.empty(); }
  static bool get(reader& in, std::string& v, unsigned) {
    std::string_view content;
    if (!in.bytes(content)) return false;
    if (!is_utf8(content)) return in.fail();
    v = content;
    return true;
  }
};

/// What owns bytes: `bytes` and buffer.
template <class T>
struct scalar_of_bytes {
  static constexpr wire::field_kind kind = field_kind::bytes;
  static constexpr wire::wire_type type = wire_type::length;
  static std::size_t size(const T& v) noexcept { return varint_size(v.size()) + v.size(); }
  static bool put(std::string& out, const T& v) {
    put_bytes(out, v.view());
    return true;
  }
  static bool is_default(const T& v) noexcept { return v.empty(); }
};
template <>
struct scalar<bytes> : scalar_of_bytes<bytes> {
  static bool get(reader& in, bytes& v, unsigned) {
    std::string_view content;
    if (!in.bytes(content)) return false;
    v.data = content;
    return true;
  }
};
template <>
struct scalar<buffer> : scalar_of_bytes<buffer> {
  static bool get(reader& in, buffer& v, unsigned) {
    std::string_view content;
    if (!in.bytes(content)) return false;
    v = buffer::copy_of(content);
    return true;
  }
};

/// A view of a `bytes` field, for the framework's own frames: valid as long as what was decoded.
template <>
struct scalar<std::string_view> {
  static constexpr wire::field_kind kind = field_kind::bytes;
  static constexpr wire::wire_type type = wire_type::length;
  static std::size_t size(std::string_view v) noexcept { return varint_size(v.size()) + v.size(); }
  static bool put(std::string& out, std::string_view v) {
    put_bytes(out, v);
    return true;
  }
  static bool is_default(std::string_view v) noexcept { return v.empty(); }
  static bool get(reader& in, std::string_view& v, unsigned) noexcept { return in.bytes(v); }
};

template <class T>
std::size_t message_size(const T& message);
template <class T>
const char* put_message(std::string& out, const T& message);
template <class T>
const char* get_message(std::string_view encoded, T& message, unsigned depth);

template <described_message T>
struct scalar<T> {
  static constexpr wire::field_kind kind = field_kind::message;
  static constexpr wire::wire_type type = wire_type::length;
  static std::size_t size(const T& v) {
    const std::size_t n = message_size(v);
    return varint_size(n) + n;
  }
  static bool put(std::string& out, const T& v) {
    put_varint(out, message_size(v));
    return put_message(out, v) == nullptr;
  }
  // One that is there but all default is not sent: who has to tell it from none uses std::optional.
  static bool is_default(const T& v) { return message_size(v) == 0; }
  static bool get(reader& in, T& v, unsigned depth) {
    std::string_view content;
    if (depth >= nesting_max) return in.fail();
    return in.bytes(content) && (get_message(content, v, depth + 1) == nullptr || in.fail());
  }
};

template <class T>
concept on_wire_scalar = requires { scalar<T>::kind; };

/// How one field of a type is encoded, tag and all. Functions: size, put (false: a value that can't be sent),
/// get (of the field the reader stands at).
template <class T>
struct field {
  static_assert(on_wire_scalar<T>, "this type has no protobuf encoding: see the list in atoll/rpc/codec.hh");
  static std::size_t size(std::uint32_t number, const T& value) {
    return scalar<T>::is_default(value) ? 0 : tag_size(number) + scalar<T>::size(value);
  }
  static bool put(std::string& out, std::uint32_t number, const T& value) {
    if (scalar<T>::is_default(value)) return true;
    put_tag(out, number, scalar<T>::type);
    return scalar<T>::put(out, value);
  }
  static bool get(reader& in, T& value, unsigned depth) {
    // As protobuf's parsers do: a known number with another type is an unknown field.
    if (in.type() != scalar<T>::type) return in.skip();
    return scalar<T>::get(in, value, depth);
  }
};

template <class T>
struct field<std::optional<T>> {
  static std::size_t size(std::uint32_t number, const std::optional<T>& value) {
    return value ? tag_size(number) + scalar<T>::size(*value) : 0;
  }
  static bool put(std::string& out, std::uint32_t number, const std::optional<T>& value) {
    if (!value) return true;
    put_tag(out, number, scalar<T>::type);
    return scalar<T>::put(out, *value);
  }
  static bool get(reader& in, std::optional<T>& value, unsigned depth) {
    if (in.type() != scalar<T>::type) return in.skip();
    if (!value) value.emplace();
    return scalar<T>::get(in, *value, depth);
  }
};

template <class T>
struct field<std::vector<T>> {
  static_assert(on_wire_scalar<T>,
                "repeated fields hold scalars or messages: no vectors of vectors, maps or optionals");
  static constexpr bool packed = scalar<T>::type != wire_type::length;

  static std::size_t content_size(const std::vector<T>& values) {
    std::size_t n = 0;
    for (const auto& value : values) n += scalar<T>::size(value);
    return n;
  }
  static std::size_t size(std::uint32_t number, const std::vector<T>& values) {
    if (values.empty()) return 0;
    const std::size_t n = content_size(values);
    return packed ? tag_size(number) + varint_size(n) + n : values.size() * tag_size(number) + n;
  }
  static bool put(std::string& out, std::uint32_t number, const std::vector<T>& values) {
    if (values.empty()) return true;
    bool good = true;
    if constexpr (packed) {
      put_tag(out, number, wire_type::length);
      put_varint(out, content_size(values));
      for (const T value : values) good = scalar<T>::put(out, value) && good;
    } else {
      for (const auto& value : values) {
        put_tag(out, number, wire_type::length);
        good = scalar<T>::put(out, value) && good;
      }
    }
    return good;
  }
  static bool get(reader& in, std::vector<T>& values, unsigned depth) {
    if (packed && in.type() == wire_type::length) {
      std::string_view content;
      if (!in.bytes(content)) return false;
      reader each(content);
      while (!each.at_end()) {
        T value{};
        if (!scalar<T>::get(each, value, depth)) return in.fail();
        values.push_back(std::move(value));
      }
      return true;
    }
    if (in.type() != scalar<T>::type) return in.skip();
    T value{};
    if (!scalar<T>::get(in, value, depth)) return false;
    values.push_back(std::move(value));
    return true;
  }
};

template <class Map>
struct map_field {
  using key = typename Map::key_type;
  using mapped = typename Map::mapped_type;
  static_assert(std::is_integral_v<key> || std::is_same_v<key, std::string>,
                "protobuf's map keys are integers, bools or strings");

  static std::size_t entry_size(const key& k, const mapped& v) {
    return 2 + scalar<key>::size(k) + scalar<mapped>::size(v);
  }
  static std::size_t size(std::uint32_t number, const Map& values) {
    std::size_t n = 0;
    for (const auto& [k, v] : values) {
      const auto entry = entry_size(k, v);
      n += tag_size(number) + varint_size(entry) + entry;
    }
    return n;
  }
  static bool put(std::string& out, std::uint32_t number, const Map& values) {
    bool good = true;
    for (const auto& [k, v] : values) {
      put_tag(out, number, wire_type::length);
      put_varint(out, entry_size(k, v));
      put_tag(out, 1, scalar<key>::type);
      good = scalar<key>::put(out, k) && good;
      put_tag(out, 2, scalar<mapped>::type);
      good = scalar<mapped>::put(out, v) && good;
    }
    return good;
  }
  static bool get(reader& in, Map& values, unsigned depth) {
    std::string_view content;
    if (in.type() != wire_type::length) return in.skip();
    if (depth >= nesting_max) return in.fail();
    if (!in.bytes(content)) return false;
    key k{};
    mapped v{};
    reader entry(content);
    while (entry.next()) {
      if (entry.field() == 1) {
        field<key>::get(entry, k, depth + 1);
      } else if (entry.field() == 2) {
        field<mapped>::get(entry, v, depth + 1);
      } else {
        entry.skip();
      }
    }
    if (entry.failed()) return in.fail();
    values.insert_or_assign(std::move(k), std::move(v));
    return true;
  }
};
template <class K, class V>
struct field<std::map<K, V>> : map_field<std::map<K, V>> {};
template <class K, class V>
struct field<std::unordered_map<K, V>> : map_field<std::unordered_map<K, V>> {};

template <class T>
std::size_t message_size(const T& message) {
  std::size_t n = 0;
  std::uint32_t number = 0;
  for_each_member<T>([&]<class M>(M) { n += field<typename M::type>::size(++number, M::get(message)); });
  return n;
}

/// The name of the field that can't be sent, or null.
template <class T>
const char* put_message(std::string& out, const T& message) {
  const char* bad = nullptr;
  std::uint32_t number = 0;
  for_each_member<T>([&]<class M>(M) {
    if (!field<typename M::type>::put(out, ++number, M::get(message))) bad = M::name().data();
  });
  return bad;
}

/// The name of the field that is malformed ("" for what is no field), or null.
template <class T>
const char* get_message(std::string_view encoded, T& message, unsigned depth) {
  reader in(encoded);
  const char* at = "";
  while (in.next()) {
    std::uint32_t number = 0;
    bool known = false;
    for_each_member<T>([&]<class M>(M) {
      if (++number != in.field()) return;
      known = true;
      if (!field<typename M::type>::get(in, M::get(message), depth)) at = M::name().data();
    });
    if (!known) in.skip();
  }
  return in.failed() ? at : nullptr;
}

/// The error for a field name that one of the functions above gave.
error field_error(std::string_view message, std::string_view field, std::string_view what);

}  // namespace wire

/// Appends the encoding of a described struct; the error names a field that is no UTF-8.
template <described_message T>
std::optional<error> encode_message(std::string& out, const T& message) {
  const char* bad = wire::put_message(out, message);
  if (bad == nullptr) return std::nullopt;
  return wire::field_error(message_name<T>(), bad, "is not UTF-8");
}

/// Decodes into `message`, whose fields keep what they have where the encoding has nothing.
template <described_message T>
std::optional<error> decode_message(std::string_view encoded, T& message) {
  const char* bad = wire::get_message(encoded, message, 0);
  if (bad == nullptr) return std::nullopt;
  return wire::field_error(message_name<T>(), bad, "is malformed");
}

}  // namespace atoll_root::atoll
