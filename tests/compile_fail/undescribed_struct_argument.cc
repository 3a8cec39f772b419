// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: this type can't be sent in a message
// EXPECT: require_sendable<demo::entry
//
// Without ATOLL_MESSAGE nobody knows what a struct holds.
#include <atoll/sharding/sharded.hh>

#include <string>

namespace demo {

struct entry {
  std::string name;
};

class store {
 public:
  atoll::future<> put(entry value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));

atoll::future<> call(atoll::shard_ref<store> store, entry value) { return store.put(std::move(value)); }

}  // namespace demo
