// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/service_host.hh>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/future/cancel.hh>
#include <atoll/sharding/service_life.hh>
#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {
namespace {

// The host may go before they end.

future<> bring_down(std::shared_ptr<service_core> core, std::shared_ptr<service_life> life) {
  auto stopped = co_await as_result(service_life::stop(life));
  if (life->has_stopped() && core->running == life) core->running = nullptr;  // else it has been started anew
  if (!stopped) co_await fail(std::move(stopped).error());
}

future<> bring_up(std::shared_ptr<service_core> core, std::shared_ptr<service_life> life) {
  auto made = co_await as_result(service_life::start(life));
  if (made) co_return;
  while (core->running == life) {
    const auto stop_it = [&core, &life] { return bring_down(core, life); };
    static_cast<void>(co_await as_result(detail::invoke_safely(stop_it)));
    if (core->running == life) co_await yield();  // there was no memory to begin with
  }
  co_await fail(std::move(made).error());
}

}  // namespace

struct service_host_base::state {
  const service_class& of;
  life_options options{};
  std::shared_ptr<service_core> core{};
  std::shared_ptr<service_life> life{};
};

service_host_base::service_host_base(const service_class& of) : state_(new state{of}) {}

service_host_base::~service_host_base() {
  if (!on_shard()) return;
  if (state_->life != nullptr) state_->life->forget_listener();
  if (runs())
    log_warning("service {} dropped without stop(): it runs until the end of the process", state_->core->name());
}

bool service_host_base::runs() const noexcept { return state_->core != nullptr && state_->core->running != nullptr; }

void service_host_base::set_options(const life_options& options) { state_->options = options; }

service_core& service_host_base::core() {
  auto& core = state_->core;
  // A core that only we hold is of a runtime that has ended.
  if (core == nullptr || core.use_count() == 1) core = service_core::make(state_->of.shape);
  return *core;
}

future<> service_host_base::start_with(std::vector<shard_id> shards, instance_maker maker) {
  if (runs()) {
    return make_failed_future(error(status_code::failed_precondition, state_->core->name() + " has been started"));
  }
  if (local_sharding().ending) {
    return make_failed_future(
        error(status_code::unavailable, std::string(state_->of.shape.name) + ": the runtime ends"));
  }
  service_core& core = this->core();
  const auto make = [&core, &of = state_->of, maker = std::move(maker)] {
    core.prepare();
    void* instance = maker.make();
    if (of.belongs_to != nullptr) of.belongs_to(instance, core);
    core.open(instance);  // whose it is, from here on
  };
  std::shared_ptr<service_life> life;
  const detail::context_scope none(nullptr);  // a service lives longer than who starts it
  const auto begin = [&] {
    life = std::make_shared<service_life>(core, state_->of, state_->options, std::move(shards), make);
    core.running = state_->life = life;
    service_core::starts(state_->core);
    return bring_up(state_->core, life);
  };
  auto started = detail::invoke_safely(begin);
  if (started.available() && started.failed() && life != nullptr && !life->start_has_begun()) {
    core.running = state_->life = nullptr;  // no memory to begin with; else who was told may have dropped this host
  }
  return started;
}

future<> service_host_base::drain() { return runs() ? service_life::drain(state_->life) : make_ready_future(); }

future<> service_host_base::stop() {
  // Also where the runtime has begun with it.
  if (state_->life == nullptr || (state_->life->has_stopped() && !runs())) return make_ready_future();
  const auto stop_it = [this] { return bring_down(state_->core, state_->life); };
  return detail::invoke_safely(stop_it);
}

}  // namespace atoll_root::atoll
