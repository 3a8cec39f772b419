// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A user's program with a gateway: starts it and stops it.
#include <atoll/services/gateway/gateway.hh>
#include <atoll/sharding/app.hh>

namespace shop {

class greeter {
 public:
  atoll::future<std::string> greet(std::string name) { co_return "hello, " + name; }
};
ATOLL_SERVICE(greeter, "shop.v1.Greeter", ATOLL_METHOD(greet, name));

}  // namespace shop

int main(int argc, char** argv) {
  atoll::app app("gateway_consumer", "Uses the installed package.");
  return app.run(argc, argv, []() -> atoll::future<int> {
    atoll::sharded<shop::greeter> greeters;
    co_await greeters.start();
    atoll::services::gateway gateway({});
    gateway.expose(greeters.ref()).value();
    co_await gateway.start();
    co_await gateway.stop();
    co_await greeters.stop();
    co_return 0;
  });
}
