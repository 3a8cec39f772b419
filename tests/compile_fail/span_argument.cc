// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: this type can't be sent in a message
// EXPECT: require_sendable<std::span<int
//
// A span is a view.
#include <atoll/sharding/sharded.hh>

#include <span>

namespace demo {

class store {
 public:
  atoll::future<> put(std::span<int> value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));

atoll::future<> call(atoll::shard_ref<store> store, std::span<int> value) { return store.put(value); }

}  // namespace demo
