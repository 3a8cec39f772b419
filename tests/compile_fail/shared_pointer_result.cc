// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: this type can't be sent in a message
// EXPECT: require_sendable<std::shared_ptr<int>
//
// Results travel too, and two shards don't share.
#include <atoll/sharding/sharded.hh>

#include <memory>

namespace demo {

class store {
 public:
  atoll::future<std::shared_ptr<int>> get();
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(get));

auto call(atoll::shard_ref<store> store) { return store.get(); }

}  // namespace demo
