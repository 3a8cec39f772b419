// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: an actor serves one message at a time, of all methods
// EXPECT: method_add
//
// The bound would not hold.
#include <atoll/sharding/keyed.hh>

namespace demo {

class sum : public atoll::actor<sum, std::string> {
 public:
  atoll::future<int> add(int by);
};
ATOLL_SERVICE(sum, "demo.v1.Sum", ATOLL_METHOD_WITH((.concurrency = 4), add, by));

atoll::future<int> call(atoll::actor_ref<sum> sum) { return sum.add(1); }

}  // namespace demo
