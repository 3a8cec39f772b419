// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// singleton<S>: one instance of a service in the process, on one shard.
//
//   atoll::singleton<id_source> ids;
//   co_await ids.start(1'000);                 // id_source(1'000), on the shard that its name chooses
//   auto id = co_await ids.ref().next();       // a shard_ref: copy it, send it, call it from every shard
//   co_await ids.stop();
//
// Services are spread over the shards by the hash of their name; start_on() says which. Rules and errors are those of
// sharded<S>: calls before start and after stop fail with `unavailable`.
#pragma once

#include <atoll/sharding/key_hash.hh>
#include <atoll/sharding/ref.hh>
#include <atoll/sharding/service_host.hh>

namespace atoll_root::atoll {

template <class S>
class singleton {
 public:
  singleton() = default;
  /// How it lives: service_life.hh has the options, and has to be included for them.
  explicit singleton(const life_options& options) { host_.set_options(options); }

  /// A handle for all shards, also before start().
  [[nodiscard]] shard_ref<S> ref() {
    if (!home_ || *home_ >= shard_count()) home_ = chosen();
    return {host_.core(), *home_};
  }

  /// Makes S(arguments...) on the shard that the service's name chooses.
  template <class... A>
  future<> start(A... arguments) {
    return start_on(chosen(), std::move(arguments)...);
  }
  /// The same on this shard; `out_of_range` where there is none. A handle from before names another shard.
  template <class... A>
  future<> start_on(shard_id shard, A... arguments) {
    if (shard >= shard_count()) return make_failed_future(no_such_shard(shard));
    if (!host_.runs()) home_ = shard;
    return host_.start(std::vector<shard_id>{shard}, std::move(arguments)...);
  }

  /// In phases: see sharded<S>::stop().
  future<> stop() { return host_.stop(); }

 private:
  friend struct detail::host_access;
  static shard_id chosen() noexcept { return shard_of_hash(key_hash(service_description<S>::name), shard_count()); }

  service_host<S> host_;
  std::optional<shard_id> home_;
};

}  // namespace atoll_root::atoll
