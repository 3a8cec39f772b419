// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// cluster_of<S...>: this process as a node, as a part of an application: it starts after the services that it serves to other nodes.
//
//   atoll::application app(atoll::part<tally>(),
//                          atoll::part<atoll::cluster_of<tally>>(atoll::cluster_options{.self = 1, .peers = peers}),
//                          atoll::part<front>());
//   class front {
//    public:
//     using depends_on = atoll::dependencies<atoll::cluster_of<tally>>;
//     explicit front(atoll::cluster_ref cluster);                      // calls tallies on all nodes
//   };
//
// Errors and shard rules: those of cluster (cluster.hh).
#pragma once

#include <array>
#include <optional>
#include <utility>

#include <atoll/rpc/cluster.hh>
#include <atoll/sharding/application.hh>

namespace atoll_root::atoll {

template <class... S>
class cluster_of {
 public:
  using depends_on = dependencies<S...>;
  static constexpr std::string_view part_name = "cluster";

  /// Starts the node, and then serves these.
  future<> start(sharded_ref<S>... served, cluster_options options) {
    cluster_.emplace(std::move(options));
    co_await cluster_->start();
    std::array<future<>, sizeof...(S)> serving{cluster_->serve(served)...};
    result<> all;
    for (auto& each : serving) {
      auto outcome = co_await as_result(std::move(each));
      if (all) all = std::move(outcome);
    }
    co_await or_fail(future<>::from_result(std::move(all)));
  }
  future<> stop() { return cluster_ ? cluster_->stop() : make_ready_future(); }

  /// REQUIRES of both: started.
  [[nodiscard]] cluster_ref ref() { return cluster_->ref_to_self(); }
  [[nodiscard]] const socket_address& address() const noexcept { return cluster_->address(); }

 private:
  std::optional<cluster> cluster_;
};

}  // namespace atoll_root::atoll
