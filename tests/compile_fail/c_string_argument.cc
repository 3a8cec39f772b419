// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: this type can't be sent in a message
// EXPECT: require_sendable<const char*
//
// A C string belongs to who calls.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  atoll::future<> put(const char* value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));

atoll::future<> call(atoll::shard_ref<store> store, const char* value) { return store.put(value); }

}  // namespace demo
