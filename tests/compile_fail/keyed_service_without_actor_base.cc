// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: derives from atoll::actor<Self, Key>
//
// Which keys it has, only that base can tell.
#include <atoll/sharding/keyed.hh>

namespace demo {

class sum {
 public:
  atoll::future<int> add(int by);
};
ATOLL_SERVICE(sum, "demo.v1.Sum", ATOLL_METHOD(add, by));

atoll::future<> start(atoll::keyed<sum>& sums) { return sums.start(); }

}  // namespace demo
