// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// One node of the word count cluster.
//
//   wordcount --node 1 --peers 1=127.0.0.1:7001,2=127.0.0.1:7002 --gateway 127.0.0.1:50051
#include <cstdio>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/services/gateway/gateway_part.hh>
#include <atoll/services/gateway/proto_file.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/application.hh>

#include "word_count.hh"

namespace {

using here = wordcount::tally_node;
using front = atoll::services::gateway_of<wordcount::word_count>;

struct settings {
  atoll::node_id node = 1;
  std::string peers = "1=127.0.0.1:7001";
  std::string gateway = "127.0.0.1:0";
  bool print_proto = false;
};

/// Says when all nodes are there, and where this one is to be found.
class announcer {
 public:
  using depends_on = atoll::dependencies<here, front>;
  announcer(atoll::cluster_ref cluster, atoll::socket_address gateway, atoll::node_id self)
      : cluster_(cluster), gateway_(std::move(gateway)), self_(self) {}

  atoll::future<> ready() {
    background_.spawn([this] { return announce(); });
    return atoll::make_ready_future();
  }
  atoll::future<> stop() { return background_.stop(); }

 private:
  atoll::future<> announce() {
    co_await cluster_.all_up();
    std::printf("node %u ready: gateway %s\n", self_, gateway_.to_string().c_str());
    std::fflush(stdout);
  }

  atoll::cluster_ref cluster_;
  atoll::socket_address gateway_;
  atoll::node_id self_;
  atoll::scope background_{"announcer"};
};
ATOLL_SERVICE(announcer, "wordcount.v1.Announcer");

atoll::future<int> run_node(const settings& wanted) {
  auto peers = atoll::static_peers(wanted.peers);
  if (!peers) co_return peers.error();
  auto gateway = atoll::socket_address::parse(wanted.gateway);
  if (!gateway) co_return gateway.error();

  atoll::application app(
      atoll::part<wordcount::tally>(), atoll::part<wordcount::word_count>(),
      atoll::part<wordcount::tally_node>(atoll::cluster_options{.self = wanted.node, .peers = *std::move(peers)}),
      atoll::part<front>(atoll::services::gateway_options{.address = *std::move(gateway)}),
      atoll::part<atoll::singleton<announcer>>(wanted.node));
  co_await app.run();
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
