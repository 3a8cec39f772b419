// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A node that serves the counter, for the tests that need other processes.
#include <cstdio>

#include <atoll/rpc/cluster.hh>
#include <atoll/sharding/app.hh>

#include "counter.hh"

atoll::future<int> serve(atoll::node_id node, std::string peers) {
  auto all = atoll::static_peers(peers);
  if (!all) co_return all.error();
  atoll::cluster cluster({.self = node, .peers = *std::move(all)});
  atoll::sharded<demo::counter> counters;
  co_await counters.start();
  co_await cluster.start();
  co_await cluster.serve(counters.ref());
  std::puts("ready");
  std::fflush(stdout);
  co_await atoll::stop_signal();
  co_await cluster.stop();
  co_await counters.stop();
  co_return 0;
}

int main(int argc, char** argv) {
  atoll::node_id node = 1;
  std::string peers;
  atoll::app app("atoll_test_node", "Serves demo.v1.Counter.");
  app.option("--node", node, "which of the peers this node is");
  app.option("--peers", peers, "all nodes: ID=HOST:PORT,...");
  return app.run(argc, argv, [&] { return serve(node, peers); });
}
