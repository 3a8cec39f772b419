// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// shard_ref<S>: the instance of a service on one shard of this process. A value: copy it, send it, keep it.
//
//   atoll::shard_ref<counter> one = counters.at(1);
//   auto total = co_await one.add("hits", 5);
//   co_await one.within(50ms).add("hits", 5);       // deadline_exceeded after 50 ms, wherever the call is
//
// Shard rules: usable on every shard of the process. The methods are those ATOLL_SERVICE lists, with the
// service's own signatures. Arguments are moved to the target shard, and may be gone where the call fails
// at once; calls from one shard to one instance start in
// the order made, but that one made to serve a call overtakes those less deep where a lane is full. Errors: `unavailable` where the service is not running there, `deadline_exceeded`, and what
// the method fails with.
#pragma once

#include <tuple>
#include <utility>

#include <atoll/sharding/call.hh>
#include <atoll/sharding/call_streams.hh>
#include <atoll/sharding/describe.hh>
#include <atoll/sharding/key_hash.hh>
#include <atoll/sharding/service_core.hh>

namespace atoll_root::atoll {
namespace detail {

/// What a call of a described method carries, and does at the instance.
template <class Tag, bool Streams = method_traits<Tag>::streams>
struct method_body {
  using traits = method_traits<Tag>;

  typename traits::returned operator()(typename traits::service& service) {
    return serve(service, std::make_index_sequence<traits::arity>());
  }
  template <std::size_t... I>
  typename traits::returned serve(typename traits::service& service, std::index_sequence<I...> /*arguments*/) {
    return (service.*Tag::pointer)(std::move(std::get<I>(packed))...);
  }

  typename traits::arguments packed;
};

template <class Arguments>
struct carried_arguments;
template <class... A>
struct carried_arguments<std::tuple<A...>> {
  using type = std::tuple<carried<A>...>;
};

/// The same of a method with streams: its outcome comes when they have ended.
template <class Tag>
struct method_body<Tag, true> {
  using traits = method_traits<Tag>;
  using in = typename traits::stream_in;
  using out = typename traits::stream_out;

  auto operator()(typename traits::service& service) -> future<typename traits::result> {
    if (auto refused = message->core()->open_stream(streams->place(), *message)) {
      return make_failed_future<typename traits::result>(std::move(*refused));
    }
    auto returned = [&]<std::size_t... I>(std::index_sequence<I...>) {
      return (service.*Tag::pointer)(argument<I>()...);
    }(std::make_index_sequence<traits::arity>());
    streams->opened();
    // Bounds of the method are for as long as it streams; those of the service for what is one message after the other.
    if constexpr (bounds_of<Tag> == 0) message->end_turn();
    if constexpr (traits::gives_stream) {
      return serve_stream(streams->out, std::move(returned));
    } else {
      return returned;
    }
  }
  void in_record(call_message& its_message, call_caller& caller) noexcept {
    message = &its_message;
    streams->belongs_to(caller);
    caller.has_streams(*streams);
  }
  void ended() noexcept {
    streams->call_ended();
    message->core()->close_stream(streams->place());
  }

  template <std::size_t I>
  auto argument() {
    if constexpr (stream_value<std::tuple_element_t<I, typename traits::arguments>>::is_stream) {
      return stream_reader<in>::at_callee(streams->in);
    } else {
      return std::move(std::get<I>(packed));
    }
  }

