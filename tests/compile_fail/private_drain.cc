// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: drain is a hook of services: make it a public future<> drain(), or give it another name
//
// The same of one that nobody may call.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  atoll::future<> put(int value);

 private:
  atoll::future<> drain();
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));
atoll::sharded<store> stores;

}  // namespace demo
