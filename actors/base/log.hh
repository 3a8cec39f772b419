// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Log lines: what happened, in words, then what it happened to, as key=value pairs.
//
//   inline constexpr atoll::logger net_log{"net"};
//   net_log.info("{} of {} peers are up", up, all);         // format strings of std::format's kind, by fmt
//   net_log.warning("peer is down", atoll::kv("peer", 3), atoll::kv("why", e.to_string()));
//       // 2026-03-01T09:05:00.000170Z warning [shard 0] net: peer is down peer=3 why="unavailable: no route"
//   net_log.warning(limit_, "refused a connection");        // rate_limit limit_{10s}: one line in ten seconds
//   atoll::log_info("listening on {}", address);            // a logger without a name, for small programs
//
// One call is one line, whatever is in its arguments: control characters are escaped, and values quoted as logfmt
// does (base/text.hh). A line goes out at once, by one write to stderr, and is cut at log_line_bytes_max. It begins
// with the time in UTC (log_levels::times), unless ATOLL_NO_LOG_TIMES or --no-log-times says otherwise, or stderr goes
// to systemd's journal, which has times of its own. A line for a sink has no time.
// What is logged is said by this_shard().logs (base/log_levels.hh) and ATOLL_LOG: "info,net=debug".
// Shard rules: any thread may log. A rate_limit belongs to one shard.
// Cost: a level that is off costs some 3 ns and the evaluation of the arguments; a line, a microsecond and the write,
// which waits for whoever reads stderr.
// Errors: none. A line that can't be formatted (an argument's formatter throws, no memory) is replaced by one that
// says so.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

#include <fmt/core.h>

#include <atoll/actors/base/log_levels.hh>
#include <atoll/actors/reactor/clock.hh>

namespace atoll_root::atoll {

/// Bytes of a line; what is longer ends in "...".
inline constexpr std::size_t log_line_bytes_max = 16'384;

/// A key and its value, for a log call and within it: it refers to both.
template <class T>
struct log_field {
  std::string_view key;
  const T& value;
};

/// Anything fmt formats may be a value. A key is letters, digits and _ . - / : and what else it has is written as _.
template <class T>
[[nodiscard]] constexpr log_field<T> kv(std::string_view key, const T& value) noexcept {
  return {key, value};
}

/// Lets `count` lines pass in an interval that begins with the first of them, and so at most twice as many in any span
/// of that length. The line that passes next says how many were kept back: suppressed=N. What is below the logger's
/// level is not counted. Costs 32 bytes, and a reading of the shard's clock a call.
class rate_limit {
 public:
  constexpr explicit rate_limit(duration interval, std::uint32_t count = 1) noexcept
      : interval_(interval), count_(count) {}

  /// May a line pass at this time? If not, it is counted.
  constexpr bool pass(time_point now) noexcept {
    if (now >= ends_) {
      ends_ = saturating_add(now, interval_);
      left_ = count_;
    }
    if (left_ == 0) {
      ++suppressed_;
      return false;
    }
    --left_;
    return true;
  }

  /// How many were kept back since this was last asked.
  constexpr std::uint64_t take_suppressed() noexcept { return std::exchange(suppressed_, 0); }

