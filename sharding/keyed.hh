// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// keyed<Actor>: one instance for each key, there when a message comes for it: virtual actors.
//
//   class account : public atoll::actor<account, std::string> {      // an account for each std::string
//    public:
//     atoll::future<> on_activate();                        // may load what key() names; may be left out
//     atoll::future<> on_deactivate();                      // may store it; may be left out
//     atoll::future<std::int64_t> deposit(std::int64_t amount);
//   };
//   ATOLL_SERVICE(account, "bank.Account", ATOLL_METHOD(deposit, amount));
//
//   atoll::keyed<account> accounts;
//   co_await accounts.start({.idle_after = 10min});         // account() for each; more arguments go to the constructor
//   co_await accounts.at("alice").deposit(5);               // made on the shard that owns "alice", if it isn't there
//   co_await accounts.stop();                               // every actor's on_deactivate, then destruction
//
// An actor lives on the shard its key's hash chooses. Its first message constructs it and awaits on_activate(); if that
// fails, the message fails with its error and the next one tries again. It then serves one message at a time, in
// the order they were sent from a shard; `static constexpr atoll::service_options options{.queue = 100}` of the class says how
// many may wait for one actor (more get `resource_exhausted`). A message that could only wait for itself (A calls B, which
// calls A) fails with `failed_precondition`. When it has been idle for a while, or there are too many, or the shard
// runs out of memory (keyed_options), it leaves: on_deactivate() is awaited, and it is destroyed; messages meanwhile wait and activate
// it anew. What on_deactivate() fails with is logged. Both run outside any caller's deadline and cancellation.
// Keys are strings, `bytes`, integers, enums, and types with an atoll_key() (key_hash.hh). The constructor's arguments are those of start(), anew for each actor: see
// start_arguments.hh.
// Shard rules: start and stop on the shard that made it; refs on any. Errors: as for sharded<S>.
// Cost: an active actor is itself, its key and some 80 bytes in a hash table; one that has left is its bucket there.
#pragma once

#include <string>
#include <utility>

#include <atoll/sharding/actor_table.hh>

namespace atoll_root::atoll {

/// The base of an actor: class account : public atoll::actor<account, std::string>.
template <class Self, class Key>
class actor {
 public:
  using key_type = Key;

  /// Whose actor this is, and the others. REQUIRES of both: not called in the constructor. Functions that use peers() are
  /// defined after ATOLL_SERVICE.
  [[nodiscard]] const Key& key() const noexcept { return *place_.key; }
  [[nodiscard]] keyed_ref<Self> peers() const noexcept { return keyed_ref<Self>(*place_.core); }

 protected:
  actor() = default;
  ~actor() = default;
  actor(const actor&) = delete;
  actor& operator=(const actor&) = delete;

 private:
  friend class detail::actor_table<Self>;
  struct place {
    service_core* core = nullptr;
    const Key* key = nullptr;
  };
  place place_;
};

namespace detail {

template <class Actor, class Tag>
struct actor_call : work_options<Tag> {
  using traits = method_traits<Tag>;
  using result = typename traits::result;
  static constexpr work_name name_of_work() { return name_of_method<Tag>; }
  static_assert(traits::options.concurrency == 0, "an actor serves one message at a time, of all methods");
  static_assert(traits::key == no_key, "an actor's key says where it lives: its methods have no key(...)");

  using at_callee = actor_call_at_callee;
  void arrives(at_callee& there) const noexcept {
    there.its_turn.key = actor.line();
    there.entry = nullptr;
  }
  future<result> operator()(void* instance, at_callee& there) {
    return static_cast<actor_table<Actor>*>(instance)->template serve<result>(*this, there);
  }
  future<result> serve(Actor& here) { return body(here); }
  void depart()
    requires(must_depart<decltype(method_body<Tag>::packed)>)
  {
    detail::depart(body.packed);
  }
  /// From the call's record, before the next message has its turn.
  void ended(at_callee& there) noexcept {
    if constexpr (traits::streams) body.ended();
    if (there.entry != nullptr) there.table->end_use(*there.entry);
  }
  void in_record(call_message& message, call_caller& caller) noexcept
    requires(traits::streams)
  {
    body.in_record(message, caller);
  }

  carried_key<typename Actor::key_type> actor;
  method_body<Tag> body;
};

}  // namespace detail

/// One actor. A value: copy it, send it, keep it; it names the actor whether that is active or not.
template <class Actor>
class actor_ref : public service_description<Actor>::template refs<actor_ref<Actor>> {
 public:
  using key_type = typename detail::key_of_actor<Actor>::type;

