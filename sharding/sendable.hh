// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// sendable<T>: may a T travel in a message?
//
//   static_assert(atoll::sendable<std::vector<std::string>>);
//   template <> inline constexpr bool atoll::enable_sendable<my_value> = true;   // opt in: it owns all it has
//
// Owning values may: numbers, enums, strings, `bytes`, buffers and chains of them, containers (with the standard library's own
// comparisons, hashers and allocators), optionals, pairs, tuples, variants and unique_ptrs of such, durations and time points, the
// calendar's types (with sharding/calendar.hh), socket addresses, errors, structs described with ATOLL_MESSAGE, messages that protoc made,
// and what opted in.
// A buffer that goes to another shard, wherever of these it is in an argument, a result or a stream's value, is detached there and then: what
// shares its bytes, or is attached to it, stays, and it becomes a copy. One without is the block itself. What opted in is not looked into.
// Where none can be detached it does not travel: in sets, the keys of maps, arrays of a unique_ptr, the arguments of start() and states of slots.
// References, pointers, views, shared pointers, lambdas, futures and services may not: what they point to
// belongs to one shard, or may be gone. Everything unknown may not either.
#pragma once

#include <array>
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>

#include <atoll/actors/base/bytes.hh>
#include <atoll/actors/base/chrono.hh>
#include <atoll/actors/base/result.hh>
#include <atoll/actors/io/address.hh>
#include <atoll/sharding/message.hh>

namespace google::protobuf {
class MessageLite;
}  // namespace google::protobuf

