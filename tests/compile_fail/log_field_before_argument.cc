// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: key-value pairs come after the arguments of its format string
//
// The message reads as it is written, and the pairs follow it.
#include <atoll/actors/base/log.hh>

namespace demo {

inline constexpr atoll::logger log{"demo"};

void report() { log.info("peer {} is down", atoll::kv("why", "no route"), 3); }

}  // namespace demo
