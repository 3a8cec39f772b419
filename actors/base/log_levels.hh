// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What is logged, and where to: one object a shard, this_shard().logs.
//
//   auto changed = atoll::this_shard().logs.set("info,net=debug,rpc=warning");
//   if (!changed) report(changed.error());                  // bad text changes nothing
//   atoll::this_shard().logs.sink = &captured;              // a test takes the lines
//
// A shard begins with the process's levels, which are read from ATOLL_LOG once; threads that are no shard keep those.
// Shard rules: touched by its shard alone; set it on each shard to change the process.
// Cost: enabled() is two comparisons, and a search among the named loggers only where they disagree on the level.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/actors/base/result.hh>

namespace atoll_root::atoll {

enum class log_level : std::uint8_t { debug, info, warning, error };

/// "debug", "info", "warning" or "error".
std::string_view to_string(log_level level) noexcept;

/// Where lines go. `write` gets each line whole, with its line feed; it must not log.
class log_sink {
 public:
  virtual ~log_sink() = default;
  virtual void write(std::string_view line) noexcept = 0;
};

class log_levels {
 public:
  /// Loggers that may have a level of their own.
  static constexpr std::size_t named_max = 64;

  /// Replaces the levels by those of `text`: a comma-separated list of `LEVEL`, for all loggers (info where it is left
  /// out), and `NAME=LEVEL`, for the logger of just that name, with blanks around each as you like. Names consist of
  /// ASCII letters, digits and _ . - and nothing is given twice.
  /// Errors: invalid_argument, resource_exhausted past named_max, with a message of one line; they change nothing.
  result<void> set(std::string_view text);

  /// The text that set() takes for these levels.
  [[nodiscard]] std::string to_string() const;

  /// The least level that the logger of this name logs.
  [[nodiscard]] log_level least(std::string_view name) const noexcept;

  [[nodiscard]] bool enabled(std::string_view name, log_level level) const noexcept {
    if (level < lowest_) return false;
    if (level >= highest_) return true;
    return level >= least(name);
  }

  /// Null stands for the process's stderr. Not owned; set() leaves it.
  log_sink* sink = nullptr;
  /// Whether lines on stderr begin with the time: "2026-03-01T09:05:00.000123Z ". A sink adds its own.
  bool times = true;

 private:
  struct named {
    std::string name;
    log_level least;
  };

  std::vector<named> named_;
  log_level others_ = log_level::info;
  log_level lowest_ = log_level::info;   // of all of them: below it nobody logs
  log_level highest_ = log_level::info;  // from it on everybody does
};

/// What this process began with: levels from ATOLL_LOG, where text that is no levels is reported once and stands for
/// "info"; times unless ATOLL_NO_LOG_TIMES is set, or stderr goes to systemd's journal (JOURNAL_STREAM), which has them.
/// Any thread may call it.
const log_levels& initial_log_levels() noexcept;

}  // namespace atoll_root::atoll
