// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: a lambda with captures must not be a coroutine
//
// The brackets of the operator's name are none of the lambda's.
#include <atoll/actors/future/future.hh>

namespace demo {

struct reader {};
atoll::future<int> operator>>(reader /*in*/, int a) {
  return [a]() -> atoll::future<int> { co_return a; }();
}

}  // namespace demo
