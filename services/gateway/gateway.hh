// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// gateway: lets stock gRPC clients, in any language, call sharded services.
//
//   atoll::services::gateway gateway({.address = {"127.0.0.1", 50051}});
//   gateway.expose(counters.ref());                               // /demo.v1.Counter/Add, from its description
//   co_await gateway.start();
//   ...
//   co_await gateway.stop();
//
// Unary methods. A call with a key goes to the shard that owns it, others to the shards in turn. Server
// reflection (v1 and v1alpha) and health checking (grpc.health.v1) are on. The client's deadline is the deadline of the
// call's context. Errors arrive with their own status code: `unimplemented` for an unknown method, `invalid_argument`
// for bytes that are no such request, `resource_exhausted` for a message above `request_bytes_max` or more than
// `calls_in_flight_max` calls.
// Shard rules: expose, start and stop on the shard that made it, in this order, once each. A gateway that is dropped while
// started is stopped by the runtime at its end. Behind it grpc++ runs threads of its own; each call takes one hop to its
// shard and one back. stop() waits for the handlers of calls that were begun: their deadlines end them.
#pragma once

#include <memory>

#include <atoll/actors/io/address.hh>
#include <atoll/rpc/binding.hh>
#include <atoll/services/gateway/dispatcher.hh>

namespace atoll_root::atoll::services {

struct gateway_options {
  socket_address address{"127.0.0.1", 0};            // port 0: the kernel chooses one
  std::size_t request_bytes_max = 4U << 20;          // of one message; gRPC's own default
  std::uint32_t calls_in_flight_max = 16'384;        // dispatched and not yet answered
  std::uint32_t calls_open_max = 65'536;             // begun by clients, their request on its way or under way
  duration call_timeout = std::chrono::seconds(60);  // of calls whose client named no deadline
  duration drain_timeout = std::chrono::seconds(5);  // how long stop() lets calls finish
};

class grpc_engine;

class gateway {
 public:
  explicit gateway(gateway_options options);
  gateway(const gateway&) = delete;
  gateway& operator=(const gateway&) = delete;
  ~gateway();

  /// REQUIRES: before start(). `already_exists` where a service of its name is exposed, `failed_precondition` where
  /// one of the same package has another message of the same name.
  template <described_service S>
  result<void> expose(const sharded_ref<S>& service) {
    return expose(bind(service));
  }

  /// Errors: that of the listening socket (`already_exists`: port in use; `permission_denied`).
  future<> start();

  /// The address it listens on. REQUIRES: started.
  [[nodiscard]] const socket_address& address() const noexcept { return address_; }

  /// Health turns to NOT_SERVING, no new calls are taken, those under way are waited for at most drain_timeout,
  /// then cancelled.
  future<> stop();

 private:
  result<void> expose(std::shared_ptr<const service_binding> service);

  gateway_options options_;
  std::shared_ptr<dispatcher> exposed_;
  std::shared_ptr<grpc_engine> engine_;
  std::shared_ptr<service_core> core_;  // through which the runtime stops what was dropped
  socket_address address_;
};

}  // namespace atoll_root::atoll::services
