// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What a described service looks like on the wire, as data: the source of the printed .proto, of the gateway's
// reflection and of the fingerprints that two nodes compare.
//
//   const atoll::service_schema s = atoll::schema_of<counter>();
//
// A method `add(key(name), by)` of demo.v1.Counter is rpc Add(CounterAddRequest) returns (CounterAddReply): the request has
// its parameters as fields 1, 2, ... in order; the reply is the described struct it returns, or a message
// with the one field `value`, or an empty one for future<>.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/rpc/codec.hh>
#include <atoll/sharding/describe.hh>

namespace atoll_root::atoll {

struct field_schema {
  enum class label : std::uint8_t { plain, optional, repeated, map };

  std::string name;
  std::uint32_t number = 0;
  wire::field_kind kind = wire::field_kind::int32;  // of the values, for a map
  field_schema::label label = label::plain;
  wire::field_kind map_key = wire::field_kind::string;
  std::string message;  // the name of the message type, where kind is message

  friend bool operator==(const field_schema&, const field_schema&) = default;
};

struct message_schema {
  std::string name;  // without the package: "Hit"
  std::vector<field_schema> fields;

  friend bool operator==(const message_schema&, const message_schema&) = default;
};

struct method_schema {
  std::string name;     // "Add"
  std::string request;  // names of messages of the service
  std::string reply;
  bool idempotent = false;
};

struct service_schema {
  std::string package;  // "demo.v1"
  std::string name;     // "Counter"
  std::vector<method_schema> methods;
  std::vector<message_schema> messages;  // each name once

  [[nodiscard]] std::string full_name() const { return package.empty() ? name : package + "." + name; }

  /// Adds a message; a second one of the same name has to be the same (else it is a bug of the description).
  void add(message_schema message);
};

/// "top_words" to "TopWords", the style of protobuf's messages and methods.
std::string camel_case(std::string_view snake_case);

/// A number that changes when the shape of a method's request or reply does: fields, kinds, names.
std::uint64_t fingerprint(const service_schema& service, const method_schema& method);

namespace detail {

template <class T>
void describe_message(service_schema& service);

template <class T>
struct field_shape {
  using value = T;
  static constexpr auto label = field_schema::label::plain;
  static constexpr auto map_key = wire::field_kind::string;
};
template <class T>
struct field_shape<std::optional<T>> : field_shape<T> {
  static constexpr auto label = field_schema::label::optional;
};
template <class T>
struct field_shape<std::vector<T>> : field_shape<T> {
  static constexpr auto label = field_schema::label::repeated;
};
template <class K, class V>
struct field_shape<std::map<K, V>> {
  using value = V;
  static constexpr auto label = field_schema::label::map;
  static constexpr auto map_key = wire::scalar<K>::kind;
};
template <class K, class V>
struct field_shape<std::unordered_map<K, V>> : field_shape<std::map<K, V>> {};

template <class T>
void describe_field(service_schema& service, message_schema& message, std::string_view name) {
  using shape = field_shape<T>;
  using value = typename shape::value;
  static_assert(wire::on_wire_scalar<value>, "this type has no protobuf encoding: see the list in atoll/rpc/codec.hh");
  std::string type;
  if constexpr (described_message<value>) {
    type = camel_case(message_name<value>());
    describe_message<value>(service);
  }
  message.fields.push_back({std::string(name), static_cast<std::uint32_t>(message.fields.size() + 1),
                            wire::scalar<value>::kind, shape::label, shape::map_key, std::move(type)});
}

template <class T>
void describe_message(service_schema& service) {
  message_schema message{camel_case(message_name<T>()), {}};
  for (const auto& known : service.messages) {
    if (known.name == message.name && known.fields.empty()) return;  // being described: T holds T
  }
  const auto place = service.messages.size();
  service.messages.push_back(message);
  for_each_member<T>([&]<class M>(M) { describe_field<typename M::type>(service, message, M::name()); });
  service.messages.erase(service.messages.begin() + static_cast<std::ptrdiff_t>(place));
  service.add(std::move(message));
}

template <class Tag>
void describe_method(service_schema& service) {
  using traits = method_traits<Tag>;
  const std::string name = camel_case(Tag::name);
  const std::string base = service.name + name;  // unique in the package
  message_schema request{base + "Request", {}};
  [&]<std::size_t... I>(std::index_sequence<I...>) {
    (describe_field<std::tuple_element_t<I, typename traits::arguments>>(service, request, traits::parameters.names[I]),
     ...);
  }(std::make_index_sequence<traits::arity>());
  std::string reply = base + "Reply";
  if constexpr (described_message<typename traits::result>) {
    reply = camel_case(message_name<typename traits::result>());
    describe_message<typename traits::result>(service);
  } else {
    message_schema message{reply, {}};
    if constexpr (!std::is_void_v<typename traits::result>) {
      describe_field<typename traits::result>(service, message, "value");
    }
    service.add(std::move(message));
  }
  service.methods.push_back({name, request.name, std::move(reply), traits::options.idempotent});
  service.add(std::move(request));
}

}  // namespace detail

/// The schema of a service before its methods.
template <described_service S>
service_schema empty_schema_of() {
  constexpr std::string_view full = service_description<S>::name;
  const auto dot = full.rfind('.');
  service_schema service;
  service.package = dot == std::string_view::npos ? "" : full.substr(0, dot);
  service.name = dot == std::string_view::npos ? full : full.substr(dot + 1);
  return service;
}

/// Of its methods without streams: those go between the shards of a process only.
template <described_service S>
service_schema schema_of() {
  auto service = empty_schema_of<S>();
  for_each_method<S>([&service]<class Tag>(Tag) {
    if constexpr (!method_traits<Tag>::streams) detail::describe_method<Tag>(service);
  });
  return service;
}

}  // namespace atoll_root::atoll
