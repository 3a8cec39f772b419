// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What sharded<S>, singleton<S> and keyed<A> have in common: makes of the class of a service what its life needs to know.
// Internal to atoll.
#pragma once

#include <concepts>
#include <memory>
#include <vector>

#include <atoll/actors/base/log.hh>
#include <atoll/sharding/describe.hh>
#include <atoll/sharding/service_life.hh>
#include <atoll/sharding/start_arguments.hh>

namespace atoll_root::atoll {

template <class S>
class peering;

namespace detail {

template <class S>
constexpr service_class class_of_service() noexcept {
  service_class all{.name = service_description<S>::name};
  if constexpr (requires(S& s) {
                  { s.ready() } -> std::same_as<future<>>;
                })
    all.ready = [](void* instance) { return static_cast<S*>(instance)->ready(); };
  if constexpr (requires(S& s) {
                  { s.drain() } -> std::same_as<future<>>;
                })
    all.drain = [](void* instance) { return static_cast<S*>(instance)->drain(); };
  if constexpr (requires(S& s) {
                  { s.stop() } -> std::same_as<future<>>;
                })
    all.stop = [](void* instance) { return static_cast<S*>(instance)->stop(); };
  all.destroy = [](void* instance) noexcept { delete static_cast<S*>(instance); };
  if constexpr (std::is_base_of_v<supervised, S>) {
    all.as_supervised = [](void* instance) noexcept -> supervised* { return static_cast<S*>(instance); };
    if constexpr (requires { static_cast<const supervision&>(S::supervision); }) all.policy = S::supervision;
  }
  return all;
}
/// For who lives by the hosts of others: application.
struct host_access {
  template <class Container>
  static auto& of(Container& c) noexcept {
    return c.host_;
  }
};

template <class S>
inline constexpr service_class the_class_of = class_of_service<S>();

}  // namespace detail

template <class S>
class service_host {
 public:
  explicit service_host(life_options options) : options_(std::move(options)) {}
  service_host(const service_host&) = delete;
  service_host& operator=(const service_host&) = delete;
  ~service_host() {
    if (on_shard() && runs()) {
      log_warning("service {} dropped without stop(): it runs until the end of the process", owned_->name());
      life_->forget_listener();
    }
  }

  [[nodiscard]] bool runs() const noexcept { return owned_ != nullptr && owned_->stop_all != nullptr; }
  /// How the next start() makes it live.
  [[nodiscard]] life_options& options() noexcept { return options_; }

  /// The core of this runtime; a new one where there is none.
  service_core& core() {
    // A core that only we hold is of a runtime that has ended.
    if (owned_ == nullptr || owned_.use_count() == 1) {
      owned_ = service_core::make(shape());
    }
    return *owned_;
  }

  /// Makes an instance on each of these shards; if one fails, those made are stopped again.
  template <class... A>
  future<> start(std::vector<shard_id> shards, A... arguments) {
    static_assert((sendable<A> && ...), "the arguments of start() travel to every shard");
    static_assert((std::copy_constructible<A> && ...), "each shard gets a copy of the arguments of start()");
    static_assert(std::is_constructible_v<S, decltype(detail::arrive(std::declval<const A&>()))...>,
                  "no constructor of the service takes what start() was given");
    ATOLL_ASSERT(!runs(), "start() of a started service");
    service_core& core = this->core();
    const auto make = [&core, packed = std::tuple<A...>(std::move(arguments)...)] {
      core.prepare(groups());
      auto instance = std::apply([](const auto&... a) { return std::make_unique<S>(detail::arrive(a)...); }, packed);
      if constexpr (std::is_base_of_v<peering<S>, S>) instance->peering<S>::core_ = &core;
      core.open(instance.release());  // the core's, from here on
    };
    const detail::context_scope none(nullptr);  // a service lives longer than who starts it
    const auto begin = [&] {
      life_ = std::make_shared<service_life>(core, detail::the_class_of<S>, options_, std::move(shards), make);
      owned_->stop_all = [life = life_] { return service_life::stop(life); };
      service_core::starts(owned_);
      return bring_up(owned_, life_);
    };
    auto started = detail::invoke_safely(begin);
    if (started.available() && started.failed() && life_ != nullptr && !life_->start_has_begun()) {
      core.stop_all = nullptr;  // no memory to begin with
    }
    return started;
  }

  future<> drain() { return runs() ? service_life::drain(life_) : make_ready_future(); }

  /// In phases, as service_life.hh says. Ready when it has stopped, also for who comes while it stops.
  future<> stop() {
    if (!runs()) return make_ready_future();
    const auto stop_it = [this] { return bring_down(owned_, life_); };
    return detail::invoke_safely(stop_it);
  }

 private:
  static service_shape shape() {
    if constexpr (requires {
                    { S::shape() } -> std::same_as<service_shape>;
                  })
      return S::shape();
    else
      return {.name = service_description<S>::name,
              .methods = methods_of_service<S>(),
              .bounds = bounds_of_service<S>(),
              .streams_max = detail::options_of_service<S>().streams,
              .slots = detail::options_of_service<S>().slots};
  }

  static std::vector<std::string_view> groups() {
    if constexpr (requires {
                    { S::groups() } -> std::same_as<std::vector<std::string_view>>;
                  })
      return S::groups();
    else
      return groups_of_service<S>();
  }

  // The host may go before they end.
  static future<> bring_up(std::shared_ptr<service_core> core, std::shared_ptr<service_life> life) {
    auto made = co_await as_result(service_life::start(life));
    if (made) co_return;
    while (core->stop_all != nullptr) {
      const auto stop_it = [&core, &life] { return bring_down(core, life); };
      static_cast<void>(co_await as_result(detail::invoke_safely(stop_it)));
      if (core->stop_all != nullptr) co_await yield();  // there was no memory to begin with
    }
    co_await fail(std::move(made).error());
  }
  static future<> bring_down(std::shared_ptr<service_core> core, std::shared_ptr<service_life> life) {
    auto stopped = co_await as_result(service_life::stop(life));
    if (life->has_stopped()) core->stop_all = nullptr;
    if (!stopped) co_await fail(std::move(stopped).error());
  }

  life_options options_;
  std::shared_ptr<service_core> owned_;
  std::shared_ptr<service_life> life_;
};

}  // namespace atoll_root::atoll
