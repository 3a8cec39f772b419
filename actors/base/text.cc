// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/text.hh>

#include <chrono>

#include <algorithm>
#include <cstdint>

namespace atoll_root::atoll {
namespace {

unsigned byte_at(std::string_view text, std::size_t at) noexcept { return static_cast<unsigned char>(text[at]); }

/// Of a character that utf8_length() has found whole.
bool breaks_line(std::string_view character) noexcept {
  const unsigned first = byte_at(character, 0);
  if (character.size() == 1) return first < 0x20 || first == 0x7f;
  if (character.size() == 2) return first == 0xc2 && byte_at(character, 1) < 0xa0;  // U+0080 to U+009F
  return character == "\xe2\x80\xa8" || character == "\xe2\x80\xa9";                // U+2028, U+2029
}

void append_bytes_escaped(std::string& out, std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    out += "\\x";
    out += digits[byte_at(bytes, i) >> 4];
    out += digits[byte_at(bytes, i) & 15];
  }
}

void append_character(std::string& out, std::string_view character, bool quoted) {
  const char first = character[0];
  if (first == '\n') {
    out += "\\n";
  } else if (first == '\r') {
    out += "\\r";
  } else if (first == '\t') {
    out += "\\t";
  } else if (quoted && (first == '"' || first == '\\')) {
    out += '\\';
    out += first;
  } else if (breaks_line(character)) {
    append_bytes_escaped(out, character);
  } else {
    out += character;
  }
}

void append(std::string& out, std::string_view text, bool quoted) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) {
      append_bytes_escaped(out, text.substr(0, 1));
    } else {
      append_character(out, text.substr(0, length), quoted);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
}

}  // namespace

std::array<char, 28> utc_text(std::chrono::sys_time<std::chrono::nanoseconds> time) noexcept {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const auto in_day = std::chrono::duration_cast<std::chrono::microseconds>(time - day).count();
  std::array<char, 28> text{};
  std::size_t at = 0;
  const auto put = [&text, &at](std::uint64_t number, std::size_t digits, char after) {
    for (std::size_t i = digits; i-- > 0; number /= 10) text[at + i] = static_cast<char>('0' + number % 10);
    at += digits;
    text[at++] = after;
  };
  const auto part = [in_day](std::int64_t unit, std::int64_t parts) {
    return static_cast<std::uint64_t>(in_day / unit % parts);
  };
  put(static_cast<std::uint64_t>(static_cast<int>(date.year())), 4, '-');
  put(static_cast<unsigned>(date.month()), 2, '-');
  put(static_cast<unsigned>(date.day()), 2, 'T');
  put(part(3'600'000'000, 24), 2, ':');
  put(part(60'000'000, 60), 2, ':');
  put(part(1'000'000, 60), 2, '.');
  put(part(1, 1'000'000), 6, 'Z');
  return text;
}

std::size_t utf8_length(std::string_view text) noexcept {
  if (text.empty()) return 0;
  const unsigned first = byte_at(text, 0);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (text.size() < length) return 0;
  // The second byte rules out what is overlong, a surrogate or too large.
  const unsigned lowest = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned highest = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte_at(text, 1) < lowest || byte_at(text, 1) > highest) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((byte_at(text, i) & 0xc0) != 0x80) return 0;
  }
  return length;
}

void append_escaped(std::string& out, std::string_view text) { append(out, text, false); }

void append_value(std::string& out, std::string_view value) {
  const auto plain = [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\'; };
  if (!value.empty() && std::ranges::all_of(value, plain)) {
    out += value;
    return;
  }
  out += '"';
  append(out, value, true);
  out += '"';
}

}  // namespace atoll_root::atoll
