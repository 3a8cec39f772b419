// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: what comes back from the object's shard has to be sendable
//
// The way to the object itself.
#include <atoll/sharding/foreign_object.hh>

atoll::future<int*> peek(atoll::foreign<int>& number) {
  return number.call([](int& n) { return &n; });
}
