// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: an actor is served by keyed<Actor>
//
// There is one for each key, not one for each shard.
#include <string>

#include <atoll/sharding/keyed.hh>

namespace demo {

class account : public atoll::actor<account, std::string> {
 public:
  atoll::future<> deposit(int amount);
};
ATOLL_SERVICE(account, "demo.v1.Account", ATOLL_METHOD(deposit, amount));
atoll::sharded<account> accounts;

}  // namespace demo
