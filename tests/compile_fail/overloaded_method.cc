// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: is no single member function of this class: it is overloaded, a template, private or not there
//
// A message names one function.
#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  atoll::future<> put(int value);
  atoll::future<> put(std::string value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));

}  // namespace demo
