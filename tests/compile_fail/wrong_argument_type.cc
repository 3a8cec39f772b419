// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: 'int' to 'std::basic_string<char>'
//
// A ref has the service's own signatures: name and number are swapped here.
#include <atoll/sharding/sharded.hh>

#include <string>

namespace demo {

class store {
 public:
  atoll::future<int> add(std::string name, int by);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(add, key(name), by));

atoll::future<int> call(atoll::sharded_ref<store> store) { return store.at(0).add(5, "x"); }

}  // namespace demo
