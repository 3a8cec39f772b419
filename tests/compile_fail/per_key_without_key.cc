// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: per_key is for methods with a key(...)
// EXPECT: method_add
//
// Whose turn it is would be anybody's guess.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  atoll::future<int> add(int by);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD_WITH((.concurrency = 1, .per_key = true), add, by));

atoll::future<int> call(atoll::shard_ref<store> store) { return store.add(1); }

}  // namespace demo
