// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: a lambda with captures must not be a coroutine
//
// A stream runs when it is read: its closure is gone by then.
#include <atoll/actors/future/stream.hh>

namespace demo {

atoll::stream<int> one(int a) {
  return [a]() -> atoll::stream<int> { co_yield a; }();
}

}  // namespace demo
