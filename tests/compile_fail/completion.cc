// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// clang is asked what may stand behind the dot, as an editor asks it: CMakeLists.txt says where.
#include <string>

#include <atoll/sharding/sharded.hh>

namespace demo {

class store {
 public:
  atoll::future<int> add_hits(std::string name, int by);
  atoll::future<> forget_all();
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(add_hits, name, by), ATOLL_METHOD(forget_all));

void ask(atoll::shard_ref<store> ref) { static_cast<void>(ref.forget_all()); }

}  // namespace demo
