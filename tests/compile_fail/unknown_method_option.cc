// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: paralel
//
// A bound that is not there does not bound.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  atoll::future<int> add(int by);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD_WITH((.paralel = 1), add, by));

}  // namespace demo
