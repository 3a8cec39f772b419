// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: ATOLL_METHOD names every parameter of the method
// EXPECT: method_add
//
// `by` was forgotten.
#include <atoll/sharding/sharded.hh>

#include <string>

namespace demo {

class store {
 public:
  atoll::future<int> add(std::string name, int by);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(add, key(name)));

atoll::future<int> call(atoll::shard_ref<store> store) { return store.add("x", 1); }

}  // namespace demo