  typename carried_arguments<typename traits::arguments>::type packed;
  call_streams_hold<in, out> streams;
  call_message* message = nullptr;
};

template <class T>
carried<T> carry(T& argument) {
  if constexpr (stream_value<T>::is_stream) {
    return {};
  } else {
    return std::move(argument);
  }
}

template <class Tag, class MakeWork>
auto start_streaming(service_core* core, shard_id to, duration timeout, MakeWork work,
                     typename method_traits<Tag>::arguments arguments) {
  using traits = method_traits<Tag>;
  using result = typename traits::result;
  using in = typename traits::stream_in;
  using out = typename traits::stream_out;
  cancel_source call;
  const context_scope in_its_context(call.context());
  method_body<Tag> body{
      std::apply([](auto&... a) { return typename carried_arguments<typename traits::arguments>::type(carry(a)...); },
                 arguments),
      call_streams_hold<in, out>(to)};
  auto& streams = *body.streams;
  const auto start = [&] {
    return start_made_call<result>(core, to, timeout, [&] { return work([&body] { return std::move(body); }); });
  };
  const auto start_and_send = [&] {
    if constexpr (traits::takes_stream) {
      cancel_source sender;
      auto sending = [&] {
        const context_scope in_senders_context(sender.context());
        return send_stream(streams.in, streams_pin(streams), std::get<stream<in>>(std::move(arguments)), call);
      }();
      if (sending.available() && sending.failed()) return make_failed_future<result>(sending.take_error());
      auto ended = end_sending(invoke_safely(start), std::move(sending), sender);
      if (ended.available() &&
          ended.failed()) {  // there may have been no memory to wait with: nobody else would end them
        sender.cancel();
        call.cancel();
      }
      return ended;
    } else {
      return invoke_safely(start);
    }
  };
  if constexpr (traits::gives_stream) {
    auto& reader = stream_reader<out>::at_caller(streams.out, call);
    stream<out> values(reader);
    auto reading = end_reading(start_and_send(), stream_hold<out>(reader));
    if (reading.available() && reading.failed()) {  // no memory to wait with
      call.cancel();
      reader.ends_with(reading.take_error());
    }
    return values;
  } else {
    return start_and_send();
  }
}

/// Starts a call of a method; `work` makes, of what gives the method's body, what the call does with its instance.
template <class Tag, class MakeWork, class... A>
auto start_method(service_core* core, shard_id to, duration timeout, MakeWork work, A&&... arguments) {
  using traits = method_traits<Tag>;
  using result = typename traits::result;
  using packed = typename traits::arguments;
  if constexpr (!traits::streams) {
    const auto body = [&]() noexcept(std::is_nothrow_constructible_v<packed, A...>) {
      return method_body<Tag>{packed(std::forward<A>(arguments)...)};
    };
    return start_made_call<result>(core, to, timeout, [&]() noexcept(noexcept(work(body))) { return work(body); });
  } else {
    return start_streaming<Tag>(core, to, timeout, work, packed(std::forward<A>(arguments)...));
  }
}

/// A call of a described method of a service's instance.
template <class Tag>
struct method_call : work_options<Tag> {
  using traits = method_traits<Tag>;
  static constexpr std::size_t bounds = bounds_of<Tag>;
  static constexpr work_name name_of_work() { return name_of_method<Tag>; }
  static_assert(number_of<Tag> < no_method && bounds < no_bounds, "a service has 65,534 methods at most");

  auto operator()(void* instance) { return body(*static_cast<typename traits::service*>(instance)); }
  void depart()
    requires(must_depart<decltype(method_body<Tag>::packed)>)
  {
    detail::depart(body.packed);
  }
  [[nodiscard]] std::uint64_t key() const noexcept
    requires(traits::options.per_key)
  {
    return key_hash(std::get<traits::key>(body.packed));
  }
  void in_record(call_message& message, call_caller& caller) noexcept
    requires(traits::streams)
  {
    body.in_record(message, caller);
  }
  void ended() noexcept
    requires(traits::streams)
  {
    body.ended();
  }

  method_body<Tag> body;
};

/// Makes one, of its arguments.
template <class Tag>
struct make_method_call {
  using packed = typename method_traits<Tag>::arguments;
  template <class... A>
  method_call<Tag> operator()(A&&... arguments) const noexcept(std::is_nothrow_constructible_v<packed, A...>) {
    return {{}, {packed(std::forward<A>(arguments)...)}};
  }
};

/// A call that goes to the shard that has a slot.
template <class Call>
struct slot_call : Call {
  slot_call(Call&& call, slot_map& all, slot_id which) : Call(std::move(call)), slots(&all), slot(which) {}

