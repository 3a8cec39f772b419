// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: a service method returns atoll::future<T>
// EXPECT: method_size
//
// A call to another shard can't but give a future.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  int size();
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(size));

auto call(atoll::shard_ref<store> store) { return store.size(); }

}  // namespace demo
