// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/log_levels.hh>

#include <algorithm>
#include <array>
#include <optional>

#include <atoll/actors/base/text.hh>

namespace atoll_root::atoll {
namespace {

constexpr std::array<std::string_view, 4> level_names = {"debug", "info", "warning", "error"};
constexpr std::size_t quoted_bytes_max = 64;  // of the bad text, in messages

std::optional<log_level> level_of(std::string_view text) noexcept {
  const auto* const found = std::ranges::find(level_names, text);
  if (found == level_names.end()) return std::nullopt;
  return static_cast<log_level>(found - level_names.begin());
}

bool is_name(std::string_view text) noexcept {
  constexpr std::string_view others = "_.-";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || others.find(c) != others.npos;
  });
}

error bad(std::string_view item, std::string_view why) {
  std::string message = "log levels: ";
  append_value(message, item.substr(0, quoted_bytes_max));
  if (item.size() > quoted_bytes_max) message += "...";
  message += ": ";
  message += why;
  return {status_code::invalid_argument, std::move(message)};
}

}  // namespace

std::string_view to_string(log_level level) noexcept { return level_names[static_cast<std::size_t>(level)]; }

result<void> log_levels::set(std::string_view text) {
  std::vector<named> wanted;
  std::optional<log_level> others;
  for (bool more = true; more;) {
    const auto comma = text.find(',');
    more = comma != std::string_view::npos;
    const auto item = trimmed(text.substr(0, comma));
    if (more) text.remove_prefix(comma + 1);

    const auto equals = item.find('=');
    const auto level = level_of(trimmed(equals == std::string_view::npos ? item : item.substr(equals + 1)));
    if (!level) return bad(item, "its level has to be debug, info, warning or error");
    if (equals == std::string_view::npos) {
      if (others) return bad(item, "the level of all loggers is given twice");
      others = level;
      continue;
    }
    const auto name = trimmed(item.substr(0, equals));
    if (!is_name(name)) return bad(item, "the name of a logger consists of letters, digits and _ . -");
    if (std::ranges::find(wanted, name, &named::name) != wanted.end()) return bad(item, "this logger is given twice");
    if (wanted.size() == named_max) {
      return error(status_code::resource_exhausted,
                   "log levels: more than " + std::to_string(named_max) + " loggers are given a level");
    }
    wanted.push_back({std::string(name), *level});
  }
  named_ = std::move(wanted);
  lowest_ = highest_ = others_ = others.value_or(log_level::info);
  for (const auto& each : named_) {
    lowest_ = std::min(lowest_, each.least);
    highest_ = std::max(highest_, each.least);
  }
  return {};
}

std::string log_levels::to_string() const {
  std::string text(atoll::to_string(others_));
  for (const auto& each : named_) {
    text += ',';
    text += each.name;
    text += '=';
    text += atoll::to_string(each.least);
  }
  return text;
}

log_level log_levels::least(std::string_view name) const noexcept {
  const auto found = std::ranges::find(named_, name, &named::name);
  return found == named_.end() ? others_ : found->least;
}

}  // namespace atoll_root::atoll
