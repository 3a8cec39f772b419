// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What the life of a service needs to know of its class. Internal to atoll.
#pragma once

#include <concepts>
#include <string_view>
#include <type_traits>

#include <atoll/actors/future/future.hh>
#include <atoll/sharding/describe.hh>

namespace atoll_root::atoll {

class service_core;
class supervised;
struct supervision;
template <class S>
class peering;
template <class Self, class Key>
class actor;

struct service_class {
  using hook = future<> (*)(void* instance);  // null: it has none

  service_shape shape;
  hook ready = nullptr;
  hook drain = nullptr;
  hook stop = nullptr;
  bool (*stop_has_begun)(const void* instance) noexcept = nullptr;  // null: when it is called
  void (*destroy)(void* instance) noexcept = nullptr;
  void (*belongs_to)(void* instance, service_core& core) noexcept = nullptr;  // null: it needs not know
  supervised* (*as_supervised)(void* instance) noexcept = nullptr;            // null: it isn't
  const supervision* policy = nullptr;                                        // null: the default one
};

namespace detail {

struct hook_names {
  int ready, drain, stop, on_activate, on_deactivate;
};
template <class S>
struct with_hook_names : S, hook_names {};

// A name that S has, whether it can be called or not, is ambiguous in what has the others' too.
template <class S>
inline constexpr bool names_ready = !requires { &with_hook_names<S>::ready; };
template <class S>
inline constexpr bool names_drain = !requires { &with_hook_names<S>::drain; };
template <class S>
inline constexpr bool names_stop = !requires { &with_hook_names<S>::stop; };

template <class S>
constexpr bool describes(std::string_view method) noexcept {
  return methods_of<S>::find(method) < methods_of<S>::count;
}
template <class S>
inline constexpr bool is_actor = false;
template <class S>
  requires requires { typename S::key_type; }
inline constexpr bool is_actor<S> = std::is_base_of_v<actor<S, typename S::key_type>, S>;

/// A hook is not overlooked for being written in another way. A class that can't be derived from isn't checked.
template <class S>
constexpr bool check_hooks() noexcept {
  if constexpr (!std::is_final_v<S>) {
    static_assert(
        !names_ready<S> || describes<S>("ready") ||
            requires(S& s) {
              { s.ready() } -> std::same_as<future<>>;
            },
        "ready is a hook of services: make it a public future<> ready(), or give it another name, for nobody would "
        "call it");
    static_assert(
        !names_drain<S> || describes<S>("drain") ||
            requires(S& s) {
              { s.drain() } -> std::same_as<future<>>;
            },
        "drain is a hook of services: make it a public future<> drain(), or give it another name, for nobody would "
        "call it");
    static_assert(
        !names_stop<S> || describes<S>("stop") ||
            requires(S& s) {
              { s.stop() } -> std::same_as<future<>>;
            },
        "stop is a hook of services: make it a public future<> stop(), or give it another name, for nobody would call "
        "it");
  }
  return true;
}

template <class S>
constexpr service_class class_of_service() noexcept {
  static_assert(!is_actor<S>, "an actor is served by keyed<Actor>");
  static_assert(check_hooks<S>());
  service_class all{.shape = shape_of_service<S>()};
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
  if constexpr (requires(const S& s) { s.atoll_stop_has_begun(); }) {
    all.stop_has_begun = [](const void* instance) noexcept {
      return static_cast<const S*>(instance)->atoll_stop_has_begun();
    };
  }
  all.destroy = [](void* instance) noexcept { delete static_cast<S*>(instance); };
  if constexpr (std::is_base_of_v<peering<S>, S>) {
    all.belongs_to = [](void* instance, service_core& core) noexcept {
      static_cast<peering<S>*>(static_cast<S*>(instance))->core_ = &core;
    };
  }
  if constexpr (std::is_base_of_v<supervised, S>) {
    all.as_supervised = [](void* instance) noexcept -> supervised* { return static_cast<S*>(instance); };
    if constexpr (requires { static_cast<const supervision&>(S::supervision); }) all.policy = &S::supervision;
  }
  return all;
}

template <class S>
inline constexpr service_class the_class_of = class_of_service<S>();

}  // namespace detail
}  // namespace atoll_root::atoll
