// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The life of a service's instances: what sharded<S> and singleton<S> have in common. Internal to atoll.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <functional>
#include <memory>
#include <vector>

#include <atoll/actors/base/log.hh>
#include <atoll/sharding/describe.hh>
#include <atoll/sharding/start_arguments.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll {

template <class S>
concept stoppable = requires(S& s) {
  { s.stop() } -> std::same_as<future<>>;
};

template <class S>
class peering;

template <class S>
class service_host {
 public:
  service_host() = default;
  service_host(const service_host&) = delete;
  service_host& operator=(const service_host&) = delete;
  ~service_host() {
    if (on_shard() && runs()) {
      log_warning("service {} dropped without stop(): it runs until the end of the process", owned_->name());
    }
  }

  [[nodiscard]] bool runs() const noexcept { return owned_ != nullptr && owned_->stop_all != nullptr; }

  /// The core of this runtime; a new one where there is none.
  service_core& core() {
    // A core that only we hold is of a runtime that has ended.
    if (owned_ == nullptr || owned_.use_count() == 1) {
      owned_ = std::make_shared<service_core>(service_description<S>::name, shard_count(), bounds(), streams_max());
      local_sharding().cores.push_back(owned_);
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
    // Named before the co_await, as docs/compilers.md says.
    const auto make = [&core, packed = std::tuple<A...>(std::move(arguments)...)] {
      auto instance = std::apply([](const auto&... a) { return std::make_unique<S>(detail::arrive(a)...); }, packed);
      if constexpr (std::is_base_of_v<peering<S>, S>) instance->peering<S>::core_ = &core;
      core.open(instance.get(), groups());
      instance.release();  // NOLINT(bugprone-unused-return-value): the core's, from here on
    };
    core.stop_all = [&core] { return stop_everywhere(core); };
    core.stop_has_begun = false;
    // In no caller's context: a deadline that passes half-way would leave half a service.
    auto made = co_await as_result(with_context({}, [&] { return on_shards(shards, make); }));
    if (made) co_return;
    static_cast<void>(co_await as_result(stop()));
    co_await fail(std::move(made).error());
  }

  /// In two phases: S::stop() everywhere, while calls are still served; then the instances end.
  future<> stop() {
    if (!runs()) return make_ready_future();
    service_core& core = *owned_;
    core.stop_all = nullptr;
    auto stopped = detail::invoke_safely(stop_everywhere, core);
    // Without memory to begin with, it is as before.
    if (stopped.available() && stopped.failed() && !core.stop_has_begun) {
      core.stop_all = [&core] { return stop_everywhere(core); };
    }
    return stopped;
  }

 private:
  static std::vector<turn_options> bounds() {
    if constexpr (requires {
                    { S::bounds() } -> std::same_as<std::vector<turn_options>>;
                  })
      return S::bounds();
    else
      return bounds_of_service<S>();
  }

  static std::vector<std::string_view> groups() {
    if constexpr (requires {
                    { S::groups() } -> std::same_as<std::vector<std::string_view>>;
                  })
      return S::groups();
    else
      return groups_of_service<S>();
  }

  static std::uint32_t streams_max() {
    if constexpr (requires { S::streams_max(); })
      return S::streams_max();
    else
      return detail::options_of_service<S>().streams;
  }

  static future<> stop_everywhere(service_core& core) {
    return with_context({}, [&core] { return stop_in_phases(core); });
  }

  /// on_all_shards, whose lack of memory is a failure like any other.
  template <class F>
  static future<> everywhere(const F& f) noexcept {
    const auto run = [&f] { return on_all_shards(f); };
    return detail::invoke_safely(run);
  }

  static future<> destroy_here(service_core& core) {
    const std::unique_ptr<S> last(static_cast<S*>(co_await core.close()));
  }

  static future<> stop_in_phases(service_core& core) {
    core.stop_has_begun = true;
    result<void> stopped;
    if constexpr (stoppable<S>) {
      std::array<bool, shards_max> told{};  // each shard's own
      const auto tell = [&core, &told] {
        auto* instance = static_cast<S*>(core.instance());
        const bool first = !std::exchange(told[this_shard_id()], true);
        return first && instance != nullptr ? instance->stop() : make_ready_future();
      };
      const auto all_told = [&told] { return std::ranges::count(told, true) == shard_count(); };
      // Where there is no memory to ask a shard, it is asked again: its instance must not go unprepared.
      for (bool again = false; !all_told(); again = true) {
        if (again) co_await yield();
        auto outcome = co_await as_result(everywhere(tell));
        const bool is_ours = !outcome && outcome.error().code() == status_code::resource_exhausted && !all_told();
        if (stopped && !is_ours) stopped = std::move(outcome);
      }
    }
    while (true) {
      const auto destroy = [&core] { return destroy_here(core); };
      auto destroyed = co_await as_result(everywhere(destroy));
      if (destroyed || destroyed.error().code() != status_code::resource_exhausted) break;
      co_await yield();  // no memory to ask a shard: its instance has to go all the same
    }
    if (!stopped) co_await fail(std::move(stopped).error());
  }

  std::shared_ptr<service_core> owned_;
};

}  // namespace atoll_root::atoll
