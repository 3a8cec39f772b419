// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What the life of a service needs to know of its class. Internal to atoll.
#pragma once

#include <concepts>
#include <type_traits>

#include <atoll/actors/future/future.hh>
#include <atoll/sharding/describe.hh>

namespace atoll_root::atoll {

class service_core;
class supervised;
struct supervision;
template <class S>
class peering;

struct service_class {
  using hook = future<> (*)(void* instance);  // null: it has none

  service_shape shape;
  hook ready = nullptr;
  hook drain = nullptr;
  hook stop = nullptr;
  void (*destroy)(void* instance) noexcept = nullptr;
  void (*belongs_to)(void* instance, service_core& core) noexcept = nullptr;  // null: it needs not know
  supervised* (*as_supervised)(void* instance) noexcept = nullptr;            // null: it isn't
  const supervision* policy = nullptr;                                        // null: the default one
};

namespace detail {

template <class S>
constexpr service_class class_of_service() noexcept {
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