  void in_record(call_message& message, call_caller& caller) noexcept {
    caller.goes_by_slot(*slots, slot);
    if constexpr (requires { Call::in_record(message, caller); }) Call::in_record(message, caller);
  }

  slot_map* slots;
  slot_id slot;
};

/// Starts a call of a method on the shard that owns a key with this hash.
template <class Tag, bool HasSlots, class MakeWork, class... A>
auto start_by_hash(service_core* core, std::uint64_t hash, duration timeout, MakeWork work, A&&... arguments) {
  if constexpr (HasSlots) {
    const slot_place place = place_of_key(*core, hash);
    const auto by_slot = [&work, &place](auto body) noexcept(noexcept(work(body))) {
      return slot_call(work(body), *place.slots, place.slot);
    };
    return start_method<Tag>(core, place.owner, timeout, by_slot, std::forward<A>(arguments)...);
  } else {
    return start_method<Tag>(core, shard_of_hash(hash, core->shards()), timeout, work, std::forward<A>(arguments)...);
  }
}

/// Calls one described method on a shard.
template <class Tag, class... A>
auto call_method(service_core* core, shard_id to, duration timeout, A&&... arguments) {
  using traits = method_traits<Tag>;
  if constexpr (!traits::callable) {
    return no_call();
  } else if constexpr (!traits::streams) {  // what start_method does, in one step
    return start_made_call<typename traits::result>(core, to, timeout, make_method_call<Tag>(),
                                                    std::forward<A>(arguments)...);
  } else {
    const auto work = [](auto body) noexcept(noexcept(body())) { return method_call<Tag>{{}, body()}; };
    return start_method<Tag>(core, to, timeout, work, std::forward<A>(arguments)...);
  }
}

/// The same on the shard that owns a key with this hash.
template <class Tag, class... A>
auto call_by_hash(service_core* core, std::uint64_t hash, duration timeout, A&&... arguments) {
  using service = typename method_traits<Tag>::service;
  if constexpr (options_of_service<service>().slots == 0) {
    return call_method<Tag>(core, shard_of_hash(hash, core->shards()), timeout, std::forward<A>(arguments)...);
  } else {
    const auto work = [](auto body) noexcept(noexcept(body())) { return method_call<Tag>{{}, body()}; };
    return start_by_hash<Tag, true>(core, hash, timeout, work, std::forward<A>(arguments)...);
  }
}

}  // namespace detail

template <class S>
class shard_ref : public service_description<S>::template refs<shard_ref<S>> {
 public:
  /// A ref to nothing: calls fail with `unavailable`.
  shard_ref() noexcept = default;
  shard_ref(service_core& core, shard_id shard) noexcept : core_(&core), shard_(shard) {}

  /// The same ref, whose calls end within `timeout` or by the caller's deadline, whichever is earlier.
  [[nodiscard]] shard_ref within(duration timeout) const noexcept {
    shard_ref bounded = *this;
    bounded.timeout_ = timeout;
    return bounded;
  }

  [[nodiscard]] shard_id shard() const noexcept { return shard_; }

  template <class Tag, class... A>
  auto atoll_call(A&&... arguments) const {
    service_core* core = core_ != nullptr ? core_ : &detail::core_of_none(detail::shape_of_service<S>());
    return detail::call_method<Tag>(core, shard_, timeout_, std::forward<A>(arguments)...);
  }

 private:
  service_core* core_ = nullptr;
  shard_id shard_ = 0;
  duration timeout_ = no_timeout;
};

template <class S>
inline constexpr bool enable_sendable<shard_ref<S>> = true;

}  // namespace atoll_root::atoll
