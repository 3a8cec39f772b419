// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: a method's key is a string, bytes, an integer, an enum, or has an atoll_key()
//
// Equal keys have equal hashes, on every node.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  atoll::future<> put(double key, int value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, key(key), value));
atoll::future<> use(atoll::sharded<store>& stores) { return stores.put(1.5, 2); }

}  // namespace demo
