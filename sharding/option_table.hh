// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// option_table: what can be set of a program, by name, and where each value came from.
//
//   option_table table;
//   table.add({.name = "port", .environment = "COUNTERD_PORT", .kind = "NUMBER",
//              .accepted = "a number from 0 to 65535", .help = "TCP port", .set = ..., .text = ...});
//   if (auto done = table.apply_config("c.conf", text); !done) ...   // in rising precedence: the later call wins
//   if (auto done = table.apply_environment(&std::getenv); !done) ...
//   if (auto done = table.apply_flag("port", {"7000"}); !done) ...
//
// Used before the shards start, by one thread. Every value is checked, also one that a later source overrules. Errors:
// `invalid_argument`, one line that names the source, the option and what it takes.
// What is not promised: an environment variable that belongs to no option is not looked at.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/actors/base/result.hh>

namespace atoll_root::atoll {

enum class setting_source : std::uint8_t { built_in, file, environment, flag };

struct option_entry {
  /// Stores the values, one unless `repeats`; false, and nothing stored, where one of them is not accepted.
  using set_function = std::function<bool(const std::vector<std::string>& values)>;

  std::string name;         // without dashes: the key in a file, and the flag after "--"
  std::string environment;  // "ATOLL_SHARDS"
  std::string kind;         // "NUMBER", as --help names the value; empty: a flag, without a value
  std::string accepted;     // "a number from 1 to 256", which follows "wants"
  std::string help;
  std::string policy;  // what is done where it is not set, if no value says that: "one a processor"
  set_function set;
  std::function<std::vector<std::string>()> text;  // the values now, as `set` takes them
  bool repeats = false;
  std::string group;  // under which --help shows it

  setting_source source = setting_source::built_in;
  std::string where;  // "file c.conf line 3", "environment COUNTERD_PORT", "flag --port"
};

class option_table {
 public:
  /// REQUIRES: no option has this name or environment name yet.
  void add(option_entry entry);

  /// Each line of a file of config_file.hh's format. A key twice is an error, but for an option that repeats.
  result<void> apply_config(const std::string& path, std::string_view text);
  /// `get` is std::getenv's like: null, or an empty text, is not set.
  result<void> apply_environment(const std::function<const char*(const char*)>& get);
  /// Of variables like "ATOLL_SHARD=2": the first name with this prefix that no option has; empty where there is none.
  [[nodiscard]] std::string first_unknown(const char* const* environment, std::string_view prefix,
                                          std::span<const std::string_view> also_known) const;
  result<void> apply_flag(std::string_view name, const std::vector<std::string>& values);

  /// The lines of --help for each option of a group, in the order of add().
  [[nodiscard]] std::string help(std::string_view group) const;
  /// A line for each option, with where its value came from: a config file that gives the same settings again.
  [[nodiscard]] std::string print() const;

  [[nodiscard]] const std::vector<option_entry>& entries() const noexcept { return entries_; }
  /// Null where no option has this name.
  [[nodiscard]] const option_entry* find(std::string_view name) const noexcept;

 private:
  std::vector<option_entry> entries_;
};

/// "counter-d", "poll-time": COUNTER_D_POLL_TIME.
std::string environment_name(std::string_view app, std::string_view option);

/// A yes or no in a file or the environment: true, yes, on, 1, false, no, off, 0.
result<bool> parse_switch(std::string_view text);

}  // namespace atoll_root::atoll
