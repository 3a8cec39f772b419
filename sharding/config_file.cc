// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/config_file.hh>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include <atoll/actors/base/printable.hh>
#include <atoll/actors/base/text.hh>

namespace atoll_root::atoll {
namespace {

bool is_key(std::string_view text) noexcept {
  const auto in_key = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
  return !text.empty() && text.front() != '-' && text.front() != '_' && std::ranges::all_of(text, in_key);
}

/// The byte of `\n`, `\xHH` and the like at the front of `text`, which is moved past it.
std::optional<char> take_escape(std::string_view& text) {
  if (text.size() < 2) return std::nullopt;
  const char name = text[1];
  constexpr std::string_view names = "nrt\"\\";
  constexpr std::string_view bytes = "\n\r\t\"\\";
  if (const auto known = names.find(name); known != std::string_view::npos) {
    text.remove_prefix(2);
    return bytes[known];
  }
  if (name != 'x' || text.size() < 4) return std::nullopt;
  unsigned char byte = 0;
  const auto [end, failed] = std::from_chars(text.data() + 2, text.data() + 4, byte, 16);
  if (failed != std::errc() || end != text.data() + 4) return std::nullopt;
  text.remove_prefix(4);
  return static_cast<char>(byte);
}

/// The value at the front of `text` between quotes; `text` is moved past them.
std::optional<std::string> take_quoted(std::string_view& text) {
  const char quote = text.front();
  text.remove_prefix(1);
  std::string value;
  while (!text.empty() && text.front() != quote) {
    if (quote == '"' && text.front() == '\\') {
      const auto byte = take_escape(text);
      if (!byte) return std::nullopt;
      value += *byte;
    } else {
      value += text.front();
      text.remove_prefix(1);
    }
  }
  if (text.empty()) return std::nullopt;
  text.remove_prefix(1);
  return value;
}

std::string_view without_comment(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t')) return text.substr(0, i);
  }
  return text;
}

/// Why the line is none, or nothing. A blank line or a comment leaves the entry without a key.
std::optional<std::string> parse_line(std::string_view line, config_entry& entry) {
  const auto control = [](char c) { return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f; };
  if (std::ranges::any_of(line, control)) return "has control characters";
  line = trimmed(line);
  if (line.empty() || line.front() == '#' || line.front() == ';') return std::nullopt;
  const auto equals = line.find('=');
  if (line.front() == '[' || equals == std::string_view::npos)
    return "wants KEY = VALUE, not '" + printable(line) + "'";
  const auto key = trimmed(line.substr(0, equals));
  if (!is_key(key)) return "wants a key of a-z, 0-9 and -, not '" + printable(key) + "'";
  entry.key = key;
  std::ranges::replace(entry.key, '_', '-');
  auto rest = trimmed(line.substr(equals + 1));
  if (rest.empty() || (rest.front() != '"' && rest.front() != '\'')) {
    entry.value = trimmed(without_comment(rest));
    return std::nullopt;
  }
  auto value = take_quoted(rest);
  if (!value) return entry.key + ": the value has no closing quote, or an unknown escape";
  rest = trimmed(rest);
  if (!rest.empty() && rest.front() != '#') return entry.key + ": there is more after the value's closing quote";
  entry.value = *std::move(value);
  return std::nullopt;
}

class descriptor {
 public:
  explicit descriptor(int fd) noexcept : fd_(fd) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace

result<std::vector<config_entry>> parse_config(std::string_view text) {
  constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
  if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
  std::vector<config_entry> entries;
  for (unsigned number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    auto line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    config_entry entry{.key = {}, .value = {}, .line = number};
    if (const auto refused = parse_line(line, entry)) {
      return error(status_code::invalid_argument, "line " + std::to_string(number) + ": " + *refused);
    }
    if (!entry.key.empty()) entries.push_back(std::move(entry));
  }
  return entries;
}

std::string format_config_entry(std::string_view key, std::string_view value) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string line = std::string(key) + " = \"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      line += {'\\', c};
    } else if (byte < 0x20 || byte == 0x7f) {
      line += {'\\', 'x', hex[byte >> 4U], hex[byte & 15U]};
    } else {
      line += c;
    }
  }
  return line + '"';
}

result<std::string> read_config_file(const std::string& path) {
  const auto refuse = [](status_code code, std::string why) { return error(code, std::move(why)); };
  const descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (file.get() < 0) return error::from_errno(errno, "can't be opened");
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return error::from_errno(errno, "can't be read");
  if (!S_ISREG(status.st_mode)) {
    return refuse(status_code::invalid_argument, S_ISDIR(status.st_mode) ? "is a directory" : "is no regular file");
  }
  std::string text;
  while (text.size() <= config_file_bytes_max) {
    constexpr std::size_t chunk = std::size_t{64} * 1024;
    const auto have = text.size();
    text.resize(have + chunk);
    const auto got = ::read(file.get(), text.data() + have, chunk);
    text.resize(have + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return error::from_errno(errno, "can't be read");
    if (got == 0) return text;
  }
  return refuse(status_code::out_of_range, "has more than " + std::to_string(config_file_bytes_max) + " bytes");
}

}  // namespace atoll_root::atoll
