// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: an atoll coroutine takes its parameters by value
//
// The caller's temporary is gone when the coroutine goes on.
#include <atoll/actors/future/future.hh>

#include <string>

namespace demo {

atoll::future<> keep(std::string&&) { co_return; }

}  // namespace demo
