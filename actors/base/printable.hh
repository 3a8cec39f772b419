// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Text from outside, fit for one line of a message: printable("a\nb") == "a\\nb".
//
// Printable ASCII stays as it is, every other byte becomes an escape (\n, \t, \xHH), and what is longer than
// `bytes_max` bytes is cut and ends in "...". Not reversible: it is for people.
#pragma once

#include <string>
#include <string_view>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

std::string printable(std::string_view text, std::size_t bytes_max = 80);

}  // namespace atoll_root::atoll