namespace atoll_root::atoll {

class buffer;
class buffer_chain;

/// Specialise as true for a type that owns everything it refers to.
template <class T>
inline constexpr bool enable_sendable = false;

namespace detail {

/// What a value needs before it goes to another shard: most of them nothing.
template <class T>
struct departure {
  static constexpr bool needed = false;
};
template <class T>
inline constexpr bool must_depart = departure<T>::needed;

template <class T>
struct is_sendable : std::bool_constant<enable_sendable<T> || std::is_arithmetic_v<T> || std::is_enum_v<T>> {};

template <class... T>
inline constexpr bool all_sendable = (is_sendable<T>::value && ...);

template <class Members>
inline constexpr bool members_are_sendable = false;
template <class... M>
inline constexpr bool members_are_sendable<boost::hana::tuple<M...>> = all_sendable<typename M::type...>;
template <class T>
  requires described_message<T>
struct is_sendable<T> : std::bool_constant<members_are_sendable<message_members<T>>> {};

template <>
struct is_sendable<void> : std::true_type {};
template <>
struct is_sendable<std::string> : std::true_type {};
template <>
struct is_sendable<bytes> : std::true_type {};
template <>
struct is_sendable<error> : std::true_type {};
template <>
struct is_sendable<unit> : std::true_type {};
template <>
struct is_sendable<std::monostate> : std::true_type {};
template <class R, class P>
struct is_sendable<std::chrono::duration<R, P>> : std::true_type {};
template <class C, class D>
struct is_sendable<std::chrono::time_point<C, D>> : std::true_type {};
template <>
struct is_sendable<socket_address> : std::true_type {};
template <>
struct is_sendable<buffer> : std::true_type {};
template <>
struct is_sendable<buffer_chain> : std::true_type {};
/// Moved, it has all it refers to, also where it was on an arena.
template <class T>
  requires std::is_class_v<T> && requires { sizeof(T); } && std::is_base_of_v<google::protobuf::MessageLite, T>
struct is_sendable<T> : std::true_type {};
template <class T, std::size_t N>
struct is_sendable<std::array<T, N>> : is_sendable<T> {};
template <class T, class D>
struct is_sendable<std::unique_ptr<T, D>>
    : std::bool_constant<std::is_same_v<D, std::default_delete<T>> && all_sendable<std::remove_extent_t<T>> &&
                         !(std::is_array_v<T> && must_depart<std::remove_extent_t<T>>)> {};

template <class T>
struct is_sendable<std::optional<T>> : is_sendable<T> {};
template <class T>
struct is_sendable<result<T>> : is_sendable<T> {};

template <class Compare, class Key>
inline constexpr bool is_standard_order =
    std::is_same_v<Compare, std::less<Key>> || std::is_same_v<Compare, std::less<>> ||
    std::is_same_v<Compare, std::greater<Key>> || std::is_same_v<Compare, std::greater<>>;

/// A container template of the standard library's shape, with its own allocator, comparison or hasher: vector, deque, list,
/// (unordered_)(multi)set and map, and what others made like them. Known by its shape, not by name, so that this header
/// includes none of them.
template <class C>
concept container_with_defaults =
    requires {
      typename C::value_type;
      requires std::is_same_v<typename C::allocator_type, std::allocator<typename C::value_type>>;
    } &&
    (!requires { typename C::key_type; } ||
     requires { requires is_standard_order<typename C::key_compare, typename C::key_type>; } || requires {
       requires std::is_same_v<typename C::hasher, std::hash<typename C::key_type>>;
       requires std::is_same_v<typename C::key_equal, std::equal_to<typename C::key_type>>;
     });
template <class C>
inline constexpr bool has_keys_that_depart = false;
template <class C>
  requires requires { typename C::key_type; }
inline constexpr bool has_keys_that_depart<C> = must_depart<typename C::key_type>;

template <template <class...> class C, class... A>
  requires container_with_defaults<C<A...>>
struct is_sendable<C<A...>>
    : std::bool_constant<std::is_same_v<std::allocator<typename C<A...>::value_type>,
                                        std::tuple_element_t<sizeof...(A) - 1, std::tuple<A...>>> &&
                         all_sendable<typename C<A...>::value_type> && !has_keys_that_depart<C<A...>>> {};
template <class K, class V>
struct is_sendable<std::pair<const K, V>> : std::bool_constant<all_sendable<K, V>> {};
template <class... T>
struct is_sendable<std::pair<T...>> : std::bool_constant<all_sendable<T...>> {};
template <class... T>
struct is_sendable<std::tuple<T...>> : std::bool_constant<all_sendable<T...>> {};
template <class... T>
struct is_sendable<std::variant<T...>> : std::bool_constant<all_sendable<T...>> {};

/// To be called there and then. Throws std::bad_alloc, and what a move of the values throws.
template <class T>
void depart(T& value) {
  if constexpr (must_depart<T>) departure<T>::prepare(value);
}

template <class T>
struct detached_departure {
  static constexpr bool needed = true;
  static void prepare(T& value) { value = std::move(value).detach(); }
};
template <>
struct departure<buffer> : detached_departure<buffer> {};
template <>
struct departure<buffer_chain> : detached_departure<buffer_chain> {};

template <class Of, class T>
struct departure_if_there {
  static constexpr bool needed = must_depart<T>;
  static void prepare(Of& value) {
    if (value) detail::depart(*value);
  }
};
template <class T>
struct departure<std::optional<T>> : departure_if_there<std::optional<T>, T> {};
template <class T>
struct departure<result<T>> : departure_if_there<result<T>, T> {};
template <>
struct departure<result<void>> {
  static constexpr bool needed = false;
};
template <class T>
struct departure<std::unique_ptr<T>> : departure_if_there<std::unique_ptr<T>, T> {};

template <class Of, class T>
struct departure_of_each {
  static constexpr bool needed = must_depart<T>;
  static void prepare(Of& values) {
    for (auto& each : values) detail::depart(each);
  }
};
template <class T, std::size_t N>
struct departure<std::array<T, N>> : departure_of_each<std::array<T, N>, T> {};
template <template <class...> class C, class... A>
  requires container_with_defaults<C<A...>>
struct departure<C<A...>> : departure_of_each<C<A...>, typename C<A...>::value_type> {};

template <class Of, class... T>
struct departure_of_parts {
  static constexpr bool needed = (must_depart<T> || ...);
  static void prepare(Of& parts) {
    std::apply([](auto&... each) { (detail::depart(each), ...); }, parts);
  }
};
template <class... T>
struct departure<std::tuple<T...>> : departure_of_parts<std::tuple<T...>, T...> {};
template <class... T>
struct departure<std::pair<T...>> : departure_of_parts<std::pair<T...>, T...> {};
template <class... T>
struct departure<std::variant<T...>> {
  static constexpr bool needed = (must_depart<T> || ...);
  static void prepare(std::variant<T...>& value) {
    if (value.valueless_by_exception()) return;
    std::visit([](auto& held) { detail::depart(held); }, value);
  }
};

template <class Members>
inline constexpr bool members_must_depart = false;
template <class... M>
inline constexpr bool members_must_depart<boost::hana::tuple<M...>> = (must_depart<typename M::type> || ...);
template <class T>
  requires described_message<T>
struct departure<T> {
  static constexpr bool needed = members_must_depart<message_members<T>>;
  static void prepare(T& value) {
    for_each_member<T>([&value](auto member) { detail::depart(member.get(value)); });
  }
};

}  // namespace detail

template <class T>
concept sendable = detail::is_sendable<T>::value;

}  // namespace atoll_root::atoll
