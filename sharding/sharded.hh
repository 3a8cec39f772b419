// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// sharded<S>: one instance of a service on each shard of this process.
//
//   atoll::sharded<counter> counters;
//   co_await counters.start(limit);                        // counter(limit), on every shard
//   auto n = co_await counters.at(1).add("hits", 5);       // that shard's instance
//   auto m = co_await counters.add("hits", 5);             // the shard that owns the key "hits"
//   auto s = co_await counters.map_reduce(&counter::size, std::plus{}, 0);
//   co_await counters.stop();                              // S::stop() everywhere, then destruction
//
// sharded_ref<S> is the part of it that can be copied and sent: everything but start, stop and local.
// Shard rules: start and stop on the shard that made it, once each and in turn; calls on any.
// start() and stop() run to their end: the deadline of the caller's context does not cut them short.
// Errors: calls before start and after stop fail with `unavailable`, naming the service.
// A container that is dropped while started is stopped by the runtime at its end, with a log line.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <functional>
#include <memory>
#include <vector>

#include <atoll/actors/base/log.hh>
#include <atoll/sharding/key_hash.hh>
#include <atoll/sharding/ref.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll {

template <class S>
class sharded_ref : public service_description<S>::template refs<sharded_ref<S>> {
 public:
  sharded_ref() noexcept = default;
  explicit sharded_ref(service_core& core) noexcept : core_(&core) {}

  /// Calls to a shard that does not exist fail with `out_of_range`.
  [[nodiscard]] shard_ref<S> at(shard_id shard) const noexcept { return {*core_, shard}; }

  [[nodiscard]] sharded_ref within(duration timeout) const noexcept {
    sharded_ref bounded = *this;
    bounded.timeout_ = timeout;
    return bounded;
  }

  /// Calls `method` (a member function of S: plain or returning a future) on every shard and folds the
  /// results in shard order, starting with `initial`. The first failure in shard order is the result.
  template <class R, class Reduce, class T>
  future<T> map_reduce(R (S::*method)(), Reduce reduce, T initial) const {
    return fold(method, std::move(reduce), std::move(initial));
  }
  template <class R, class Reduce, class T>
  future<T> map_reduce(R (S::*method)() const, Reduce reduce, T initial) const {
    return fold(method, std::move(reduce), std::move(initial));
  }

  [[nodiscard]] service_core& core() const noexcept { return *core_; }

  template <class Tag, class... A>
  auto atoll_call(A&&... arguments) const {
    constexpr auto key = method_traits<Tag>::key;
    static_assert(key != no_key, "this method has no key(...) in its ATOLL_METHOD: say which shard with .at(shard)");
    ATOLL_ASSERT(core_ != nullptr, "a call through an empty sharded_ref");
    const auto hash = key_hash(std::get<key>(std::forward_as_tuple(arguments...)));
    return detail::call_method<Tag>(core_, shard_of_hash(hash, core_->shards()), timeout_,
                                    std::forward<A>(arguments)...);
  }

 protected:
  service_core* core_ = nullptr;
  duration timeout_ = no_timeout;

 private:
  template <class Method, class Reduce, class T>
  future<T> fold(Method method, Reduce reduce, T folded) const {
    using R = detail::unwrapped<decltype((std::declval<S&>().*method)())>;
    static_assert(sendable<R>, "what map_reduce brings from each shard has to be sendable");
    std::vector<future<R>> parts;
    for (shard_id s = 0; s < core_->shards(); ++s) {
      parts.push_back(start_call<R>(core_, s, timeout_, [method](void* instance) {
        auto bound = [instance, method] { return (static_cast<S*>(instance)->*method)(); };
        return detail::invoke_and_await(bound);
      }));
    }
    // All are waited for, also after a failure: the first one in shard order is reported.
    std::vector<result<R>> arrived;
    for (auto& part : parts) arrived.push_back(co_await as_result(std::move(part)));
    for (auto& part : arrived) {
      if (!part) co_return std::move(part).error();
      folded = reduce(std::move(folded), *std::move(part));
    }
    co_return folded;
  }
};

template <class S>
inline constexpr bool enable_sendable<sharded_ref<S>> = true;

template <class S>
concept stoppable = requires(S& s) {
  { s.stop() } -> std::same_as<future<>>;
};

/// A base for services whose instances call each other: `class cache : public atoll::peering<cache>`. The member
/// functions that use peers() are defined after ATOLL_SERVICE, which is what gives the refs their methods.
template <class S>
class peering {
 public:
  /// The service this instance belongs to. REQUIRES: not called in the constructor.
  [[nodiscard]] sharded_ref<S> peers() const noexcept { return sharded_ref<S>(*core_); }

