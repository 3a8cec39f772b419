// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// node: one shard's part of a node of a cluster: its server, its links to the peers' shards and what it knows
// of them. Internal to atoll; users have `cluster`, of which this is the instance on each shard.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/rpc/link.hh>
#include <atoll/rpc/server.hh>

namespace atoll_root::atoll {

using node_id = std::uint32_t;

/// A member of a static cluster.
struct peer {
  node_id id = 0;
  socket_address address;

  friend bool operator==(const peer&, const peer&) = default;
};

struct cluster_options {
  std::string name = "atoll";                        // nodes of differently named clusters refuse each other
  node_id self = 0;                                  // which of the peers this node is
  std::vector<peer> peers;                           // every member, this node too; the same on each
  duration call_timeout = std::chrono::seconds(10);  // of calls in a context without a deadline
  duration connect_timeout = std::chrono::seconds(3);
  duration hello_timeout = std::chrono::seconds(5);   // for a connection's first frame
  duration frame_timeout = std::chrono::seconds(30);  // from a frame's first byte to its last
  duration drain_timeout = std::chrono::seconds(5);   // how long stop() waits for calls being served
};

/// What this node knows of a member.
struct member {
  node_id id = 0;
  std::string address;
  shard_id shards = 0;  // 0 until it was reached for the first time
  bool up = false;
};

namespace rpc {

class node {
 public:
  node(cluster_options options, service_core& self);
  node(const node&) = delete;
  node& operator=(const node&) = delete;
  ~node();

  /// Shard 0 listens and keeps a connection to each peer, to know who is up.
  void start(std::unique_ptr<tcp_listener> listener);
  future<> stop();

  [[nodiscard]] const cluster_options& options() const noexcept { return options_; }
  [[nodiscard]] const std::vector<member>& members() const noexcept { return members_; }
  class server& server() noexcept { return server_; }

  /// This node's own services, for calls that turn out to be local.
  void add_local(const std::string& service, service_core& core) { local_[service] = &core; }
  [[nodiscard]] service_core* local(std::string_view service) const noexcept;

  /// `not_found` where the cluster has no such node.
  result<link*> link_to(node_id id, shard_id shard);

  /// The member that owns a key: the highest of the hashes of (key, node), after Thaler and Ravishankar (1998).
  [[nodiscard]] const member& owner_of(std::uint64_t key_hash) const noexcept;
  [[nodiscard]] const member* find(node_id id) const noexcept;

  /// Waits until every member is up.
  future<> all_up();

  void set_member(node_id id, shard_id shards, bool up);

 private:
  future<> keep_in_touch(peer p);
  future<> tell_all_shards(node_id id, shard_id shards, bool up);

  cluster_options options_;
  std::shared_ptr<rpc_counts> counts_ = std::make_shared<rpc_counts>();
  service_core& self_;
  std::vector<member> members_;  // by id
  std::map<std::pair<node_id, shard_id>, std::shared_ptr<link>> links_;
  std::map<std::string, service_core*, std::less<>> local_;
  class server server_;
  condition_variable members_changed_;
  condition_variable stop_requested_;
  bool stopping_ = false;
  scope background_{"cluster"};
  rpc_metrics metrics_;
};

}  // namespace rpc
}  // namespace atoll_root::atoll
