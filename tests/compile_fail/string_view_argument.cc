// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: this type can't be sent in a message
// EXPECT: require_sendable<std::basic_string_view<char>
//
// A view belongs to who calls.
#include <atoll/sharding/sharded.hh>

#include <string_view>

namespace demo {

class store {
 public:
  atoll::future<> put(std::string_view value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));

atoll::future<> call(atoll::shard_ref<store> store, std::string_view value) { return store.put(value); }

}  // namespace demo
