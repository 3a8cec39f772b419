// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: a method has one key(...) at most
// EXPECT: method_add
//
// A call goes to one place.
#include <atoll/sharding/sharded.hh>

#include <string>

namespace demo {

class store {
 public:
  atoll::future<int> add(std::string name, int by);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(add, key(name), key(by)));

atoll::future<int> call(atoll::shard_ref<store> store) { return store.add("x", 1); }

}  // namespace demo
