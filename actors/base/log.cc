// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/log.hh>

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <iterator>

#include <fmt/format.h>

#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll::detail {
namespace {

constexpr std::array<std::string_view, 4> level_names = {"debug", "info", "warning", "error"};

/// ATOLL_LOG=debug|info|warning|error; read once.
log_level least_level() noexcept {
  static const log_level level = [] {
    const char* wanted = std::getenv("ATOLL_LOG");
    for (std::size_t i = 0; wanted != nullptr && i < level_names.size(); ++i) {
      if (level_names[i] == wanted) return static_cast<log_level>(i);
    }
    return log_level::info;
  }();
  return level;
}

}  // namespace

void write_log(log_level level, fmt::string_view format, fmt::format_args arguments) noexcept {
  if (level < least_level()) return;
  try {
    fmt::memory_buffer line;
    auto out = std::back_inserter(line);
    if (on_shard()) {
      fmt::format_to(out, "{} [shard {}] ", level_names[static_cast<std::size_t>(level)], this_shard_id());
    } else {
      fmt::format_to(out, "{} ", level_names[static_cast<std::size_t>(level)]);
    }
    fmt::vformat_to(out, format, arguments);
    line.push_back('\n');
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  } catch (...) {
    // A message that can't be formatted is lost; logging never fails its caller.
    return;
  }
}

}  // namespace atoll_root::atoll::detail
