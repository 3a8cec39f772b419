// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: the arguments of start() travel to every shard
//
// The constructor runs on every shard, with copies of the arguments.
#include <atoll/sharding/sharded.hh>

#include <string_view>

namespace demo {

class store {
 public:
  explicit store(std::string_view name);
  atoll::future<int> size();
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(size));

atoll::future<> call(atoll::sharded<store>& stores, std::string_view name) { return stores.start(name); }

}  // namespace demo
