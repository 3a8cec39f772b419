// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// remote_ref<S>: an instance of a service somewhere in the cluster. Has the methods of S; see cluster.hh for what
// a call may end in. A value: copy it, send it, keep it; it stays good while peers come and go.
#pragma once

#include <atoll/rpc/binding.hh>
#include <atoll/rpc/link.hh>
#include <atoll/rpc/node.hh>
#include <atoll/sharding/ref.hh>

namespace atoll_root::atoll {

/// Which instance: one named, or the one that owns a key when the call is made.
struct remote_target {
  static remote_target at(node_id node, shard_id shard) noexcept { return {false, 0, node, shard}; }
  static remote_target of_key(std::uint64_t hash) noexcept { return {true, hash, 0, 0}; }

  bool keyed = false;
  std::uint64_t hash = 0;
  node_id node = 0;
  shard_id shard = 0;
};

namespace detail {

/// Where a call goes, found when it is made.
struct remote_route {
  service_core* local = nullptr;  // this node's own service; else:
  rpc::link* link = nullptr;
  shard_id shard = 0;
  time_point deadline = never;
};

result<remote_route> find_route(service_core& cluster, const remote_target& target, std::string_view service,
                                duration timeout);

/// The method's identity on the wire; one object a method.
template <class Tag>
const rpc::remote_method& remote_method_of() {
  using service = typename method_traits<Tag>::service;
  struct named {
    std::string name = camel_case(Tag::name);
    rpc::remote_method method;
    named() {
      auto schema = empty_schema_of<service>();
      describe_method<Tag>(schema);
      method = {service_description<service>::name, name, fingerprint(schema, schema.methods.front())};
    }
  };
  static const named instance;  // immutable
  return instance.method;
}

template <class Tag>
future<typename method_traits<Tag>::result> call_remote(future<std::string> sent) {
  using R = typename method_traits<Tag>::result;
  auto reply = co_await as_result(std::move(sent));
  if constexpr (std::is_void_v<R>) {
    if (!reply) co_await fail(std::move(reply).error());
  } else {
    if (!reply) co_return std::move(reply).error();
    auto decoded = decode_reply<R>(*reply, Tag::name);
    // Not the caller's argument, so not its error.
    if (!decoded) co_return error(status_code::internal, "reply of " + std::string(decoded.error().message()));
    co_return decoded;
  }
}

}  // namespace detail

template <class S>
class remote_ref : public service_description<S>::template refs<remote_ref<S>> {
 public:
  /// A ref that names nothing; calling it is a bug.
  remote_ref() noexcept = default;
  remote_ref(service_core& cluster, const remote_target& target) noexcept : cluster_(&cluster), target_(target) {}

  /// The same ref, whose calls end within `timeout` or by the caller's deadline, whichever is earlier.
  [[nodiscard]] remote_ref within(duration timeout) const noexcept {
    remote_ref bounded = *this;
    bounded.timeout_ = timeout;
    return bounded;
  }

  template <class Tag, class... A>
  auto atoll_call(A&&... arguments) const -> future<typename method_traits<Tag>::result> {
    using traits = method_traits<Tag>;
    using R = typename traits::result;
    static_assert(!traits::streams, "streams go between the shards of a process, not yet to other nodes");
    ATOLL_ASSERT(cluster_ != nullptr, "a call through an empty remote_ref");
    auto route = detail::find_route(*cluster_, target_, service_description<S>::name, timeout_);
    if (!route) return make_failed_future<R>(std::move(route).error());
    const std::uint64_t key_hash = detail::has_slots<Tag> && target_.keyed ? detail::some_hash(target_.hash) : 0;
    if (route->local != nullptr) {
      return detail::call_local<Tag>(route->local, route->shard, key_hash, route->deadline - mono_now(),
                                     std::forward<A>(arguments)...);
    }
    std::string request;
    const typename traits::arguments packed(std::forward<A>(arguments)...);
    if (auto bad = detail::encode_arguments<Tag>(request, packed)) {
      return make_failed_future<R>(std::move(*bad));
    }
    return detail::call_remote<Tag>(
        route->link->call(detail::remote_method_of<Tag>(), key_hash, std::move(request), route->deadline));
  }

 private:
  service_core* cluster_ = nullptr;
  remote_target target_;
  duration timeout_ = no_timeout;
};

template <class S>
inline constexpr bool enable_sendable<remote_ref<S>> = true;

}  // namespace atoll_root::atoll
