// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Text from anywhere: taken apart, and made fit for one line of a log or of an exposition.
//
//   atoll::trimmed(" a b\t")                            // "a b"
//   atoll::utf8_length("\xc3\xa4x")                     // 2: bytes of the character it begins with
//   atoll::append_escaped(line, "two\nlines");          // two\nlines, in one line
//   atoll::append_value(line, "no route");              // "no route": a logfmt value, quoted where it has to be
//   atoll::utc_text(now).data()                         // "2026-03-01T09:05:00.000123Z"
//
// Pure functions: any thread may call them. They throw bad_alloc alone.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include <atoll/actors/base/chrono.hh>
#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

/// Without the blanks at both ends.
constexpr std::string_view trimmed(std::string_view text, std::string_view blanks = " \t") noexcept {
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

/// Bytes (1 to 4) of the UTF-8 character that `text` begins with; 0 where it begins with none: empty, cut short,
/// overlong, a surrogate, or past U+10FFFF.
std::size_t utf8_length(std::string_view text) noexcept;

/// The time in UTC as ISO 8601 has it, with microseconds, cut: "2026-03-01T09:05:00.000123Z" and a zero byte. Years 1678
/// to 2261. A signal handler may call it.
std::array<char, 28> utc_text(std::chrono::sys_time<std::chrono::nanoseconds> time) noexcept;

/// Appends `text` as valid UTF-8 in one line: line breaks (also U+2028 and U+2029), tabs, other control characters and
/// bytes that are no UTF-8 become \n, \r, \t and \xNN. A backslash stays as it is.
void append_escaped(std::string& out, std::string_view text);

/// Appends a logfmt value: as it is where it is plain, else in double quotes, with \" and \\ besides the escapes above.
void append_value(std::string& out, std::string_view value);

}  // namespace atoll_root::atoll
