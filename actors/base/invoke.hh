// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What std::invoke does, without <functional>, which takes longer to compile than what calls it. Internal to atoll.
//
//   detail::invoke_any(f, a, b);                  // f(a, b)
//   detail::invoke_any(&counter::add, c, 5);      // c.add(5), or c->add(5) where c is a pointer
#pragma once

#include <type_traits>
#include <utility>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll::detail {

template <class Class, class Member, class Object, class... A>
constexpr decltype(auto) invoke_member(Member Class::* member, Object&& object, A&&... arguments) {
  if constexpr (!std::is_base_of_v<Class, std::remove_cvref_t<Object>>) {
    return invoke_member(member, *std::forward<Object>(object), std::forward<A>(arguments)...);
  } else if constexpr (std::is_function_v<Member>) {
    return (std::forward<Object>(object).*member)(std::forward<A>(arguments)...);
  } else {
    return (std::forward<Object>(object).*member);
  }
}

/// REQUIRES: an object given to a pointer to member is one of its class, or points to one.
template <class F, class... A>
constexpr std::invoke_result_t<F, A...> invoke_any(F&& f, A&&... arguments) {
  if constexpr (std::is_member_pointer_v<std::remove_cvref_t<F>>) {
    return invoke_member(f, std::forward<A>(arguments)...);
  } else {
    return std::forward<F>(f)(std::forward<A>(arguments)...);
  }
}

}  // namespace atoll_root::atoll::detail
