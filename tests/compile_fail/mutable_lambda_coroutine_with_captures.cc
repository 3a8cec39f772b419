// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: a lambda with captures must not be a coroutine
//
// Mutable makes no difference: the closure is gone all the same.
#include <atoll/actors/future/future.hh>

namespace demo {

atoll::future<int> add(int a) {
  return [a](int b) mutable -> atoll::future<int> { co_return a += b; }(1);
}

}  // namespace demo
