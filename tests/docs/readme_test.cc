// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The cluster of README.md: two nodes in one process.
#include <memory>
#include <string>
#include <vector>

#include <atoll/actors/io/io_backend.hh>
#include <atoll/rpc/cluster.hh>
#include <atoll/testing/atoll_test.hh>

#include "counter.hh"

namespace {

using namespace std::chrono_literals;
using atoll::socket_address;
using demo::counter;

/// Addresses of ports that were free a moment ago.
std::vector<socket_address> free_addresses() {
  std::vector<std::unique_ptr<atoll::tcp_listener>> held;
  std::vector<socket_address> addresses;
  for (int i = 0; i < 2; ++i) {
    held.push_back(atoll::this_shard().io->listen({"127.0.0.1", 0}, {}).value());
    addresses.push_back(held.back()->address());
  }
  return addresses;
}

atoll::future<> first_node(atoll::sharded<counter>& counters, socket_address address_1, socket_address address_2) {
  atoll::cluster cluster({.self = 1, .peers = {{1, address_1}, {2, address_2}}});
  co_await cluster.start();
  co_await cluster.serve(counters.ref());
  co_await cluster.all_up();                                      // each peer has been reached
  co_await cluster.ref<counter>(2, 0).within(5s).add("hits", 5);  // node 2, shard 0; the callee sees the deadline
  co_await cluster.by_key<counter>("hits").add("hits", 5);        // the node and shard that own the key
  co_await cluster.stop();
}

ATOLL_TEST(docs_readme, the_cluster_calls_the_other_node_and_the_owner_of_a_key) {
  const auto addresses = free_addresses();
  atoll::sharded<counter> here;
  atoll::sharded<counter> there;
  co_await here.start();
  co_await there.start();
  atoll::cluster second({.self = 2, .peers = {{1, addresses[0]}, {2, addresses[1]}}, .drain_timeout = 1s});
  co_await second.start();
  co_await second.serve(there.ref());
  co_await first_node(here, addresses[0], addresses[1]);
  const auto on_second = (co_await there.at(0).read("hits")).total;
  EXPECT_GE(on_second, 5);
  std::int64_t all = 0;
  for (auto* counters : {&here, &there}) {
    for (atoll::shard_id s = 0; s < atoll::shard_count(); ++s) {
      const auto hit = co_await counters->at(s).read("hits");
      all += hit.total;
    }
  }
  EXPECT_EQ(all, 10);
  co_await second.stop();
  co_await there.stop();
  co_await here.stop();
}

}  // namespace
