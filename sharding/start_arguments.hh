// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What the arguments of start() become on each shard.
//
//   co_await stores.start(100, logs.ref(), atoll::per_shard(&open_file, std::string("/data")));
//       // on every shard: store(100, ..., open_file("/data")); the second parameter may be an atoll::sharded_ref<log>,
//       // or a log&, which is the instance of that shard
//
// A sendable value arrives as a copy. per_shard(f, a...) arrives as what f(a...) gives there: it may be anything that
// belongs to one shard. A sharded_ref<T> arrives as that, or as the shard's own instance where the constructor takes a T&:
// `unavailable`, naming the service, fails the start where it isn't running there; it has to be stopped after this one.
#pragma once

#include <tuple>
#include <type_traits>
#include <utility>

#include <atoll/actors/base/invoke.hh>
#include <atoll/sharding/sendable.hh>
#include <atoll/sharding/service_core.hh>

namespace atoll_root::atoll {

class supervised;
template <class S>
class sharded_ref;

/// True for what can be called on another shard: a function, a member function, or a lambda without captures. What it
/// needs is given as arguments.
template <class F>
inline constexpr bool travels_as_function = std::is_member_pointer_v<F> || std::is_empty_v<F> ||
                                            (std::is_pointer_v<F> && std::is_function_v<std::remove_pointer_t<F>>);

template <class F, class... A>
struct per_shard_argument {
  F make;
  std::tuple<A...> arguments;
};

/// Stands, among the arguments of start(), for what f(arguments...) gives on each shard.
template <class F, class... A>
per_shard_argument<F, A...> per_shard(F f, A... arguments) {
  static_assert(travels_as_function<F>,
                "the function of per_shard() travels to every shard: it must have no captures. Give what it needs as "
                "arguments after it");
  static_assert((sendable<A> && ...), "the arguments of per_shard() travel to every shard");
  static_assert(!(detail::must_depart<A> || ...), "a buffer has one shard: start() can't give it to all");
  return {std::move(f), std::tuple<A...>(std::move(arguments)...)};
}

namespace detail {

template <class F, class... A>
struct is_sendable<per_shard_argument<F, A...>> : std::true_type {};

/// A service among the arguments of another's constructor.
template <class T>
class service_argument {
 public:
  explicit service_argument(const sharded_ref<T>& service) noexcept : service_(&service) {}
  operator sharded_ref<T>() const { return *service_; }  // NOLINT: it stands for either
  operator T&() const {                                  // NOLINT: the same
    static_assert(
        !std::is_base_of_v<supervised, T>,
        "an instance of a supervised service may be replaced by another: take an atoll::sharded_ref of it, and "
        "call .at(atoll::this_shard_id())");
    service_core* core = service_->core_or_null();
    if (core == nullptr) error(status_code::unavailable, "a service that was given to start() has no ref").raise();
    if (core->instance() == nullptr) core->not_running().raise();
    return *static_cast<T*>(core->instance());
  }

 private:
  const sharded_ref<T>* service_;
};

template <class A>
A arrive(const A& argument) {
  return argument;
}
template <class T>
service_argument<T> arrive(const sharded_ref<T>& service) {
  return service_argument<T>(service);
}
template <class F, class... A>
decltype(auto) arrive(const per_shard_argument<F, A...>& argument) {
  return std::apply([&argument](const A&... a) -> decltype(auto) { return invoke_any(argument.make, A(a)...); },
                    argument.arguments);
}

}  // namespace detail
}  // namespace atoll_root::atoll
