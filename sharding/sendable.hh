// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// sendable<T>: may a T travel in a message?
//
//   static_assert(atoll::sendable<std::vector<std::string>>);
//   template <> inline constexpr bool atoll::enable_sendable<my_value> = true;   // opt in: it owns all it has
//
// Owning values may: numbers, enums, strings, `bytes`, containers, optionals, pairs, tuples, variants and
// unique_ptrs of such, chrono types, errors, structs described with ATOLL_MESSAGE, and what opted in.
// References, pointers, views, shared pointers, lambdas, futures and services may not: what they point to
// belongs to one shard, or may be gone. Everything unknown may not either.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include <atoll/actors/base/bytes.hh>
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

template <class T>
  requires described_message<T>
struct is_sendable<T> {
  static constexpr bool value = decltype(boost::hana::unpack(message_members<T>(), []<class... M>(M...) {
    return std::bool_constant<all_sendable<typename M::type...>>{};
  }))::value;
};

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

// Containers with the standard library's own comparisons, hashers and allocators.
template <class T>
struct is_sendable<std::optional<T>> : is_sendable<T> {};
template <class T>
struct is_sendable<result<T>> : is_sendable<T> {};
template <class T>
struct is_sendable<std::vector<T>> : is_sendable<T> {};
template <class T>
struct is_sendable<std::deque<T>> : is_sendable<T> {};
template <class T>
struct is_sendable<std::list<T>> : is_sendable<T> {};
template <class T>
struct is_sendable<std::set<T>> : is_sendable<T> {};
template <class T>
struct is_sendable<std::unordered_set<T>> : is_sendable<T> {};
template <class K, class V>
struct is_sendable<std::map<K, V>> : std::bool_constant<all_sendable<K, V>> {};
template <class K, class V>
struct is_sendable<std::unordered_map<K, V>> : std::bool_constant<all_sendable<K, V>> {};
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
