// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: queue is for methods with a concurrency of their own: it says how many calls wait for it
//
// Of a method that serves any number of calls none waits.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  atoll::future<> put(int value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD_WITH((.queue = 2), put, value));
atoll::future<> use(atoll::sharded<store>& stores) { return stores.at(0).put(1); }

}  // namespace demo
