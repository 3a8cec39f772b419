// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// cluster: this process as a node among others, and refs to services on all of them.
//
//   atoll::cluster cluster({.self = 1, .peers = {{1, addr1}, {2, addr2}}});
//   co_await cluster.start();                                                   // listens, connects to the others
//   co_await cluster.serve(counters.ref());                                    // callable from the peers
//   auto remote = cluster.ref<counter>(2, 0);                                  // node 2, shard 0
//   auto total  = co_await remote.within(50ms).add("hits", 5);
//   auto owner  = cluster.by_key<counter>("hits");                             // the node and shard of a key
//
// A call to this node itself goes over a lane, any other over the RPC protocol (proto/README.md): one TCP
// connection for each pair of shards that talk, made when first needed.
// Every remote call has a deadline: that of its context, or within(), or `cluster_options::call_timeout`.
// Errors: `unavailable` at once where the peer is down, was lost (whether the call was carried out is then unknown)
// or is stopping; `unimplemented` where it doesn't serve the method; `deadline_exceeded`; what the method fails with.
// Order: calls of a shard to an instance start in the order made, while they go over one connection. One that its caller has given
// up may start late, after those that went over a new one.
// A peer that is down is no error of start(): it is logged, and connected to when it comes.
//
// Shard rules: start, serve and stop on the shard that made the cluster; refs on any shard. cluster_ref is the part of
// it that can be copied and sent, for the constructors of services.
#pragma once

#include <string_view>

#include <atoll/rpc/node.hh>
#include <atoll/rpc/remote_ref.hh>

namespace atoll_root::atoll {

class cluster_ref {
 public:
  cluster_ref() noexcept = default;
  explicit cluster_ref(service_core& core) noexcept : core_(&core) {}

  template <described_service S>
  [[nodiscard]] remote_ref<S> ref(node_id node, shard_id shard) const noexcept {
    return remote_ref<S>(*core_, remote_target::at(node, shard));
  }

  /// The instance that owns a key: the node by rendezvous hashing over all members, up or not, and on it the shard
  /// that sharded<S> would choose. A key moves only where the list of members or a node's number of shards changes.
  template <described_service S, class Key>
  [[nodiscard]] remote_ref<S> by_key(const Key& key) const noexcept {
    return remote_ref<S>(*core_, remote_target::of_key(key_hash(key)));
  }

  /// What this node knows of the members now, by id, this node included; empty while the cluster is not started.
  [[nodiscard]] std::vector<member> members() const;

  /// Where a key lives: (node, shard). `unavailable` while that node has never been reached.
  [[nodiscard]] result<std::pair<node_id, shard_id>> owner_of(std::uint64_t key_hash) const;

  /// Ready when every member is up; ends by the deadline of the context.
  [[nodiscard]] future<> all_up() const;

 protected:
  /// This shard's part; null while the cluster is not started.
  [[nodiscard]] rpc::node* local() const noexcept;

  service_core* core_ = nullptr;
};

template <>
inline constexpr bool enable_sendable<cluster_ref> = true;

class cluster : public cluster_ref {
 public:
  explicit cluster(cluster_options options) : options_(std::move(options)) {}
  cluster(const cluster&) = delete;
  cluster& operator=(const cluster&) = delete;
  ~cluster();

  /// A handle for services, also before start().
  [[nodiscard]] cluster_ref ref_to_self() { return cluster_ref(core_or_new()); }

  /// Listens and begins to connect. Errors: `invalid_argument` for peers that make no cluster, else that of the
  /// listening socket (`already_exists`: port in use; `permission_denied`).
  future<> start();

  /// Makes a service callable from other nodes. `already_exists` where one of its name is.
  template <described_service S>
  future<> serve(sharded_ref<S> service) {
    return serve(bind(service));
  }

  /// The address this node listens on.
  [[nodiscard]] const socket_address& address() const noexcept { return address_; }

  /// Refuses new calls, waits for those being served (at most drain_timeout), closes all connections. Ready when it has stopped, also for who
  /// comes while it stops.
  future<> stop();

 private:
  service_core& core_or_new();
  future<> serve(std::shared_ptr<const service_binding> service);
  [[nodiscard]] bool runs() const noexcept { return owned_ != nullptr && owned_->running != nullptr; }
  class running_cluster;
  static future<> stop_and_forget(std::shared_ptr<service_core> core, std::shared_ptr<running_cluster> running);
  static future<> stop_in_phases(service_core& core);
  static future<> destroy_here(service_core& core);

  std::shared_ptr<service_core> owned_;
  std::shared_ptr<running_cluster> running_;
  cluster_options options_;
  socket_address address_;
};

/// Peers as a command line gives them: "1=127.0.0.1:7001,2=127.0.0.1:7002". `invalid_argument` says what is wrong.
result<std::vector<peer>> static_peers(std::string_view text);

}  // namespace atoll_root::atoll
