// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// gateway_of<S...>: a gateway to these services, as a part of an application: it starts after them and stops before them.
//
//   atoll::application app(atoll::part<counter>(), atoll::part<atoll::services::gateway_of<counter>>(
//                                                      atoll::services::gateway_options{.address = {"127.0.0.1", 50051}}));
//
// What depends on it is given the address that it listens on. Errors and shard rules: those of gateway (gateway.hh).
#pragma once

#include <array>
#include <optional>
#include <utility>

#include <atoll/services/gateway/gateway.hh>
#include <atoll/sharding/application.hh>

namespace atoll_root::atoll::services {

template <class... S>
class gateway_of {
 public:
  using depends_on = dependencies<S...>;
  static constexpr std::string_view part_name = "gateway";

  future<> start(sharded_ref<S>... exposed, gateway_options options) {
    gateway_.emplace(std::move(options));
    for (auto& each : std::array<result<void>, sizeof...(S)>{gateway_->expose(exposed)...}) {
      co_await or_fail(future<>::from_result(std::move(each)));
    }
    co_await gateway_->start();
  }
  future<> stop() { return gateway_ ? gateway_->stop() : make_ready_future(); }

  /// Where it listens. REQUIRES: started.
  [[nodiscard]] socket_address ref() const { return gateway_->address(); }

 private:
  std::optional<gateway> gateway_;
};

}  // namespace atoll_root::atoll::services
