// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: on_activate is a hook of actors: make it a public future<> on_activate(), or give it another name
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
