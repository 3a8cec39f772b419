// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: stop is a hook of services: make it a public future<> stop(), or give it another name
//
// A hook that nobody calls would be overlooked.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  atoll::future<> put(int value);
  void stop();
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));
atoll::sharded<store> stores;

}  // namespace demo
