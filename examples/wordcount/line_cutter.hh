// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// line_cutter: cuts a stream of bytes into what the service takes: lines, parts of very long lines (cut where no
// word is), and words that are too long for a message.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace wordcount {

class line_cutter {
 public:
  /// The longest line sent whole.
  static constexpr std::size_t line_bytes_max = 256U << 10;
  /// The longest word within a line.
  static constexpr std::size_t word_letters_max = 64U << 10;

  std::function<void(std::string part, bool ends_line)> on_line;
  std::function<void(std::string word)> on_long_word;  // lower-cased

  void feed(std::string_view bytes);
  /// The end of the text.
  void finish();

 private:
  void add(std::string_view bytes);
  void cut_long_line();
  void end_long_word();
  void end_line();

  std::string line_;
  std::string word_;  // not empty: within a long word
};

}  // namespace wordcount
