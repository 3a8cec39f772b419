// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// is_utf8 and to_utf8, held against the table of well-formed byte sequences of the Unicode standard (table 3-7).
#include "round_trip.hh"

namespace {

/// How long the character is that the bytes begin with; 0 where it is malformed. REQUIRES: not empty.
std::size_t character_bytes(std::string_view bytes) noexcept {
  const auto at = [bytes](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const auto first = at(0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (bytes.size() < length) return 0;
  // Only the second byte's range depends on the first: nothing overlong, no surrogates, nothing above U+10FFFF.
  const unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (at(1) < least || at(1) > most) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (at(i) < 0x80 || at(i) > 0xbf) return 0;
  }
  return length;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::view(data, size);
  std::string expected;
  bool well_formed = true;
  for (auto rest = input; !rest.empty();) {
    const auto length = character_bytes(rest);
    expected += length == 0 ? "\xef\xbf\xbd" : rest.substr(0, length);
    well_formed = well_formed && length != 0;
    rest.remove_prefix(length == 0 ? 1 : length);
  }
  ATOLL_ASSERT(atoll::wire::is_utf8(input) == well_formed, "UTF-8 is what the standard's table says");
  const auto text = atoll::wire::to_utf8(input);
  ATOLL_ASSERT(text == expected, "each malformed byte becomes U+FFFD, all else stays");
  ATOLL_ASSERT(atoll::wire::is_utf8(text), "what to_utf8 gives is UTF-8");
  return 0;
}
