// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: this type can't be sent in a message
// EXPECT: require_sendable<std::vector<int*
//
// A container is sendable as its elements are.
#include <atoll/sharding/sharded.hh>

#include <vector>

namespace demo {

class store {
 public:
  atoll::future<> put(std::vector<int*> value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));

atoll::future<> call(atoll::shard_ref<store> store, std::vector<int*> value) { return store.put(std::move(value)); }

}  // namespace demo
