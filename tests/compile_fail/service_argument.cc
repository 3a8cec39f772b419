// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: takes its parameters by value
// EXPECT: require_value<demo::cache&
//
// A service stays on its shard; what travels is a shard_ref of it.
#include <atoll/sharding/sharded.hh>

namespace demo {

class cache {
 public:
  atoll::future<int> size();
};
ATOLL_SERVICE(cache, "demo.v1.Cache", ATOLL_METHOD(size));

class store {
 public:
  atoll::future<> put(cache& value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));

atoll::future<> call(atoll::shard_ref<store> store, cache& value) { return store.put(value); }

}  // namespace demo
