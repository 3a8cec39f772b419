// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// sendable<T>: may a T travel in a message?
//
//   static_assert(atoll::sendable<std::vector<std::string>>);
//   template <> inline constexpr bool atoll::enable_sendable<my_value> = true;   // opt in: it owns all it has
//
// Owning values may: numbers, enums, strings, `bytes`, containers (with the standard library's own comparisons, hashers and
// allocators), optionals, pairs, tuples, variants and
// unique_ptrs of such, chrono types, errors, structs described with ATOLL_MESSAGE, and what opted in.
// References, pointers, views, shared pointers, lambdas, futures and services may not: what they point to
// belongs to one shard, or may be gone. Everything unknown may not either.
#pragma once

#include <array>
#include <concepts>
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
#include <atoll/sharding/message.hh>

namespace atoll_root::atoll {

/// Specialise as true for a type that owns everything it refers to.
template <class T>
inline constexpr bool enable_sendable = false;

namespace detail {

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
template <class T, std::size_t N>
struct is_sendable<std::array<T, N>> : is_sendable<T> {};
template <class T, class D>
struct is_sendable<std::unique_ptr<T, D>>
    : std::bool_constant<std::is_same_v<D, std::default_delete<T>> && all_sendable<std::remove_extent_t<T>>> {};

template <class T>
struct is_sendable<std::optional<T>> : is_sendable<T> {};
template <class T>
struct is_sendable<result<T>> : is_sendable<T> {};

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
     requires { requires std::is_same_v<typename C::key_compare, std::less<typename C::key_type>>; } ||
     requires {
       requires std::is_same_v<typename C::hasher, std::hash<typename C::key_type>>;
       requires std::is_same_v<typename C::key_equal, std::equal_to<typename C::key_type>>;
     });
template <template <class...> class C, class... A>
  requires container_with_defaults<C<A...>>
struct is_sendable<C<A...>>
    : std::bool_constant<std::is_same_v<std::allocator<typename C<A...>::value_type>,
                                        std::tuple_element_t<sizeof...(A) - 1, std::tuple<A...>>> &&
                         all_sendable<typename C<A...>::value_type>> {};
template <class K, class V>
struct is_sendable<std::pair<const K, V>> : std::bool_constant<all_sendable<K, V>> {};
template <class... T>
struct is_sendable<std::pair<T...>> : std::bool_constant<all_sendable<T...>> {};
template <class... T>
struct is_sendable<std::tuple<T...>> : std::bool_constant<all_sendable<T...>> {};
template <class... T>
struct is_sendable<std::variant<T...>> : std::bool_constant<all_sendable<T...>> {};

}  // namespace detail

template <class T>
concept sendable = detail::is_sendable<T>::value;

}  // namespace atoll_root::atoll
