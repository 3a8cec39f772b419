// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/log.hh>

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <string>

#include <fmt/format.h>

#include <atoll/actors/base/text.hh>
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll {
namespace {

constexpr std::string_view cut_mark = "...";

void emit(std::string_view line) noexcept {
  if (on_shard() && this_shard().logs.sink != nullptr) return this_shard().logs.sink->write(line);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

/// "warning [shard 3] net: ".
void append_head(std::string& text, log_level level, std::string_view logger) {
  text += to_string(level);
  text += ' ';
  if (on_shard()) fmt::format_to(std::back_inserter(text), "[shard {}] ", this_shard_id());
  if (logger.empty()) return;
  append_escaped(text, logger);
  text += ": ";
}

void append_key(std::string& text, std::string_view key) {
  constexpr std::string_view others = "_.-/:";
  for (const char c : key) {
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    text += plain || others.find(c) != std::string_view::npos ? c : '_';
  }
  if (key.empty()) text += '_';
}

void append_fields(std::string& text, std::span<const std::string_view> keys, fmt::format_args values) {
  std::string value;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    value.clear();
    fmt::vformat_to(std::back_inserter(value), fmt::format("{{{}}}", i), values);
    text += ' ';
    append_key(text, keys[i]);
    text += '=';
    append_value(text, value);
  }
}

/// Cuts a line that is too long between two characters, and ends it.
void finish(std::string& text) {
  if (text.size() >= log_line_bytes_max) {
    std::size_t end = log_line_bytes_max - cut_mark.size() - 1;
    while ((static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text.resize(end);
    text += cut_mark;
  }
  text += '\n';
}

}  // namespace

const log_levels& initial_log_levels() noexcept {
  static const log_levels levels = []() noexcept {
    log_levels initial;
    const char* const wanted = std::getenv("ATOLL_LOG");
    if (wanted == nullptr || *wanted == '\0') return initial;
    if (const auto set = initial.set(wanted); !set) {
      std::string line = "warning ATOLL_LOG is ignored: " + std::string(set.error().message());
      finish(line);
      emit(line);
    }
    return initial;
  }();
  return levels;
}

namespace detail {

bool log_enabled(std::string_view logger, log_level level) noexcept {
  return (current_shard != nullptr ? current_shard->logs : initial_log_levels()).enabled(logger, level);
}

bool log_passes(rate_limit& limit) noexcept {
  clock* const time = on_shard() ? this_shard().time : nullptr;
  return limit.pass(time != nullptr ? time->now() : system_clock().now());
}

void write_log(const log_line& line) noexcept {
  const int kept = errno;
  try {
    std::string text, message;
    append_head(text, line.level, line.logger);
    fmt::vformat_to(std::back_inserter(message), line.format, line.arguments);
    append_escaped(text, message);
    append_fields(text, line.keys, line.values);
    if (line.suppressed > 0) fmt::format_to(std::back_inserter(text), " suppressed={}", line.suppressed);
    finish(text);
    emit(text);
  } catch (...) {
    // Logging never fails its caller, and never in silence. Nothing below allocates.
    emit("error a log line was lost: it can't be formatted\n");
  }
  errno = kept;
}

}  // namespace detail
}  // namespace atoll_root::atoll
