// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/log.hh>

#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
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

/// One write, so that lines of several threads don't mix.
void emit(const log_levels& logs, std::string_view line) noexcept {
  if (logs.sink != nullptr) return logs.sink->write(line);
  std::array<iovec, 3> parts{};
  std::size_t used = 0;
  const auto add = [&parts, &used](std::string_view text) {
    parts[used++] = {.iov_base = const_cast<char*>(text.data()), .iov_len = text.size()};  // NOLINT: writev's way
  };
  clock* const own = on_shard() ? this_shard().time : nullptr;
  const auto time = utc_text((own != nullptr ? *own : system_clock()).wall_now());
  if (logs.times) {
    add(time.data());
    add(" ");
  }
  add(line);
  [[maybe_unused]] const auto written = ::writev(STDERR_FILENO, parts.data(), static_cast<int>(used));
}

const log_levels& logs_here() noexcept { return on_shard() ? this_shard().logs : initial_log_levels(); }

bool is_set(const char* value) noexcept {
  if (value == nullptr || *value == '\0') return false;
  const std::string_view text = value;
  return text != "0" && text != "false" && text != "no" && text != "off";
}

/// "DEVICE:INODE" in JOURNAL_STREAM says where the journal listens; stderr may have been redirected since.
bool stderr_is_journal() noexcept {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat of{};
  if (stream == nullptr || ::fstat(STDERR_FILENO, &of) != 0) return false;
  std::array<char, 64> mine{};
  *fmt::format_to_n(mine.data(), mine.size() - 1, "{}:{}", of.st_dev, of.st_ino).out = '\0';
  return std::string_view(stream) == mine.data();
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
    initial.times = !is_set(std::getenv("ATOLL_NO_LOG_TIMES")) && !stderr_is_journal();
    const char* const wanted = std::getenv("ATOLL_LOG");
    if (wanted == nullptr || *wanted == '\0') return initial;
    if (const auto set = initial.set(wanted); !set) {
      std::string line = "warning ATOLL_LOG is ignored: " + std::string(set.error().message());
      finish(line);
      emit(initial, line);
    }
    return initial;
  }();
  return levels;
}

namespace detail {

bool log_enabled(std::string_view logger, log_level level) noexcept { return logs_here().enabled(logger, level); }

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
    emit(logs_here(), text);
  } catch (...) {
    // Logging never fails its caller, and never in silence. Nothing below allocates.
    emit(logs_here(), "error a log line was lost: it can't be formatted\n");
  }
  errno = kept;
}

}  // namespace detail
}  // namespace atoll_root::atoll
