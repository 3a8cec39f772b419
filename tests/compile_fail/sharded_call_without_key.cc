// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: say which shard with .at(shard)
// EXPECT: method_add
//
// Without a key nothing says where a call goes.
#include <atoll/sharding/sharded.hh>

#include <string>

namespace demo {

class store {
 public:
  atoll::future<int> add(std::string name, int by);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(add, name, by));

atoll::future<int> call(atoll::sharded_ref<store> store) { return store.add("x", 1); }

}  // namespace demo
