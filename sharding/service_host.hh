// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What sharded<S>, singleton<S> and keyed<A> have in common: a service of this shard's making, from before its start to after its
// end. Internal to atoll.
#pragma once

#include <concepts>
#include <exception>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include <atoll/sharding/service_class.hh>
#include <atoll/sharding/service_core.hh>
#include <atoll/sharding/start_arguments.hh>

namespace atoll_root::atoll {

struct life_options;

/// Makes instances from the arguments of start(), which it owns: copies of them, where it is copied. What it does is said by
/// functions, so that a service costs its users' compilers no class.
class instance_maker {
 public:
  struct functions {
    void* (*make)(const void* arguments);  // an instance of the shard that calls it
    void* (*copy)(const void* arguments);
    void (*destroy)(void* arguments) noexcept;
  };

  instance_maker(const functions& of, void* arguments) noexcept : functions_(&of), arguments_(arguments) {}
  instance_maker(const instance_maker& other)
      : functions_(other.functions_), arguments_(functions_->copy(other.arguments_)) {}
  instance_maker(instance_maker&& other) noexcept
      : functions_(other.functions_), arguments_(std::exchange(other.arguments_, nullptr)) {}
  instance_maker& operator=(const instance_maker&) = delete;
  ~instance_maker() {
    if (arguments_ != nullptr) functions_->destroy(arguments_);
  }

  [[nodiscard]] void* make() const { return functions_->make(arguments_); }

 private:
  const functions* functions_;
  void* arguments_;
};

/// What is the same for every service.
class service_host_base {
 public:
  service_host_base(const service_host_base&) = delete;
  service_host_base& operator=(const service_host_base&) = delete;

  [[nodiscard]] bool runs() const noexcept;
  /// How the next start() makes it live.
  void set_options(const life_options& options);

  /// The core of this runtime; a new one where there is none.
  service_core& core();

  future<> drain();
  /// In phases, as service_life.hh says. Ready when it has stopped, also for who comes while it stops.
  future<> stop();

 protected:
  explicit service_host_base(const service_class& of);
  ~service_host_base();

  future<> start_with(std::vector<shard_id> shards, instance_maker maker);

 private:
  struct state;
  std::unique_ptr<state> state_;
};

namespace detail {

template <class S, class Arguments>
inline constexpr instance_maker::functions makes_instances{
    [](const void* arguments) -> void* {
      return std::apply([](const auto&... a) { return new S(arrive(a)...); },
                        *static_cast<const Arguments*>(arguments));
    },
    [](const void* arguments) -> void* { return new Arguments(*static_cast<const Arguments*>(arguments)); },
    [](void* arguments) noexcept { delete static_cast<Arguments*>(arguments); }};

/// For who lives by the hosts of others: application.
struct host_access {
  template <class Container>
  static auto& of(Container& c) noexcept {
    return c.host_;
  }
};

}  // namespace detail

template <class S>
class service_host : public service_host_base {
 public:
  service_host() : service_host_base(detail::the_class_of<S>) {}

  /// Makes an instance on each of these shards; if one fails, those made are stopped again.
  template <class... A>
  future<> start(std::vector<shard_id> shards, A... arguments) {
    static_assert((sendable<A> && ...), "the arguments of start() travel to every shard");
    static_assert(!(detail::must_depart<A> || ...), "a buffer has one shard: start() can't give it to all");
    static_assert((std::copy_constructible<A> && ...), "each shard gets a copy of the arguments of start()");
    constexpr bool fits = std::is_constructible_v<S, decltype(detail::arrive(std::declval<const A&>()))...>;
    static_assert(fits, "no constructor of the service takes what start() was given");
    if constexpr (fits && (std::copy_constructible<A> && ...)) {  // else that has been said
      try {
        using packed = std::tuple<A...>;
        return start_with(std::move(shards),
                          instance_maker(detail::makes_instances<S, packed>, new packed(std::move(arguments)...)));
      } catch (...) {  // no memory, or moving an argument
        return make_failed_future(error::from_exception(std::current_exception()));
      }
    } else {
      return make_ready_future();
    }
  }
};

}  // namespace atoll_root::atoll
