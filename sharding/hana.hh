// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Makes structs described by ATOLL_MESSAGE Boost.Hana `Struct`s. Apart from message.hh, which doesn't need it: half of Hana comes
// with it.
//
//   hana::for_each(a_hit, hana::fuse([](auto name, auto& member) { ... }));    // the names are hana::strings
#pragma once

#include <cstddef>
#include <utility>

#include <boost/hana/core/when.hpp>
#include <boost/hana/fwd/accessors.hpp>
#include <boost/hana/pair.hpp>
#include <boost/hana/string.hpp>
#include <boost/hana/tuple.hpp>

#include <atoll/sharding/message.hh>

namespace atoll_root::atoll::detail {

template <class Member, std::size_t... I>
constexpr auto hana_name(std::index_sequence<I...> /*positions*/) noexcept {
  return boost::hana::string<Member::name()[I]...>();
}

template <class... M>
constexpr auto hana_accessors(std::type_identity<boost::hana::tuple<M...>> /*members*/) {
  return boost::hana::make_tuple(
      boost::hana::make_pair(hana_name<M>(std::make_index_sequence<M::name().size()>()),
                             [](auto&& object) -> decltype(auto) { return M::get(object); })...);
}

}  // namespace atoll_root::atoll::detail

namespace boost::hana {

template <class T>
struct accessors_impl<T, when<atoll::described_message<T>>> {
  static constexpr auto apply() {
    return atoll::detail::hana_accessors(std::type_identity<atoll::message_members<T>>());
  }
};

}  // namespace boost::hana
