// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: a lambda with captures must not be a coroutine
//
// The closure is gone when the coroutine goes on.
#include <atoll/actors/future/future.hh>

namespace demo {

atoll::future<int> add(int a) {
  return [a]() -> atoll::future<int> { co_return a; }();
}

}  // namespace demo
