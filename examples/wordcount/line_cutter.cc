// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include "line_cutter.hh"

#include <algorithm>
#include <utility>

#include "words.hh"

namespace wordcount {

void line_cutter::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto newline = bytes.find('\n');
    // Taken in bounded steps, so that a long line is cut while it is short enough to send.
    const auto step = std::min({newline, bytes.size(), line_bytes_max});
    add(bytes.substr(0, step));
    bytes.remove_prefix(step);
    if (step == newline) {
      end_line();
      bytes.remove_prefix(1);
    }
  }
}

void line_cutter::add(std::string_view bytes) {
  if (!word_.empty()) {
    const auto* end = std::find_if_not(bytes.begin(), bytes.end(), is_letter);
    std::transform(bytes.begin(), end, std::back_inserter(word_), lower);
    if (end == bytes.end()) return;
    end_long_word();
    bytes.remove_prefix(static_cast<std::size_t>(end - bytes.begin()));
  }
  line_.append(bytes);
  if (line_.size() > line_bytes_max) cut_long_line();
}

void line_cutter::cut_long_line() {
  // Cut after the last byte that is in no word; words before it that are too long are taken out.
  std::string rest = std::exchange(line_, {});
  std::size_t at = 0;
  std::size_t sent = 0;
  while (at < rest.size()) {
    const auto begin = static_cast<std::size_t>(
        std::find_if(rest.begin() + static_cast<std::ptrdiff_t>(at), rest.end(), is_letter) - rest.begin());
    const auto end = static_cast<std::size_t>(
        std::find_if_not(rest.begin() + static_cast<std::ptrdiff_t>(begin), rest.end(), is_letter) - rest.begin());
    const bool whole = end < rest.size();
    if (end - begin > word_letters_max || !whole) {
      if (begin > sent) on_line(rest.substr(sent, begin - sent), false);
      if (end - begin > word_letters_max) {
        std::transform(rest.begin() + static_cast<std::ptrdiff_t>(begin),
                       rest.begin() + static_cast<std::ptrdiff_t>(end), std::back_inserter(word_), lower);
        if (whole) end_long_word();
      } else {
        line_ = rest.substr(begin);  // the beginning of a word that may go on
      }
      sent = end;
    }
    at = end;
  }
  if (sent < rest.size()) on_line(rest.substr(sent), false);
}

void line_cutter::end_long_word() { on_long_word(std::exchange(word_, {})); }

void line_cutter::end_line() {
  if (line_.size() > word_letters_max) cut_long_line();
  if (!word_.empty()) end_long_word();
  on_line(std::exchange(line_, {}), true);
}

void line_cutter::finish() {
  // A last line without a newline.
  if (!line_.empty() || !word_.empty()) end_line();
}

}  // namespace wordcount
