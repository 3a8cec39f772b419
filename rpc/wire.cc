// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/wire.hh>

#include <algorithm>

#include <atoll/actors/base/text.hh>

namespace atoll_root::atoll::wire {
namespace {

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

}  // namespace

bool is_utf8(std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const bool ascii = static_cast<unsigned char>(bytes.front()) < 0x80;
    const std::size_t length = ascii ? ascii_prefix(bytes) : utf8_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

std::string to_utf8(std::string_view bytes) {
  if (is_utf8(bytes)) return std::string(bytes);
  std::string text;
  while (!bytes.empty()) {
    const std::size_t length = utf8_length(bytes);
    text += length == 0 ? "\xef\xbf\xbd" : bytes.substr(0, length);
    bytes.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return text;
}

}  // namespace atoll_root::atoll::wire