  /// A ref to nothing: calls fail with `unavailable`.
  actor_ref() = default;
  actor_ref(service_core& core, key_type key) : core_(&core), key_(std::move(key)) {}

  /// The same ref, whose calls end within `timeout` or by the caller's deadline, whichever is earlier.
  [[nodiscard]] actor_ref within(duration timeout) const {
    actor_ref bounded = *this;
    bounded.timeout_ = timeout;
    return bounded;
  }
  [[nodiscard]] const key_type& key() const noexcept { return key_; }
  /// Where it lives.
  [[nodiscard]] shard_id shard() const {
    if constexpr (has_slots) {
      const auto slots = slot_table<detail::actor_table<Actor>>(named());
      return slots.owner(slots.of(key_));
    } else {
      return shard_of_hash(key_hash(key_), named().shards());
    }
  }

  template <class Tag, class... A>
  auto atoll_call(A&&... arguments) const {
    service_core& core = named();
    const auto hash = key_hash(key_);
    const auto work = [this,
                       hash](auto body) noexcept(noexcept(body())&& std::is_nothrow_copy_constructible_v<key_type>) {
      return detail::actor_call<Actor, Tag>{{}, detail::carried_key<key_type>(key_, hash), body()};
    };
    return detail::start_by_hash<Tag, has_slots>(&core, hash, timeout_, work, std::forward<A>(arguments)...);
  }

 private:
  static constexpr bool has_slots = detail::options_of_service<Actor>().slots != 0;
  [[nodiscard]] service_core& named() const {
    return core_ != nullptr ? *core_ : detail::core_of_none(detail::actor_table<Actor>::shape());
  }

  service_core* core_ = nullptr;
  duration timeout_ = no_timeout;
  key_type key_{};
};
template <class Actor>
inline constexpr bool enable_sendable<actor_ref<Actor>> = true;

/// All actors of a kind: a value, for other shards and services.
template <class Actor>
class keyed_ref {
 public:
  using key_type = typename detail::key_of_actor<Actor>::type;

  /// A ref to nothing: calls fail with `unavailable`.
  keyed_ref() noexcept = default;
  explicit keyed_ref(service_core& core) noexcept : core_(&core) {}

  [[nodiscard]] actor_ref<Actor> at(key_type key) const { return {named(), std::move(key)}; }
  /// Which shard has which keys, and how to change that: see slots.hh.
  [[nodiscard]] slot_table<detail::actor_table<Actor>> slots() const {
    static_assert(detail::options_of_service<Actor>().slots != 0,
                  "these actors have no slots: say how many in their options");
    return slot_table<detail::actor_table<Actor>>(named());
  }

 private:
  [[nodiscard]] service_core& named() const {
    return core_ != nullptr ? *core_ : detail::core_of_none(detail::actor_table<Actor>::shape());
  }

  service_core* core_ = nullptr;
};
template <class Actor>
inline constexpr bool enable_sendable<keyed_ref<Actor>> = true;

template <class Actor>
class keyed {
 public:
  using key_type = typename detail::key_of_actor<Actor>::type;
  static_assert(sendable<key_type>, "an actor's key travels in messages");
  static_assert(routing_key<key_type>, "an actor's key is a string, bytes, an integer, an enum, or has an atoll_key()");
  static_assert(detail::check_actor_hooks<Actor>());

  keyed() = default;
  /// How they live: service_life.hh has the options, and has to be included for them.
  explicit keyed(const life_options& options) { host_.set_options(options); }

  /// A handle for other shards and services, also before start().
  [[nodiscard]] keyed_ref<Actor> ref() { return keyed_ref<Actor>(host_.core()); }
  [[nodiscard]] actor_ref<Actor> at(key_type key) { return ref().at(std::move(key)); }
  [[nodiscard]] auto slots() { return ref().slots(); }

  template <class... A>
  future<> start(keyed_options options, A... arguments) {
    static_assert((sendable<A> && ...), "the arguments of start() travel to every shard");
    static_assert(!(detail::must_depart<A> || ...), "a buffer has one shard: start() can't give it to all");
    std::vector<shard_id> everywhere(shard_count());
    for (shard_id s = 0; s < everywhere.size(); ++s) everywhere[s] = s;
    return host_.start(std::move(everywhere), options,
                       detail::actor_arguments<A...>{std::tuple<A...>(std::move(arguments)...)});
  }
  future<> start() { return start(keyed_options{}); }

  /// Refuses new messages, waits for those being served, and has every actor leave.
  future<> stop() { return host_.stop(); }

 private:
  friend struct detail::host_access;
  service_host<detail::actor_table<Actor>> host_;
};

}  // namespace atoll_root::atoll
