// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// service_binding: a sharded service as bytes see it. The RPC server and the gRPC gateway call through it, and
// know of a service nothing but this table.
//
//   auto binding = atoll::bind(counters.ref());
//   std::string reply = co_await binding->find("Add")->call(binding->core, shard, 0, request_bytes);
//
// Shard rules: a binding is immutable and may be used on any shard and thread; `call` runs on a shard and makes
// one lane hop where `to` is another one. Errors: `invalid_argument` for a request that can't be decoded, and
// what the call fails with.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/rpc/schema.hh>
#include <atoll/sharding/sharded.hh>

namespace atoll_root::atoll {

struct method_binding {
  /// Decodes the request before it returns, calls, encodes the reply. `key_hash`: of a service with slots, then the call goes to
  /// who has that key's; 0: to the shard `to` itself, as with other services.
  using call_function = future<std::string>(service_core& core, shard_id to, std::uint64_t key_hash,
                                            std::string_view request);
  using key_function = result<std::uint64_t>(std::string_view request);

  std::string name;               // "Add"
  std::uint64_t fingerprint = 0;  // of the request's and the reply's shape
  call_function* call = nullptr;
  key_function* key = nullptr;  // the key's hash; null for a method without a key
};

struct service_binding {
  service_schema schema;
  service_core* core = nullptr;
  std::vector<method_binding> methods;

  /// Null where there is no such method.
  [[nodiscard]] const method_binding* find(std::string_view method) const noexcept {
    for (const auto& m : methods) {
      if (m.name == method) return &m;
    }
    return nullptr;
  }
};

namespace detail {

/// A method's parameters as the fields of a message; the error names the one that can't be sent.
template <class Tag>
std::optional<error> encode_arguments(std::string& out, const typename method_traits<Tag>::arguments& arguments) {
  using traits = method_traits<Tag>;
  std::size_t bad = no_key;
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    [[maybe_unused]] const auto put = [&](std::size_t i, bool good) {
      if (!good) bad = i;
    };
    (put(I, wire::field<std::tuple_element_t<I, typename traits::arguments>>::put(
                out, static_cast<std::uint32_t>(I + 1), std::get<I>(arguments))),
     ...);
  }(std::make_index_sequence<traits::arity>());
  if (bad == no_key) return std::nullopt;
  return wire::field_error(Tag::name, traits::parameters.names[bad], "is not UTF-8");
}

template <class Tag>
std::optional<error> decode_arguments(std::string_view request, typename method_traits<Tag>::arguments& arguments) {
  using traits = method_traits<Tag>;
  wire::reader in(request);
  std::string_view at;
  while (in.next()) {
    const auto number = in.field();
    bool known = false;
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      [[maybe_unused]] const auto get = [&]<class T>(std::size_t i, T& argument) {
        if (i + 1 != number) return;
        known = true;
        if (!wire::field<T>::get(in, argument, 0)) at = traits::parameters.names[i];
      };
      (get(I, std::get<I>(arguments)), ...);
    }(std::make_index_sequence<traits::arity>());
    if (!known) in.skip();
  }
  if (!in.failed()) return std::nullopt;
  return wire::field_error(Tag::name, at, "is malformed");
}

template <class R>
std::optional<error> encode_reply(std::string& out, std::string_view method, const R& value) {
  if constexpr (described_message<R>) {
    return encode_message(out, value);
  } else {
    if (wire::field<R>::put(out, 1, value)) return std::nullopt;
    return wire::field_error(method, "value", "is not UTF-8");
  }
}

template <class R>
result<R> decode_reply(std::string_view reply, std::string_view method) {
  if constexpr (std::is_void_v<R>) {
    return {};
  } else {
    R value{};
    if constexpr (described_message<R>) {
      if (auto bad = decode_message(reply, value)) return std::move(*bad);
    } else {
      wire::reader in(reply);
      while (in.next()) {
        if (in.field() == 1) {
          wire::field<R>::get(in, value, 0);
        } else {
          in.skip();
        }
      }
      if (in.failed()) return wire::field_error(method, "value", "is malformed");
    }
    return value;
  }
}

/// What stands for a key's hash where 0 stands for no key. Slots hang on the upper half.
constexpr std::uint64_t some_hash(std::uint64_t hash) noexcept { return hash | 1; }

template <class Tag>
inline constexpr bool has_slots = options_of_service<typename method_traits<Tag>::service>().slots != 0;

/// Calls a method of this process's service: of who has the key's slot, or of a shard where there is no key, or are no slots.
template <class Tag, class... A>
auto call_local(service_core* core, shard_id to, [[maybe_unused]] std::uint64_t key_hash, duration timeout,
                A&&... arguments) {
  if constexpr (has_slots<Tag>) {
    if (key_hash != 0) return call_by_hash<Tag>(core, key_hash, timeout, std::forward<A>(arguments)...);
  }
  return call_method<Tag>(core, to, timeout, std::forward<A>(arguments)...);
}

template <class Tag>
future<std::string> call_with_bytes(service_core& core, shard_id to, std::uint64_t key_hash, std::string_view request) {
  using traits = method_traits<Tag>;
  typename traits::arguments arguments{};
  if (auto bad = decode_arguments<Tag>(request, arguments)) co_return std::move(*bad);
  auto called = std::apply(
      [&](auto&... a) { return call_local<Tag>(&core, to, key_hash, no_timeout, std::move(a)...); }, arguments);
  std::string reply;
  auto outcome = co_await as_result(std::move(called));
  if (!outcome) co_return std::move(outcome).error();
  if constexpr (!std::is_void_v<typename traits::result>) {
    if (auto bad = encode_reply(reply, Tag::name, *outcome)) {
      // The service's doing, not the caller's.
      co_return error(status_code::internal, "reply of " + std::string(bad->message()));
    }
  }
  co_return reply;
}

/// Reads the key's field alone.
template <class Tag>
result<std::uint64_t> key_of_bytes(std::string_view request) {
  using traits = method_traits<Tag>;
  using key = std::tuple_element_t<traits::key, typename traits::arguments>;
  key value{};
  wire::reader in(request);
  while (in.next()) {
    if (in.field() == traits::key + 1) {
      wire::field<key>::get(in, value, 0);
    } else {
      in.skip();
    }
  }
  if (in.failed()) {
    return wire::field_error(Tag::name, traits::parameters.names[traits::key], "is malformed");
  }
  return key_hash(value);
}

template <class Tag>
constexpr method_binding::key_function* key_function_of() noexcept {
  if constexpr (method_traits<Tag>::key == no_key) {
    return nullptr;
  } else {
    return &key_of_bytes<Tag>;
  }
}

}  // namespace detail

/// The table of a service, with its methods without streams: the others are `unimplemented` to other nodes. Cheap enough to make at start, not for each call.
template <described_service S>
std::shared_ptr<const service_binding> bind(const sharded_ref<S>& service) {
  auto binding = std::make_shared<service_binding>();
  binding->schema = schema_of<S>();
  binding->core = &service.core();
  for_each_method<S>([&]<class Tag>(Tag) {
    if constexpr (!method_traits<Tag>::streams) {
      const auto& described = binding->schema.methods[binding->methods.size()];
      binding->methods.push_back({described.name, fingerprint(binding->schema, described),
                                  &detail::call_with_bytes<Tag>, detail::key_function_of<Tag>()});
    }
  });
  return binding;
}

}  // namespace atoll_root::atoll
