// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: this service has no slots: say how many in its options
//
// Its keys are where their hash says.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  atoll::future<> put(int key);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, key(key)));

auto slots(atoll::sharded<store>& stores) { return stores.slots(); }

}  // namespace demo
