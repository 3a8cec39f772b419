// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/wire.hh>

#include <boost/locale/utf.hpp>

namespace atoll_root::atoll::wire {
namespace {

namespace utf = boost::locale::utf;

/// The length of the ASCII text the bytes begin with, found eight bytes at a time.
std::size_t ascii_prefix(std::string_view bytes) noexcept {
  std::size_t n = 0;
  for (std::uint64_t word = 0; n + sizeof word <= bytes.size(); n += sizeof word) {
    std::memcpy(&word, bytes.data() + n, sizeof word);
    if ((word & 0x8080808080808080U) != 0) break;
  }
  while (n < bytes.size() && static_cast<unsigned char>(bytes[n]) < 0x80) ++n;
  return n;
}

bool is_character(utf::code_point c) noexcept { return c != utf::illegal && c != utf::incomplete; }

}  // namespace

bool is_utf8(std::string_view bytes) noexcept {
  bytes.remove_prefix(ascii_prefix(bytes));
  const char* at = bytes.data();
  const char* end = at + bytes.size();
  while (at != end) {
    if (!is_character(utf::utf_traits<char>::decode(at, end))) return false;
  }
  return true;
}

std::string to_utf8(std::string_view bytes) {
  if (is_utf8(bytes)) return std::string(bytes);
  std::string text;
  const char* at = bytes.data();
  const char* end = at + bytes.size();
  while (at != end) {
    const char* next = at;
    if (is_character(utf::utf_traits<char>::decode(next, end))) {
      text.append(at, next);
      at = next;
    } else {
      text.append("\xef\xbf\xbd");
      ++at;
    }
  }
  return text;
}

}  // namespace atoll_root::atoll::wire
