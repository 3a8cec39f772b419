// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: a service is one part of an application
//
// get<store>() would find the first only.
#include <atoll/sharding/application.hh>

namespace demo {

class store {
 public:
  atoll::future<> put(int value);
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, value));
void make() { atoll::application app(atoll::part<store>(), atoll::part<atoll::singleton<store>>()); }

}  // namespace demo
