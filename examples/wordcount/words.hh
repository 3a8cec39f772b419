// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What a word is: a run of ASCII letters, lower-cased; as `tr -cs 'A-Za-z' '\n' | tr 'A-Z' 'a-z'` cuts text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace wordcount {

constexpr bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// Adds the words of some text to `counts`; returns how many there were.
std::int64_t count_words(std::string_view text, std::unordered_map<std::string, std::int64_t>& counts);

}  // namespace wordcount
