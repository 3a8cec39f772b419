// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: a one_way method returns future<>
//
// Nobody waits for what it gives.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  atoll::future<int> put(int value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD_WITH((.one_way = true), put, value));

atoll::future<int> call(atoll::sharded<store>& stores) { return stores.at(0).put(1); }

}  // namespace demo
