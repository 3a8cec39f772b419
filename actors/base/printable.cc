// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/printable.hh>

namespace atoll_root::atoll {

std::string printable(std::string_view text, std::size_t bytes_max) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, bytes_max)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else if (c == '\n' || c == '\t') {
      out += c == '\n' ? "\\n" : "\\t";
    } else {
      out += {'\\', 'x', hex[byte >> 4U], hex[byte & 15U]};
    }
  }
  if (text.size() > bytes_max) out += "...";
  return out;
}

}  // namespace atoll_root::atoll
