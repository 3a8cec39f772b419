// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// ATOLL_MESSAGE describes a struct once, with Boost.Hana's types, for messages, the wire and the printed .proto.
//
//   struct hit { std::string name; std::int64_t total; };
//   ATOLL_MESSAGE(hit, name, total);          // in the struct's namespace
//
// Every field is named: one that is not would travel unseen between shards, and not at all between nodes. That is checked of a struct without
// constructors, in which a base class counts as a field; not of others, nor of anonymous unions.
// The fields are numbered 1, 2, 3 in the order given here: that order is what is on the wire; proto/README.md says how it may
// change. With sharding/hana.hh the struct is a Hana `Struct`: hana::for_each, hana::equal, ... work on it.
#pragma once

#include <string_view>
#include <type_traits>

#include <boost/hana/fwd/tuple.hpp>

#include <atoll/sharding/for_each_macro.hh>

namespace atoll_root::atoll {

/// One field of a described struct: its name, its type, how to reach it.
template <class Name, class Class, class Type, Type Class::* Pointer>
struct message_member {
  using type = Type;
  static constexpr std::string_view name() noexcept { return Name::value; }
  static constexpr Type& get(Class& object) noexcept { return object.*Pointer; }
  static constexpr const Type& get(const Class& object) noexcept { return object.*Pointer; }
};

namespace detail {

template <class Name, auto Pointer>
struct make_message_member;
template <class Name, class Class, class Type, Type Class::* Pointer>
struct make_message_member<Name, Pointer> {
  using type = message_member<Name, Class, Type, Pointer>;
};

/// Becomes whatever a field is.
struct any_field {
  template <class T>
  operator T&() const noexcept;  // NOLINT(google-explicit-constructor)
  template <class T>
  operator T&&() const noexcept;  // NOLINT(google-explicit-constructor)
};

template <class... T, class F>
constexpr void for_each_type(std::type_identity<boost::hana::tuple<T...>> /*list*/, F& f) {
  static_cast<void>((f(T{}), ..., true));
}

}  // namespace detail

template <class T>
concept described_message = requires { atoll_message_of(std::type_identity<T>{}); };

/// A hana::tuple of the message_members of T, in field order.
template <described_message T>
using message_members = typename decltype(atoll_message_of(std::type_identity<T>{}))::members;

/// The message's name as declared.
template <described_message T>
constexpr std::string_view message_name() noexcept {
  return decltype(atoll_message_of(std::type_identity<T>{}))::name;
}

/// Calls f with each message_member of T, in field order.
template <described_message T, class F>
constexpr void for_each_member(F f) {
  detail::for_each_type(std::type_identity<message_members<T>>{}, f);
}

}  // namespace atoll_root::atoll

#pragma GCC system_header  // for shorter errors: for_each_macro.hh

#define ATOLL_MESSAGE(Class, ...)                                                                                     \
  struct atoll_message_description_of_##Class {                                                                       \
    [[maybe_unused]] static constexpr std::string_view name = #Class;                                                 \
    ATOLL_DETAIL_EACH(ATOLL_DETAIL_FIELD_NAME, Class, __VA_ARGS__)                                                    \
    using members = ::boost::hana::tuple<ATOLL_DETAIL_LIST(ATOLL_DETAIL_MEMBER, Class, __VA_ARGS__)>;                 \
    template <class Described>                                                                                        \
    static constexpr bool has_more_fields = requires {                                                                \
      Described{ATOLL_DETAIL_LIST(ATOLL_DETAIL_NO_VALUE, _, __VA_ARGS__) __VA_OPT__(, ){}};                           \
    } || requires {                                                                                                   \
      Described{ATOLL_DETAIL_LIST(ATOLL_DETAIL_NO_VALUE, _, __VA_ARGS__)                                              \
                    __VA_OPT__(, )::atoll_root::atoll::detail::any_field()};                                          \
    };                                                                                                                \
    static_assert(!std::is_aggregate_v<Class> || !has_more_fields<Class>,                                             \
                  "ATOLL_MESSAGE names every field, and " #Class " has more of them, or a base class");               \
  };                                                                                                                  \
  [[maybe_unused]] inline atoll_message_description_of_##Class atoll_message_of(std::type_identity<Class>) noexcept { \
    return {};                                                                                                        \
  }                                                                                                                   \
  static_assert(true, "a semicolon ends the description")

#define ATOLL_DETAIL_FIELD_NAME(Class, field)                          \
  struct field_##field {                                               \
    [[maybe_unused]] static constexpr std::string_view value = #field; \
  };
#define ATOLL_DETAIL_NO_VALUE(_, field) \
  {                                     \
  }
#define ATOLL_DETAIL_MEMBER(Class, field) \
  typename ::atoll_root::atoll::detail::make_message_member<field_##field, &Class::field>::type