 private:
  duration interval_;
  time_point ends_ = time_point::min();
  std::uint64_t suppressed_ = 0;
  std::uint32_t count_;
  std::uint32_t left_ = 0;
};

namespace detail {

template <class T>
inline constexpr bool is_log_field = false;
template <class T>
inline constexpr bool is_log_field<log_field<T>> = true;

template <class... T>
struct types {};

/// The format string for those arguments that are no fields.
template <class Plain, class... A>
struct log_format_of;
template <class... P>
struct log_format_of<types<P...>> {
  using type = fmt::format_string<P...>;
};
template <class... P, class A, class... Rest>
struct log_format_of<types<P...>, A, Rest...>
    : std::conditional_t<is_log_field<A>, log_format_of<types<P...>, Rest...>, log_format_of<types<P..., A>, Rest...>> {
};

struct log_line {
  log_level level;
  std::string_view logger;
  fmt::string_view format;
  fmt::format_args arguments;
  std::span<const std::string_view> keys;
  fmt::format_args values;
  std::uint64_t suppressed = 0;
};

bool log_enabled(std::string_view logger, log_level level) noexcept;
bool log_passes(rate_limit& limit) noexcept;
void write_log(const log_line& line) noexcept;

template <class... A>
void log(log_level level, std::string_view logger, std::uint64_t suppressed, fmt::string_view format,
         const A&... arguments) noexcept {
  constexpr std::size_t fields = (std::size_t{is_log_field<A>} + ... + 0);
  constexpr std::size_t plain = sizeof...(A) - fields;
  if constexpr (fields == 0) {
    write_log({level, logger, format, fmt::make_format_args(arguments...), {}, {}, suppressed});
  } else {
    const std::tuple<const A&...> all(arguments...);
    [&]<std::size_t... P, std::size_t... F>(std::index_sequence<P...>, std::index_sequence<F...>) {
      constexpr bool in_order = (is_log_field<std::tuple_element_t<plain + F, std::tuple<A...>>> && ...);
      static_assert(in_order, "a log call's key-value pairs come after the arguments of its format string");
      if constexpr (in_order) {
        const std::array<std::string_view, fields> keys = {std::get<plain + F>(all).key...};
        write_log({level, logger, format, fmt::make_format_args(std::get<P>(all)...), keys,
                   fmt::make_format_args(std::get<plain + F>(all).value...), suppressed});
      }
    }(std::make_index_sequence<plain>(), std::make_index_sequence<fields>());
  }
}

}  // namespace detail

template <class... A>
using log_format = typename detail::log_format_of<detail::types<>, A...>::type;

class logger {
 public:
  /// The name, of ASCII letters, digits and _ . - and at best one word, outlives the logger: a literal.
  constexpr explicit logger(std::string_view name) noexcept : name_(name) {}

  [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }
  /// To skip what only a log line needs.
  [[nodiscard]] bool enabled(log_level level) const noexcept { return detail::log_enabled(name_, level); }

  template <class... A>
  void debug(log_format<A...> format, const A&... arguments) const noexcept {
    write(log_level::debug, format, arguments...);
  }
  template <class... A>
  void info(log_format<A...> format, const A&... arguments) const noexcept {
    write(log_level::info, format, arguments...);
  }
  template <class... A>
  void warning(log_format<A...> format, const A&... arguments) const noexcept {
    write(log_level::warning, format, arguments...);
  }
  template <class... A>
  void error(log_format<A...> format, const A&... arguments) const noexcept {
    write(log_level::error, format, arguments...);
  }

  template <class... A>
  void debug(rate_limit& limit, log_format<A...> format, const A&... arguments) const noexcept {
    write(limit, log_level::debug, format, arguments...);
  }
  template <class... A>
  void info(rate_limit& limit, log_format<A...> format, const A&... arguments) const noexcept {
    write(limit, log_level::info, format, arguments...);
  }
  template <class... A>
  void warning(rate_limit& limit, log_format<A...> format, const A&... arguments) const noexcept {
    write(limit, log_level::warning, format, arguments...);
  }
  template <class... A>
  void error(rate_limit& limit, log_format<A...> format, const A&... arguments) const noexcept {
    write(limit, log_level::error, format, arguments...);
  }

 private:
  template <class... A>
  void write(log_level level, fmt::string_view format, const A&... arguments) const noexcept {
    if (enabled(level)) detail::log(level, name_, 0, format, arguments...);
  }
  template <class... A>
  void write(rate_limit& limit, log_level level, fmt::string_view format, const A&... arguments) const noexcept {
    if (!enabled(level) || !detail::log_passes(limit)) return;
    detail::log(level, name_, limit.take_suppressed(), format, arguments...);
  }

  std::string_view name_;
};

/// The logger of log_info() and the like; it has no name, and so no level of its own.
inline constexpr logger default_log{""};

template <class... A>
void log_debug(log_format<A...> format, const A&... arguments) noexcept {
  default_log.debug<A...>(format, arguments...);
}
template <class... A>
void log_info(log_format<A...> format, const A&... arguments) noexcept {
  default_log.info<A...>(format, arguments...);
}
template <class... A>
void log_warning(log_format<A...> format, const A&... arguments) noexcept {
  default_log.warning<A...>(format, arguments...);
}
template <class... A>
void log_error(log_format<A...> format, const A&... arguments) noexcept {
  default_log.error<A...>(format, arguments...);
}

}  // namespace atoll_root::atoll
