// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// ATOLL_SERVICE describes a service class once; everything else comes from that description.
//
//   class counter { public: atoll::future<std::int64_t> add(std::string name, std::int64_t by); ... };
//   ATOLL_SERVICE(counter, "demo.v1.Counter",                    // in the class's namespace
//                 ATOLL_METHOD(add, key(name), by), ATOLL_METHOD(read, key(name)));
//
// The name is the service's identity on the wire: package and service as gRPC has them. ATOLL_METHOD names a
// public member function and each of its parameters in order; at most one in key(...), which says that
// calls are routed by it. Parameters and results are sendable values; the function returns atoll::future<T>, or atoll::stream<T>,
// and may take one atoll::stream<T>: call_streams.hh says how those go between shards.
// Options: ATOLL_METHOD_WITH((.concurrency = 8, .queue = 100), read, key(name)) bounds how many calls of that method an
// instance serves at a time. A member `static constexpr atoll::service_options options{.concurrency = 1}` of the class
// does so for all methods without bounds of their own. Without either, calls interleave: while one awaits, others run.
// A description is types only (Boost.Hana tuples of them): nothing is registered and nothing runs.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>
#include <tuple>
#include <type_traits>

#include <atoll/actors/base/text.hh>
#include <atoll/actors/future/future.hh>
#include <atoll/actors/future/stream.hh>
#include <atoll/sharding/message.hh>
#include <atoll/sharding/sendable.hh>
#include <atoll/sharding/service_options.hh>

namespace atoll_root::atoll {

/// Stands for "no parameter is the key".
inline constexpr std::size_t no_key = static_cast<std::size_t>(-1);

namespace detail {

/// A parameter list as ATOLL_METHOD wrote it, "key(name), by", taken apart.
template <std::size_t N>
struct parameter_names {
  std::array<std::string_view, N> names{};
  std::size_t key = no_key;
  std::size_t count = 0;  // how many were written, right or wrong
  std::size_t keys = 0;

  constexpr explicit parameter_names(std::string_view list) noexcept {
    while (!list.empty()) {
      const auto comma = list.find(',');
      std::string_view name = trimmed(list.substr(0, comma));
      list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
      if (name.starts_with("key") && name.ends_with(")")) {
        name = trimmed(name.substr(3));
        name = trimmed(name.substr(1, name.size() - 2));
        key = count;
        ++keys;
      }
      if (count < N) names[count] = name;
      ++count;
    }
  }
};

template <class Pointer>
struct method_signature;
template <class S, class R, class... A>
struct method_signature<R (S::*)(A...)> {
  using service = S;
  using returned = R;
  using plain = R(A...);
  using arguments = std::tuple<std::remove_cvref_t<A>...>;
  static constexpr std::size_t arity = sizeof...(A);
  static constexpr bool by_value = (!std::is_reference_v<A> && ...);
};
template <class S, class R, class... A>
struct method_signature<R (S::*)(A...) const> : method_signature<R (S::*)(A...)> {};
template <class S, class R, class... A>
struct method_signature<R (S::*)(A...) noexcept> : method_signature<R (S::*)(A...)> {};
template <class S, class R, class... A>
struct method_signature<R (S::*)(A...) const noexcept> : method_signature<R (S::*)(A...)> {};

/// What a call is where there can be none: anything.
struct no_call {
  template <class T>
  operator T() const;  // NOLINT(google-explicit-constructor)
};

/// Fails to compile, naming the type and the method, where a T may not travel in a message.
template <class T, class Method>
struct require_sendable {
  static_assert(sendable<T>,
                "this type can't be sent in a message: it is, or holds, a reference, pointer, view or "
                "something that belongs to one shard; send an owning value (see sendable.hh)");
  static constexpr bool ok = true;
};

template <class T, class Method>
struct require_value {
  static_assert(!std::is_reference_v<T>,
                "a service method takes its parameters by value: a reference can't travel to another shard");
  static constexpr bool ok = true;
};

/// stream<T>, as an argument or a result; elsewhere void.
template <class T>
struct stream_value {
  static constexpr bool is_stream = false;
  using type = void;
};
template <class T>
struct stream_value<stream<T>> {
  static constexpr bool is_stream = true;
  using type = T;
};

/// What an argument is in the message: streams go beside it.
template <class A>
using carried = std::conditional_t<stream_value<A>::is_stream, unit, A>;

/// Of the arguments, which a tuple lists.
template <class Arguments>
struct first_stream {
  using type = void;
};
template <class First, class... Rest>
struct first_stream<std::tuple<First, Rest...>>
    : std::conditional_t<stream_value<First>::is_stream, stream_value<First>, first_stream<std::tuple<Rest...>>> {};

template <class A, class Method>
struct check_argument : require_sendable<std::remove_cvref_t<A>, Method> {};
template <class T, class Method>
struct check_argument<stream<T>, Method> : require_sendable<T, Method> {};

template <class Method, class Plain>
struct check_signature;
template <class Method, class R, class... A>
struct check_signature<Method, R(A...)> {
  static_assert(future_value<R>::is_future || stream_value<R>::is_stream,
                "a service method returns atoll::future<T> or atoll::stream<T>");
  static_assert((0 + ... + (stream_value<A>::is_stream ? 1 : 0)) <= 1, "a method has one stream argument at most");
  static constexpr bool arguments = (require_value<A, Method>::ok && ...) && (check_argument<A, Method>::ok && ...);
  using value = std::conditional_t<stream_value<R>::is_stream, stream_value<R>, future_value<R>>;
  static constexpr bool result = require_sendable<typename value::type, Method>::ok;
  static constexpr bool ok = arguments && result;
};

}  // namespace detail

namespace detail {

/// Also where none is.
template <class Arguments, std::size_t Key>
inline constexpr bool argument_is_key = true;
template <class Arguments, std::size_t Key>
  requires(Key < std::tuple_size_v<Arguments>)
inline constexpr bool argument_is_key<Arguments, Key> = routing_key<std::tuple_element_t<Key, Arguments>>;

}  // namespace detail

/// What the layers above know of one method; `Tag` is the struct that ATOLL_METHOD made.
template <class Tag>
struct method_traits {
  using signature = detail::method_signature<std::remove_const_t<decltype(Tag::pointer)>>;
  using service = typename signature::service;
  using arguments = typename signature::arguments;
  using returned = typename signature::returned;
  /// What the call's future gives; void where the method gives a stream.
  using result = std::conditional_t<detail::stream_value<returned>::is_stream, void,
                                    typename detail::future_value<returned>::type>;
  /// The values of the stream that the method gives, and of the one it takes; void for none.
  using stream_out = typename detail::stream_value<returned>::type;
  using stream_in = typename detail::first_stream<arguments>::type;
  static constexpr bool gives_stream = !std::is_void_v<stream_out>;
  static constexpr bool takes_stream = !std::is_void_v<stream_in>;
  static constexpr bool streams = gives_stream || takes_stream;
  static constexpr std::size_t arity = signature::arity;
  static constexpr detail::parameter_names<arity> parameters{Tag::parameters};
  static constexpr std::size_t key = parameters.key;

