// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include "words.hh"

#include <algorithm>

namespace wordcount {

std::int64_t count_words(std::string_view text, std::unordered_map<std::string, std::int64_t>& counts) {
  std::int64_t found = 0;
  const auto* at = text.begin();
  while (true) {
    at = std::find_if(at, text.end(), is_letter);
    if (at == text.end()) return found;
    const auto* end = std::find_if_not(at, text.end(), is_letter);
    std::string word(at, end);
    std::transform(word.begin(), word.end(), word.begin(), lower);
    ++counts[std::move(word)];
    ++found;
    at = end;
  }
}

}  // namespace wordcount