 private:
  template <class>
  friend class sharded;
  service_core* core_ = nullptr;
};

template <class S>
class sharded : public sharded_ref<S> {
 public:
  sharded() = default;
  sharded(const sharded&) = delete;
  sharded& operator=(const sharded&) = delete;
  ~sharded() {
    if (on_shard() && runs()) {
      log_warning("sharded {} dropped without stop(): it runs until the end of the process", this->core_->name());
    }
  }

  /// A handle for other shards and other services, also before start().
  [[nodiscard]] sharded_ref<S> ref() { return sharded_ref<S>(core_or_new()); }

  /// Makes S(arguments...) on every shard, from copies of the arguments. If one constructor fails, the
  /// instances made are stopped and destroyed and its error is the result.
  template <class... A>
  future<> start(A... arguments) {
    static_assert((sendable<A> && ...), "the arguments of start() travel to every shard");
    ATOLL_ASSERT(!runs(), "start() of a started service");
    service_core& core = core_or_new();
    // Named before the co_await, as docs/compilers.md says.
    const auto make = [&core, packed = std::tuple<A...>(std::move(arguments)...)] {
      auto instance = make_instance(packed);
      if constexpr (std::is_base_of_v<peering<S>, S>) instance->peering<S>::core_ = &core;
      core.open(instance.release());
    };
    core.stop_all = [&core] { return stop_everywhere(core); };
    // In no caller's context: a deadline that passes half-way would leave half a service.
    auto made = co_await as_result(with_context({}, [&make] { return on_all_shards(make); }));
    if (made) co_return;
    static_cast<void>(co_await as_result(stop()));
    co_await fail(std::move(made).error());
  }

  /// Two phases: S::stop() on every shard, while calls are still served; then no new calls, those being
  /// served are waited for, and the instances are destroyed. The first failure of an S::stop() is the result.
  future<> stop() {
    if (!runs()) return make_ready_future();
    service_core& core = *this->core_;
    core.stop_all = nullptr;
    auto stopped = detail::invoke_safely(stop_everywhere, core);
    // Without memory to begin with, it is as before.
    if (stopped.available() && stopped.failed() && core.instance() != nullptr) {
      core.stop_all = [&core] { return stop_everywhere(core); };
    }
    return stopped;
  }

  /// This shard's instance. REQUIRES: started.
  [[nodiscard]] S& local() const noexcept {
    void* instance = this->core_ == nullptr ? nullptr : this->core_->instance();
    ATOLL_ASSERT(instance != nullptr, "local() of a service that does not run here");
    return *static_cast<S*>(instance);
  }

 private:
  [[nodiscard]] bool runs() const noexcept { return owned_ != nullptr && owned_->stop_all != nullptr; }

  service_core& core_or_new() {
    // A core that only we hold is of a runtime that has ended.
    if (owned_ == nullptr || owned_.use_count() == 1) {
      owned_ = std::make_shared<service_core>(service_description<S>::name, shard_count());
      local_sharding().cores.push_back(owned_);
      this->core_ = owned_.get();
    }
    return *this->core_;
  }

  template <class Arguments>
  static std::unique_ptr<S> make_instance(const Arguments& arguments) {
    return std::apply([](const auto&... a) { return std::make_unique<S>(a...); }, arguments);
  }

  static future<> stop_everywhere(service_core& core) {
    return with_context({}, [&core] { return stop_in_phases(core); });
  }

  static future<> destroy_here(service_core& core) {
    const std::unique_ptr<S> last(static_cast<S*>(co_await core.close()));
  }

  static future<> stop_in_phases(service_core& core) {
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
        auto outcome = co_await as_result(on_all_shards(tell));
        const bool is_ours = !outcome && outcome.error().code() == status_code::resource_exhausted && !all_told();
        if (stopped && !is_ours) stopped = std::move(outcome);
      }
    }
    while (true) {
      auto destroyed = co_await as_result(on_all_shards([&core] { return destroy_here(core); }));
      if (destroyed || destroyed.error().code() != status_code::resource_exhausted) break;
      co_await yield();  // no memory to ask a shard: its instance has to go all the same
    }
    if (!stopped) co_await fail(std::move(stopped).error());
  }

  std::shared_ptr<service_core> owned_;
};

}  // namespace atoll_root::atoll
