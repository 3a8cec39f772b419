// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// grpc_engine: the gateway's first engine, grpc++'s generic asynchronous server. Internal to the gateway; nothing
// of grpc++ shows in this header.
//
// One thread serves the completion queue. A call is one object that belongs to that thread, except
// while it is dispatched: then it is a task on its shard, and comes back over a stack that the thread is told of
// by an alarm on its queue (one for all replies that are there by then).
#pragma once

#include <cstdint>
#include <memory>

#include <atoll/services/gateway/gateway.hh>

namespace atoll_root::atoll::services {

class grpc_engine final : public stoppable {
 public:
  grpc_engine(std::shared_ptr<const dispatcher> exposed, const gateway_options& options);
  grpc_engine(const grpc_engine&) = delete;
  grpc_engine& operator=(const grpc_engine&) = delete;
  ~grpc_engine();

  /// Listens; gives the port. On a shard.
  result<std::uint16_t> start();
  /// On the shard that started it.
  future<> stop();
  future<> stop_everywhere() override { return stop(); }

 private:
  class server;
  std::unique_ptr<server> server_;
};

}  // namespace atoll_root::atoll::services
