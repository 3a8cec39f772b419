// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// An option_entry for each kind of value: how it is read, printed and what it takes. Name, environment and help are the
// caller's to fill in.
//
//   auto entry = atoll::entry_of(duration_option{.value = wait, .max = 1s});
//   entry.name = "wait";
//
// The value has to last as long as the entry. What is refused leaves it as it was.
#pragma once

#include <concepts>

#include <atoll/actors/base/units.hh>
#include <atoll/sharding/option_table.hh>
#include <atoll/sharding/runtime.hh>

namespace atoll_root::atoll {

/// A whole number without a sign, both bounds allowed.
template <std::unsigned_integral Number>
struct number_option {
  Number& value;
  Number min = 0;
  Number max = std::numeric_limits<Number>::max();
};

option_entry entry_of(number_option<std::uint16_t> option);
option_entry entry_of(number_option<std::uint32_t> option);
option_entry entry_of(number_option<std::uint64_t> option);
option_entry entry_of(duration_option option);
option_entry entry_of(bytes_option option);
option_entry entry_of(std::string& value);
/// May be given several times.
option_entry entry_of(std::vector<std::string>& values);
/// A flag without a value; `given` is what `value` becomes where it is given.
option_entry entry_of(bool& value, bool given = true);

inline constexpr std::string_view runtime_group = "runtime";

/// The options of every app, ATOLL_... in the environment, in the group `runtime_group`.
void add_runtime_options(option_table& table, runtime_options& options);

}  // namespace atoll_root::atoll
