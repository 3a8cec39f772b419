// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The smallest program that defines a service, runs it on every core and opens it to gRPC clients. README.md quotes it.
#include <string>
#include <unordered_map>

#include <atoll/services/gateway/gateway.hh>
#include <atoll/sharding/app.hh>

class counter {
 public:
  atoll::future<std::int64_t> add(std::string name, std::int64_t by) { co_return totals_[name] += by; }
  std::size_t size() const { return totals_.size(); }

 private:
  std::unordered_map<std::string, std::int64_t> totals_;  // no locks: one shard owns it
};
ATOLL_SERVICE(counter, "demo.v1.Counter", ATOLL_METHOD(add, key(name), by));

atoll::future<int> serve() {
  atoll::sharded<counter> counters;
  co_await counters.start();               // one instance on each core
  co_await counters.at(0).add("hits", 5);  // that shard's instance
  co_await counters.add("hits", 5);        // the shard that owns the key "hits"
  atoll::services::gateway gateway({.address = {"127.0.0.1", 50051}});
  gateway.expose(counters.ref()).value();  // /demo.v1.Counter/Add, for any gRPC client, with reflection
  co_await gateway.start();
  co_await atoll::stop_signal();
  co_await gateway.stop();
  co_await counters.stop();
  co_return 0;
}

int main(int argc, char** argv) {
  atoll::app app("counterd", "Counts things.");
  return app.run(argc, argv, [] { return serve(); });  // --shards N, --doctor, --help
}
