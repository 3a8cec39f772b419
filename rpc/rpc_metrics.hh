// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What the rpc layer counts of one node on one shard, and exports. Internal to atoll; docs/metrics.md lists the names.
//
//   auto counts = std::make_shared<rpc::rpc_counts>();           // links, servers and connections share it
//   rpc::rpc_metrics metrics({.cluster = "atoll", .node = 1}, counts, [] { return 0U; }, [] { return 0U; });
//
// Shard rules: one shard's; whoever counts keeps the counts alive. Cost: additions in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <atoll/actors/metrics/shard_metrics.hh>
#include <atoll/actors/metrics/status_metric.hh>

namespace atoll_root::atoll::rpc {

struct rpc_counts {
  status_counts called;          // calls to other nodes that were made and ended here
  status_counts served;          // calls of other nodes that were answered
  std::uint64_t bytes_sent = 0;  // by connections in either direction
  std::uint64_t bytes_received = 0;
  std::uint64_t connects = 0;         // attempts to reach a peer
  std::uint64_t connects_failed = 0;  // of these, those that did not come to its welcome
};

class rpc_metrics {
 public:
  struct node_name {
    std::string cluster;
    std::uint32_t node;
  };

  /// The functions give how many links are up, and how many connections of peers are served.
  rpc_metrics(const node_name& name, std::shared_ptr<const rpc_counts> counts, std::function<std::size_t()> links_up,
              std::function<std::size_t()> connections)
      : counts_(std::move(counts)),
        group_(shard_metrics(), "atoll_rpc", {{"cluster", name.cluster}, {"node", std::to_string(name.node)}}),
        links_up_(group_, "links_up", "Connections to shards of other nodes that are up.", std::move(links_up)),
        connections_(group_, "connections", "Connections of other nodes that are served.", std::move(connections)) {}

 private:
  std::shared_ptr<const rpc_counts> counts_;
  metric_group group_;
  observable_gauge links_up_;
  observable_gauge connections_;
  observable_status_counts called_{group_, "calls_total", "Calls to other nodes that ended.",
                                   [this](status_code code) { return counts_->called[code]; }};
  observable_status_counts served_{group_, "calls_served_total", "Calls of other nodes that were answered.",
                                   [this](status_code code) { return counts_->served[code]; }};
  observable_counter sent_{group_, "sent_bytes_total", "Bytes sent.", &counts_->bytes_sent};
  observable_counter received_{group_, "received_bytes_total", "Bytes received.", &counts_->bytes_received};
  observable_counter connects_{group_, "connects_total", "Attempts to reach a peer.", &counts_->connects};
  observable_counter connects_failed_{group_, "connects_failed_total", "Of these, those that failed.",
                                      &counts_->connects_failed};
};

}  // namespace atoll_root::atoll::rpc
