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
  atoll::node_id node = 1;
  std::string peers = "1=127.0.0.1:7001";
  std::string gateway = "127.0.0.1:0";
  bool print_proto = false;
};

atoll::future<> say_when_ready(atoll::cluster_ref cluster, atoll::node_id node, std::string gateway) {
  co_await cluster.all_up();
  std::printf("node %u ready: gateway %s\n", node, gateway.c_str());
  std::fflush(stdout);
}

class node {
 public:
  node(atoll::node_id id, std::vector<atoll::peer> peers, atoll::socket_address gateway)
      : id_(id), cluster_({.self = id, .peers = std::move(peers)}), gateway_({.address = std::move(gateway)}) {}

  atoll::future<> start() {
    co_await cluster_.start();
    co_await tallies_.start();
    co_await cluster_.serve(tallies_.ref());
    co_await counts_.start(cluster_.ref_to_self());
    gateway_.expose(counts_.ref()).value();
    co_await gateway_.start();
    background_.spawn(&say_when_ready, cluster_.ref_to_self(), id_, gateway_.address().to_string());
  }

  /// Also of a node that did not start, or not all of it.
  atoll::future<> stop() {
    co_await gateway_.stop();  // first the callers, then what they call
    co_await cluster_.stop();
    co_await background_.close();
    co_await counts_.stop();
    co_await tallies_.stop();
  }

 private:
  atoll::node_id id_;
  atoll::cluster cluster_;
  atoll::sharded<wordcount::tally> tallies_;
  atoll::sharded<wordcount::word_count> counts_;
  atoll::services::gateway gateway_;
  atoll::scope background_{"wordcount"};
};

atoll::future<int> run_node(const settings& wanted) {
  auto peers = atoll::static_peers(wanted.peers);
  if (!peers) co_return peers.error();
  auto gateway = atoll::socket_address::parse(wanted.gateway);
  if (!gateway) co_return gateway.error();

  node here(wanted.node, *std::move(peers), *std::move(gateway));
  auto started = co_await atoll::as_result(here.start());
  if (started) co_await atoll::stop_signal();
  co_await here.stop();
  if (!started) co_return started.error();
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
  return app.run(argc, argv, [&wanted] {
    if (wanted.print_proto) {
      std::fputs(atoll::services::proto_text(atoll::schema_of<wordcount::word_count>()).c_str(), stdout);
      return atoll::make_ready_future<int>(0);
    }
    return run_node(wanted);
  });
}
