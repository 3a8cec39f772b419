// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: a service depends on one that is no part of the application
// EXPECT: store
//
// Nobody would start it.
#include <atoll/sharding/application.hh>

namespace demo {

class store {};
ATOLL_SERVICE(store, "demo.v1.Store");
class shop {
 public:
  using depends_on = atoll::dependencies<store>;
  explicit shop(atoll::sharded_ref<store> rows);
};
ATOLL_SERVICE(shop, "demo.v1.Shop");

atoll::future<int> serve() {
  atoll::application app(atoll::part<shop>());
  co_await app.start();
  co_return 0;
}

}  // namespace demo
