// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: this type can't be sent in a message
// EXPECT: require_sendable<demo::entry
//
// A described struct is sendable as its fields are.
#include <atoll/sharding/sharded.hh>

#include <string_view>

namespace demo {

struct entry {
  int number = 0;
  std::string_view name;
};
ATOLL_MESSAGE(entry, number, name);

class store {
 public:
  atoll::future<> put(entry value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));

atoll::future<> call(atoll::shard_ref<store> store, entry value) { return store.put(std::move(value)); }

}  // namespace demo