  static_assert(detail::check_signature<Tag, typename signature::plain>::ok);
  static_assert(parameters.count == arity, "ATOLL_METHOD names every parameter of the method, in order, and no other");
  static_assert(parameters.keys <= 1, "a method has one key(...) at most");
  static_assert(detail::argument_is_key<arguments, key>,
                "a method's key is a string, bytes, an integer, an enum, or has an atoll_key()");

  static constexpr method_options options = Tag::options;
  static_assert(!options.one_way || (std::is_same_v<returned, future<>> && !streams),
                "a one_way method returns future<>, and has no streams: nobody waits for it");
  static_assert(!options.per_key || key != no_key, "per_key is for methods with a key(...)");
  static_assert(options.concurrency != 0 || options.queue == queue_default,
                "queue is for methods with a concurrency of their own: it says how many calls wait for it");
  static_assert(!options.per_key || options.concurrency != 0, "per_key says for whom concurrency is: give both");

  /// Calls are made of no method that is refused for what its body couldn't be compiled with: the error is the one above alone.
  static constexpr bool callable = signature::by_value && (!options.per_key || key != no_key) &&
                                   (detail::future_value<returned>::is_future || gives_stream);
};

template <class S>
concept described_service = requires { atoll_service_of(std::type_identity<S>{}); };

/// The description ATOLL_SERVICE made: name, methods (a hana::tuple of tags), refs<Caller>.
template <described_service S>
using service_description = decltype(atoll_service_of(std::type_identity<S>{}));

namespace detail {

template <class Tag>
inline constexpr work_name name_of_method{service_description<typename method_traits<Tag>::service>::name, Tag::name};

template <class S>
constexpr service_options options_of_service() noexcept {
  if constexpr (requires { static_cast<const service_options&>(S::options); }) {
    static_assert(S::options.slots <= slots_max, "a service has 65,536 slots at most");
    return S::options;
  } else {
    return {};
  }
}

template <class Methods>
struct method_list;
template <class... Tags>
struct method_list<boost::hana::tuple<Tags...>> {
  // One more than there are, so that it is an array where there are none.
  static constexpr described_method all[sizeof...(Tags) + 1] = {{Tags::name, Tags::options}..., {}};  // NOLINT
  static constexpr std::size_t count = sizeof...(Tags);
  /// A method's number among them; each has another name.
  static constexpr std::size_t find(std::string_view name) noexcept {
    std::size_t at = 0;
    while (at < count && all[at].name != name) ++at;
    return at;
  }
};
template <class S>
using methods_of = method_list<typename service_description<S>::methods>;

/// A method's number among those of its service.
template <class Tag>
inline constexpr std::size_t number_of = methods_of<typename method_traits<Tag>::service>::find(Tag::name);

template <class S>
constexpr service_shape shape_of_service() noexcept {
  if constexpr (requires {
                  { S::shape() } -> std::same_as<service_shape>;
                }) {
    return S::shape();
  } else {
    return {.name = service_description<S>::name,
            .methods = methods_of<S>::all,
            .method_count = methods_of<S>::count,
            .options = options_of_service<S>()};
  }
}

/// Where the bounds for a method are: 0 stands for the service's.
template <class Tag>
inline constexpr std::size_t bounds_of = 0;
template <class Tag>
  requires(Tag::options.concurrency != 0)
inline constexpr std::size_t bounds_of<Tag> = 1 + number_of<Tag>;

/// What the work of a call says of the method's options, by type.
template <class Tag>
struct work_options {
  static constexpr bool one_way = method_traits<Tag>::options.one_way;
  static constexpr bool has_group = !method_traits<Tag>::options.group.empty();
  static constexpr std::size_t number() { return number_of<Tag>; }
};

}  // namespace detail

/// Calls f with each method tag of the service, in order.
template <described_service S, class F>
constexpr void for_each_method(F f) {
  detail::for_each_type(std::type_identity<typename service_description<S>::methods>{}, f);
}

namespace detail {

/// Whether a method of it is served in a scheduling group of its own.
template <class S>
inline constexpr bool has_grouped_methods = [] {
  bool any = false;
  for_each_method<S>([&any]<class Tag>(Tag /*of*/) { any = any || work_options<Tag>::has_group; });
  return any;
}();

}  // namespace detail
}  // namespace atoll_root::atoll

