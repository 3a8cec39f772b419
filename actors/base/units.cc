// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/units.hh>

#include <array>
#include <charconv>
#include <optional>

#include <atoll/actors/base/printable.hh>

namespace atoll_root::atoll {
namespace {

struct unit_name {
  std::string_view name;
  std::uint64_t size;
};

constexpr std::uint64_t kibi = 1024;

// Largest first: what is printed takes the first that divides.
constexpr std::array<unit_name, 6> duration_units = {{{"h", 3'600'000'000'000},
                                                      {"min", 60'000'000'000},
                                                      {"s", 1'000'000'000},
                                                      {"ms", 1'000'000},
                                                      {"us", 1'000},
                                                      {"ns", 1}}};
constexpr std::array<unit_name, 4> byte_units = {
    {{"TiB", kibi* kibi* kibi* kibi}, {"GiB", kibi* kibi* kibi}, {"MiB", kibi* kibi}, {"KiB", kibi}}};

constexpr std::string_view duration_wants = "wants a whole number and a unit (ns, us, ms, s, min, h), like 40us";
constexpr std::string_view bytes_wants = "wants a whole number and maybe a unit of 1024 (K, M, G, T), like 512M";

error refuse(status_code code, std::string_view text, std::string_view why) {
  return error(code, std::string(why) + ", not '" + printable(text) + "'");
}

std::optional<std::uint64_t> duration_unit(std::string_view name) noexcept {
  for (const auto& unit : duration_units) {
    if (unit.name == name) return unit.size;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> byte_unit(std::string_view name) noexcept {
  if (name.empty() || name == "B") return 1;
  for (const auto& unit : byte_units) {
    const char letter = unit.name.front();
    if (name == unit.name || name == std::string_view(&letter, 1)) return unit.size;
    if (name.size() == 1 && name.front() == static_cast<char>(letter - 'A' + 'a')) return unit.size;
  }
  return std::nullopt;
}

/// The number times its unit, where that is at most `max`.
template <class UnitOf>
result<std::uint64_t> parse_amount(std::string_view text, UnitOf unit_of, std::uint64_t max, std::string_view wants) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto digits = static_cast<std::size_t>(end - text.data());
  // Too many digits are read to their end all the same: what follows still has to be a unit.
  if (failed == std::errc::invalid_argument || digits == 0) return refuse(status_code::invalid_argument, text, wants);
  const std::optional<std::uint64_t> unit = unit_of(text.substr(digits), failed == std::errc() && number == 0);
  if (!unit) return refuse(status_code::invalid_argument, text, wants);
  if (failed == std::errc::result_out_of_range || number > max / *unit) {
    return refuse(status_code::out_of_range, text,
                  "wants a number that fits " + std::string(max >> 63U ? "64" : "63") + " bits");
  }
  return number * *unit;
}

}  // namespace

result<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  const auto unit_of = [](std::string_view name, bool zero) {
    return zero && name.empty() ? std::optional<std::uint64_t>(1) : duration_unit(name);
  };
  auto amount = parse_amount(text, unit_of, std::numeric_limits<std::int64_t>::max(), duration_wants);
  if (!amount) return std::move(amount).error();
  return std::chrono::nanoseconds(static_cast<std::int64_t>(*amount));
}

result<std::uint64_t> parse_bytes(std::string_view text) {
  const auto unit_of = [](std::string_view name, bool) { return byte_unit(name); };
  return parse_amount(text, unit_of, std::numeric_limits<std::uint64_t>::max(), bytes_wants);
}

std::string format_duration(std::chrono::nanoseconds value) {
  const auto count = static_cast<std::uint64_t>(value.count());
  if (count == 0) return "0";
  for (const auto& unit : duration_units) {
    if (count % unit.size == 0) return std::to_string(count / unit.size) + std::string(unit.name);
  }
  return {};
}

std::string format_bytes(std::uint64_t value) {
  for (const auto& unit : byte_units) {
    if (value != 0 && value % unit.size == 0) return std::to_string(value / unit.size) + std::string(unit.name);
  }
  return std::to_string(value);
}

result<std::chrono::nanoseconds> duration_option::parse(std::string_view text) const {
  auto parsed = parse_duration(text);
  if (parsed && (*parsed < min || *parsed > max)) {
    return refuse(status_code::out_of_range, text, "wants " + accepted());
  }
  return parsed;
}

std::string duration_option::accepted() const {
  return "a duration like 40us, from " + format_duration(min) + " to " + format_duration(max);
}

result<std::uint64_t> bytes_option::parse(std::string_view text) const {
  auto parsed = parse_bytes(text);
  if (parsed && (*parsed < min || *parsed > max)) {
    return refuse(status_code::out_of_range, text, "wants " + accepted());
  }
  return parsed;
}

std::string bytes_option::accepted() const {
  if (max == std::numeric_limits<std::uint64_t>::max()) {
    return "a size like 512M" + (min == 0 ? std::string() : ", at least " + format_bytes(min));
  }
  return "a size like 512M, from " + format_bytes(min) + " to " + format_bytes(max);
}

}  // namespace atoll_root::atoll
