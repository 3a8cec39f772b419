// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: what is called on other shards must have no captures
//
// The same.
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

atoll::future<std::vector<int>> call(atoll::sharded<store>& stores, int& limit) {
  return stores.map([&limit](store&) { return limit; });
}

}  // namespace demo
