// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The text of a configuration file: lines of `key = value`.
//
//   # a comment; so is a line that begins with ';'
//   shards = 2                # and what follows a '#' after a space
//   log = "net=debug"         # \" \\ \n \r \t and \xHH are escapes between double quotes
//   peers = '1=10.0.0.1:7000' # nothing is one between single quotes
//
// A subset of INI and TOML: no sections, no arrays, no values over several lines. A key is the option's name without
// the dashes before it; '_' counts as '-'. An option that takes several values has a line for each; for any other a
// second line is an error, where the entries are used. Lines end in \n or \r\n; a byte order mark is skipped. CLI11 has
// a reader of such files. It is not used: it passes over lines it does not understand, cuts values at commas, spaces
// and '#' also between quotes, and does not tell the line of an entry. Errors: `invalid_argument`, one line that names
// the line's number. No bytes make it crash.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <atoll/actors/base/result.hh>

namespace atoll_root::atoll {

inline constexpr std::size_t config_file_bytes_max = 1 << 20;  // a larger file is refused

struct config_entry {
  std::string key;    // "poll-time"
  std::string value;  // any bytes
  unsigned line = 0;  // the first is 1

  friend bool operator==(const config_entry&, const config_entry&) = default;
};

result<std::vector<config_entry>> parse_config(std::string_view text);

/// `key = "value"`, without the end of the line: what parse_config() reads.
std::string format_config_entry(std::string_view key, std::string_view value);

/// The text of a regular file of at most config_file_bytes_max; the error says what it is instead. Never waits for a
/// writer, as reading a pipe would.
result<std::string> read_config_file(const std::string& path);

}  // namespace atoll_root::atoll
