// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: on_activate() of an actor is public, takes nothing and returns atoll::future<>
//
// An actor knows its key by key().
#include <string>

#include <atoll/sharding/keyed.hh>

namespace demo {

class account : public atoll::actor<account, std::string> {
 public:
  atoll::future<> on_activate(std::string key);
  atoll::future<> deposit(int amount);
};
ATOLL_SERVICE(account, "demo.v1.Account", ATOLL_METHOD(deposit, amount));
atoll::keyed<account> accounts;

}  // namespace demo
