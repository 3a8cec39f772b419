// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: an actor's key says where it lives: its methods have no key(...)
//
// The key of an actor is in its ref.
#include <string>

#include <atoll/sharding/keyed.hh>

namespace demo {

class account : public atoll::actor<account, std::string> {
 public:
  atoll::future<> deposit(int amount);
};
ATOLL_SERVICE(account, "demo.v1.Account", ATOLL_METHOD(deposit, key(amount)));
atoll::future<> use(atoll::keyed<account>& accounts) { return accounts.at("ann").deposit(1); }

}  // namespace demo
