// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// is_utf8 and to_utf8, held against Boost.Locale's decoder.
#include <boost/locale/utf.hpp>

#include "round_trip.hh"

namespace {

/// How long the character is that the bytes begin with; 0 where it is malformed. REQUIRES: not empty.
std::size_t character_bytes(std::string_view bytes) noexcept {
  namespace utf = boost::locale::utf;
  const char* at = bytes.data();
  const utf::code_point character = utf::utf_traits<char>::decode(at, bytes.data() + bytes.size());
  if (character == utf::illegal || character == utf::incomplete) return 0;
  return static_cast<std::size_t>(at - bytes.data());
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
  ATOLL_ASSERT(atoll::wire::is_utf8(input) == well_formed, "UTF-8 is what another decoder takes");
  const auto text = atoll::wire::to_utf8(input);
  ATOLL_ASSERT(text == expected, "each malformed byte becomes U+FFFD, all else stays");
  ATOLL_ASSERT(atoll::wire::is_utf8(text), "what to_utf8 gives is UTF-8");
  return 0;
}
