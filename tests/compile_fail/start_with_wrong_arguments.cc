// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: no constructor of the service takes what start() was given
//
// The instance is made far away, where there is nobody to complain to.
#include <atoll/sharding/sharded.hh>

#include <memory>

namespace demo {

class store {
 public:
  explicit store(int limit);
  explicit store(std::unique_ptr<int> limit);
  atoll::future<int> size();
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(size));

atoll::future<> call(atoll::sharded<store>& stores) { return stores.start(1, 2); }

}  // namespace demo
