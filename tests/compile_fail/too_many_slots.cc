// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: a service has 65,536 slots at most
//
// Each shard has a table of them.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  static constexpr atoll::service_options options{.slots = 65'537};
  atoll::future<> put(int key);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, key(key)));

atoll::future<> put(atoll::sharded<store>& stores) { return stores.put(1); }

}  // namespace demo
