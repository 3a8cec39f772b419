// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// One node of the word count cluster.
//
//   wordcount --node 1 --peers 1=127.0.0.1:7001,2=127.0.0.1:7002 --gateway 127.0.0.1:50051
#include <cstdio>

#include <atoll/actors/base/log.hh>
#include <atoll/services/gateway/gateway.hh>
#include <atoll/services/gateway/proto_file.hh>
#include <atoll/sharding/app.hh>

#include "word_count.hh"

namespace {

struct settings {
  std::uint64_t node = 1;
  std::string peers = "1=127.0.0.1:7001";
  std::string gateway = "127.0.0.1:0";
  bool print_proto = false;
};

atoll::future<> say_when_ready(atoll::cluster_ref cluster, std::uint64_t node, std::string gateway) {
  co_await cluster.all_up();
  std::printf("node %lu ready: gateway %s\n", static_cast<unsigned long>(node), gateway.c_str());
  std::fflush(stdout);
}

atoll::future<int> run_node(const settings& wanted) {
  auto peers = atoll::static_peers(wanted.peers);
  if (!peers) co_return peers.error();
  auto gateway_address = atoll::socket_address::parse(wanted.gateway);
  if (!gateway_address) co_return gateway_address.error();

  atoll::cluster cluster({.self = static_cast<atoll::node_id>(wanted.node), .peers = *std::move(peers)});
  atoll::sharded<wordcount::tally> tallies;
  atoll::sharded<wordcount::word_count> counts;
  atoll::services::gateway gateway({.address = *std::move(gateway_address)});
  atoll::scope background("wordcount");

  co_await cluster.start();
  co_await tallies.start();
  co_await cluster.serve(tallies.ref());
  co_await counts.start(cluster.ref_to_self());
  gateway.expose(counts.ref()).value();
  co_await gateway.start();
  background.spawn(say_when_ready(cluster.ref_to_self(), wanted.node, gateway.address().to_string()));

  co_await atoll::stop_signal();
  co_await gateway.stop();  // first the callers, then what they call
  co_await cluster.stop();
  co_await background.close();
  co_await counts.stop();
  co_await tallies.stop();
  atoll::log_info("node {} stopped", wanted.node);
  co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
  settings wanted;
  atoll::app app("wordcount", "One node of a cluster that counts words.");
  app.option("--node", wanted.node, "which of the peers this node is");
  app.option("--peers", wanted.peers, "all nodes of the cluster: ID=HOST:PORT,ID=HOST:PORT,...");
  app.option("--gateway", wanted.gateway, "where gRPC clients connect; port 0 takes a free one");
  app.flag("--print-proto", wanted.print_proto, "print the .proto of the gateway's service and exit");
  return app.run(argc, argv, [&wanted]() -> atoll::future<int> {
    if (wanted.print_proto) {
      std::fputs(atoll::services::proto_text(atoll::schema_of<wordcount::word_count>()).c_str(), stdout);
      return atoll::make_ready_future<int>(0);
    }
    return run_node(wanted);
  });
}
