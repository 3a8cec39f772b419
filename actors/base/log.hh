// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// One line a message on stderr, written whole, with the level and the shard it came from.
//
//   atoll::log_info("listening on {}:{}", host, port);     // format strings of std::format's kind, by fmt
//
// Any thread may log. The format string is checked when it compiles.
#pragma once

#include <string_view>

#include <fmt/core.h>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

enum class log_level : unsigned char { debug, info, warning, error };

namespace detail {
void write_log(log_level level, fmt::string_view format, fmt::format_args arguments) noexcept;
}

template <class... A>
void log_debug(fmt::format_string<A...> format, const A&... arguments) noexcept {
  detail::write_log(log_level::debug, format, fmt::make_format_args(arguments...));
}
template <class... A>
void log_info(fmt::format_string<A...> format, const A&... arguments) noexcept {
  detail::write_log(log_level::info, format, fmt::make_format_args(arguments...));
}
template <class... A>
void log_warning(fmt::format_string<A...> format, const A&... arguments) noexcept {
  detail::write_log(log_level::warning, format, fmt::make_format_args(arguments...));
}
template <class... A>
void log_error(fmt::format_string<A...> format, const A&... arguments) noexcept {
  detail::write_log(log_level::error, format, fmt::make_format_args(arguments...));
}

}  // namespace atoll_root::atoll
