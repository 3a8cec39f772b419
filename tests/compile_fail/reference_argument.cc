// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: takes its parameters by value
// EXPECT: require_value<const std::basic_string<char>&
//
// A reference can't travel, not even to a constant.
#include <atoll/sharding/sharded.hh>

#include <string>

namespace demo {

class store {
 public:
  atoll::future<> put(const std::string& value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));

atoll::future<> call(atoll::shard_ref<store> store, const std::string& value) { return store.put(value); }

}  // namespace demo