#pragma GCC system_header  // for shorter errors: for_each_macro.hh

#define ATOLL_METHOD(method, ...) (method, #__VA_ARGS__, )
#define ATOLL_METHOD_WITH(options, method, ...) (method, #__VA_ARGS__, ATOLL_DETAIL_UNWRAP options)

#define ATOLL_SERVICE(Class, full_name, ...)                                                                          \
  struct atoll_service_description_of_##Class {                                                                       \
    using service = Class;                                                                                            \
    [[maybe_unused]] static constexpr std::string_view name = full_name;                                              \
    ATOLL_DETAIL_EACH(ATOLL_DETAIL_METHOD_TAG, Class, __VA_ARGS__)                                                    \
    using methods = ::boost::hana::tuple<ATOLL_DETAIL_LIST(ATOLL_DETAIL_METHOD_NAME, _, __VA_ARGS__)>;                \
    /* A ref's methods: real members with the service's own signatures, one base a method. */                         \
    template <class Caller>                                                                                           \
    struct refs __VA_OPT__( : ATOLL_DETAIL_LIST(ATOLL_DETAIL_METHOD_BASE, Caller, __VA_ARGS__)) {};                   \
  };                                                                                                                  \
  [[maybe_unused]] inline atoll_service_description_of_##Class atoll_service_of(std::type_identity<Class>) noexcept { \
    return {};                                                                                                        \
  }                                                                                                                   \
  static_assert(true, "a semicolon ends the description")

#define ATOLL_DETAIL_UNWRAP(...) __VA_ARGS__
#define ATOLL_DETAIL_CALL(macro, ...) macro(__VA_ARGS__)

#define ATOLL_DETAIL_METHOD_TAG(Class, method) \
  ATOLL_DETAIL_CALL(ATOLL_DETAIL_METHOD_TAG_, Class, ATOLL_DETAIL_UNWRAP method)
#define ATOLL_DETAIL_METHOD_TAG_(Class, method, names, ...)                                                          \
  template <class Service>                                                                                           \
  static constexpr bool is_one_function_##method = requires { std::type_identity<decltype(&Service::method)>(); };   \
  static_assert(is_one_function_##method<Class>,                                                                     \
                "a method's name, " #method                                                                          \
                ", is no single member function of this class: it is overloaded, a template, private or not there"); \
  struct method_##method {                                                                                           \
    static constexpr auto pointer = &Class::method;                                                                  \
    [[maybe_unused]] static constexpr std::string_view name = #method;                                               \
    [[maybe_unused]] static constexpr std::string_view parameters = names;                                           \
    [[maybe_unused]] static constexpr ::atoll_root::atoll::method_options options{__VA_ARGS__};                      \
  };                                                                                                                 \
  template <class Caller, class Plain>                                                                               \
  struct call_##method;                                                                                              \
  template <class Caller, class R, class... A>                                                                       \
  struct call_##method<Caller, R(A...)> {                                                                            \
    R method(A... arguments) const {                                                                                 \
      return static_cast<const Caller*>(this)->template atoll_call<method_##method>(std::forward<A>(arguments)...);  \
    }                                                                                                                \
  };

#define ATOLL_DETAIL_METHOD_NAME(_, method) ATOLL_DETAIL_CALL(ATOLL_DETAIL_METHOD_NAME_, ATOLL_DETAIL_UNWRAP method)
#define ATOLL_DETAIL_METHOD_NAME_(method, names, ...) method_##method

#define ATOLL_DETAIL_METHOD_BASE(Caller, method) \
  ATOLL_DETAIL_CALL(ATOLL_DETAIL_METHOD_BASE_, Caller, ATOLL_DETAIL_UNWRAP method)
#define ATOLL_DETAIL_METHOD_BASE_(Caller, method, names, ...) \
  call_##method<Caller, typename ::atoll_root::atoll::method_traits<method_##method>::signature::plain>
