// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/proc_text.hh>

#include <algorithm>
#include <charconv>
#include <limits>

#include <atoll/actors/base/printable.hh>
#include <atoll/actors/base/text.hh>

namespace atoll_root::atoll {
namespace {

constexpr std::string_view blanks = " \t\n";

/// What stands before the separator; `text` goes on behind it.
std::string_view take_until(std::string_view& text, char separator) noexcept {
  const auto end = text.find(separator);
  const auto taken = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return taken;
}

std::string_view take_word(std::string_view& text) noexcept {
  text.remove_prefix(std::min(text.find_first_not_of(blanks), text.size()));
  const auto word = text.substr(0, text.find_first_of(blanks));
  text.remove_prefix(word.size());
  return word;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto part = take_until(text, separator);
    if (!part.empty()) parts.emplace_back(part);
  }
  return parts;
}

template <class Number>
std::optional<Number> whole_number(std::string_view text) noexcept {
  Number number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<unsigned> processor_number(std::string_view text) noexcept {
  const auto number = whole_number<unsigned>(text);
  return number && *number <= processor_number_max ? number : std::nullopt;
}

/// "\040" and the like in a path of mountinfo are bytes.
std::string without_octal(std::string_view text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && std::ranges::all_of(text.substr(i + 1, 3), octal)) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::optional<double> share(std::optional<std::uint64_t> quota, std::optional<std::uint64_t> period) noexcept {
  if (!quota || !period || *quota == 0 || *period == 0) return std::nullopt;
  return static_cast<double>(*quota) / static_cast<double>(*period);
}

}  // namespace

result<std::vector<unsigned>> parse_cpu_list(std::string_view text) {
  const auto refuse = [text] {
    return error(status_code::invalid_argument, "wants processors like 0,2-5, none above " +
                                                    std::to_string(processor_number_max) + ", not '" + printable(text) +
                                                    "'");
  };
  std::vector<bool> named(processor_number_max + 1);
  auto rest = trimmed(text, blanks);
  if (rest.ends_with(',')) return refuse();
  while (!rest.empty()) {
    auto range = take_until(rest, ',');
    const bool one = range.find('-') == std::string_view::npos;
    const auto first = processor_number(take_until(range, '-'));
    const auto last = one ? first : processor_number(range);
    if (!first || !last || *last < *first) return refuse();
    for (unsigned cpu = *first; cpu <= *last; ++cpu) named[cpu] = true;
  }
  std::vector<unsigned> found;
  for (unsigned cpu = 0; cpu <= processor_number_max; ++cpu) {
    if (named[cpu]) found.push_back(cpu);
  }
  return found;
}

std::string format_cpu_list(const std::vector<unsigned>& ascending) {
  std::string out;
  for (std::size_t i = 0; i < ascending.size();) {
    std::size_t last = i;
    while (last + 1 < ascending.size() && ascending[last + 1] == ascending[last] + 1) ++last;
    out += (out.empty() ? "" : ",") + std::to_string(ascending[i]);
    if (last > i) out += "-" + std::to_string(ascending[last]);
    i = last + 1;
  }
  return out;
}

meminfo parse_meminfo(std::string_view text) {
  meminfo found;
  while (!text.empty()) {
    auto line = take_until(text, '\n');
    auto name = take_word(line);
    if (name == "Node") {
      take_word(line);
      name = take_word(line);
    }
    auto number = whole_number<std::uint64_t>(take_word(line));
    const auto unit = take_word(line);
    if (!number || (!unit.empty() && unit != "kB")) continue;
    if (unit == "kB") {
      constexpr std::uint64_t kibi = 1024;
      if (*number > std::numeric_limits<std::uint64_t>::max() / kibi) continue;
      *number *= kibi;
    }
    if (name == "MemTotal:") found.total_bytes = number;
    if (name == "MemAvailable:") found.available_bytes = number;
    if (name == "Hugepagesize:") found.huge_page_bytes = number;
    if (name == "HugePages_Total:") found.huge_pages = number;
    if (name == "HugePages_Free:") found.huge_pages_free = number;
  }
  return found;
}

std::vector<cgroup_membership> parse_cgroups(std::string_view text) {
  std::vector<cgroup_membership> found;
  while (!text.empty()) {
    auto line = take_until(text, '\n');
    take_until(line, ':');
    const auto controllers = take_until(line, ':');
    if (!line.starts_with('/')) continue;
    found.push_back({controllers.empty(), split(controllers, ','), std::string(line)});
  }
  return found;
}

std::vector<cgroup_mount> parse_cgroup_mounts(std::string_view text) {
  std::vector<cgroup_mount> found;
  while (!text.empty()) {
    auto line = take_until(text, '\n');
    // Id, parent and device come first; optional fields end with a lone dash.
    for (int i = 0; i < 3; ++i) take_word(line);
    const auto root = take_word(line);
    const auto point = take_word(line);
    for (auto word = take_word(line); !word.empty() && word != "-"; word = take_word(line)) {
    }
    const auto type = take_word(line);
    take_word(line);
    if (type != "cgroup" && type != "cgroup2") continue;
    const bool v2 = type == "cgroup2";
    found.push_back(
        {v2, v2 ? std::vector<std::string>() : split(take_word(line), ','), without_octal(root), without_octal(point)});
  }
  return found;
}

std::optional<std::uint64_t> parse_memory_limit(std::string_view text) {
  // v1 says "no limit" with the largest number of whole pages.
  constexpr std::uint64_t unlimited = std::uint64_t{1} << 62U;
  const auto limit = whole_number<std::uint64_t>(trimmed(text, blanks));
  return limit && *limit < unlimited ? limit : std::nullopt;
}

std::optional<double> parse_cpu_max(std::string_view text) {
  const auto quota = whole_number<std::uint64_t>(take_word(text));
  return share(quota, whole_number<std::uint64_t>(take_word(text)));
}

std::optional<double> parse_cfs_quota(std::string_view quota, std::string_view period) {
  return share(whole_number<std::uint64_t>(trimmed(quota, blanks)),
               whole_number<std::uint64_t>(trimmed(period, blanks)));
}

std::string_view parse_choice(std::string_view text) noexcept {
  const auto open = text.find('[');
  const auto close = text.find(']', open == std::string_view::npos ? 0 : open);
  if (open == std::string_view::npos || close == std::string_view::npos) return {};
  return text.substr(open + 1, close - open - 1);
}

}  // namespace atoll_root::atoll
