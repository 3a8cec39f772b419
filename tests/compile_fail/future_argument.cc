// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: this type can't be sent in a message
// EXPECT: require_sendable<atoll_root::atoll::future<int>
//
// A future belongs to the shard that waits for it.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  atoll::future<> put(atoll::future<int> value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));

atoll::future<> call(atoll::shard_ref<store> store, atoll::future<int> value) { return store.put(std::move(value)); }

}  // namespace demo
