// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: the function of per_shard() travels to every shard: it must have no captures
//
// Its captures would be shared by all shards.
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

atoll::future<> call(atoll::sharded<store>& stores, int& limit) {
  return stores.start(atoll::per_shard([&limit] { return limit; }));
}

}  // namespace demo
