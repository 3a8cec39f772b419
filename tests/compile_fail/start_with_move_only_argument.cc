// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: each shard gets a copy of the arguments of start()
//
// One value can't be in two places.
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

atoll::future<> call(atoll::sharded<store>& stores) { return stores.start(std::make_unique<int>(1)); }

}  // namespace demo
