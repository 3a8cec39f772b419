// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Makes the calendar's types of std::chrono (year_month_day, weekday, hh_mm_ss...) sendable. Apart, because <chrono> comes with it, which
// who needs durations alone should not pay for.
#pragma once

#include <chrono>

#include <atoll/sharding/sendable.hh>

namespace atoll_root::atoll::detail {

template <class T, class... Of>
inline constexpr bool is_one_of = (std::is_same_v<T, Of> || ...);
template <class T>
  requires is_one_of<T, std::chrono::day, std::chrono::month, std::chrono::year, std::chrono::weekday,
                     std::chrono::weekday_indexed, std::chrono::weekday_last, std::chrono::month_day,
                     std::chrono::month_day_last, std::chrono::month_weekday, std::chrono::month_weekday_last,
                     std::chrono::year_month, std::chrono::year_month_day, std::chrono::year_month_day_last,
                     std::chrono::year_month_weekday, std::chrono::year_month_weekday_last>
struct is_sendable<T> : std::true_type {};
template <class D>
struct is_sendable<std::chrono::hh_mm_ss<D>> : std::true_type {};

}  // namespace atoll_root::atoll::detail
