// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: what is called on other shards must have no captures
//
// What a closure refers to belongs to the caller's shard.
#include <atoll/sharding/foreign_object.hh>

atoll::future<int> add(atoll::foreign<int>& number, int& sum) {
  return number.call([&sum](int& n) { return sum += n; });
}
