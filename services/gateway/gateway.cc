// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/services/gateway/gateway.hh>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/io/io_backend.hh>
#include <atoll/services/gateway/grpc_engine.hh>

namespace atoll_root::atoll::services {

gateway::gateway(gateway_options options) : options_(std::move(options)), exposed_(std::make_shared<dispatcher>()) {}

gateway::~gateway() {
  if (on_shard() && core_ != nullptr && core_->running) {
    log_warning("gateway dropped without stop(): it serves until the end of the process");
  }
}

result<void> gateway::expose(std::shared_ptr<const service_binding> service) {
  ATOLL_ASSERT(engine_ == nullptr, "expose() comes before start()");
  return exposed_->add(std::move(service));
}

future<> gateway::start() {
  ATOLL_ASSERT(engine_ == nullptr, "a gateway starts once");
  // gRPC only says that it could not listen: the reason is asked for here.
  auto probe = this_shard().io->listen(options_.address, {});
  if (!probe) co_await fail(std::move(probe).error());
  (*probe)->close();
  auto engine = std::make_shared<grpc_engine>(exposed_, options_);
  auto port = engine->start();
  if (!port) co_await fail(std::move(port).error());
  engine_ = std::move(engine);
  address_ = {options_.address.host, *port};
  core_ = service_core::make({.name = "gateway"});
  core_->running = engine_;
  log_info("gateway listens on {}", address_.to_string());
}

future<> gateway::stop() {
  if (core_ == nullptr || !core_->running) return make_ready_future();
  core_->running = nullptr;
  return engine_->stop();
}

}  // namespace atoll_root::atoll::services
