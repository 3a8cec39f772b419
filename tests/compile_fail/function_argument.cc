// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: this type can't be sent in a message
// EXPECT: require_sendable<std::function<void()>
//
// A function may have captured anything.
#include <atoll/sharding/sharded.hh>

#include <functional>

namespace demo {

class store {
 public:
  atoll::future<> put(std::function<void()> value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));

atoll::future<> call(atoll::shard_ref<store> store, std::function<void()> value) { return store.put(std::move(value)); }

}  // namespace demo
