// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: the services of an application depend on each other in a circle
// EXPECT: hen
//
// Each would have to be there before the other.
#include <atoll/sharding/application.hh>

namespace demo {

class egg;
class hen {
 public:
  using depends_on = atoll::dependencies<egg>;
  explicit hen(atoll::sharded_ref<egg> from);
};
ATOLL_SERVICE(hen, "demo.v1.Hen");
class egg {
 public:
  using depends_on = atoll::dependencies<hen>;
  explicit egg(atoll::sharded_ref<hen> from);
};
ATOLL_SERVICE(egg, "demo.v1.Egg");

atoll::future<int> serve() {
  atoll::application app(atoll::part<hen>(), atoll::part<egg>());
  co_await app.start();
  co_return 0;
}

}  // namespace demo
