// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The active actors of one shard, in order of their last use, and who of them leaves. Internal to atoll; users have
// keyed<Actor>.
//
// A table is a service like any other, whose calls carry a key: that one message a key is served at a time, in order,
// is what its bounds say (turns.hh). So activation and deactivation need no states: each is part of a call that has the
// key's turn.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include <atoll/actors/base/chrono.hh>
#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/actors/base/log.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/actors/sync/semaphore.hh>
#include <atoll/sharding/call.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/turns.hh>

namespace atoll_root::atoll {

template <class Actor>
class keyed_ref;
template <class Self, class Key>
class actor;

/// When actors leave; each shard by itself.
struct keyed_options {
  duration idle_after = std::chrono::minutes(5);  // since the last message began or ended; at least 1 ms
  std::size_t active_max = 1'000'000;             // above it, those unused for longest are asked to leave
  double memory_share = 0.8;  // of the shard's budget in use, above which the same happens; where budgets are enforced
  duration hook_within =
      no_timeout;  // on_activate() and on_deactivate(): their waits end with `deadline_exceeded` then
};
template <>
inline constexpr bool enable_sendable<keyed_options> = true;

namespace detail {

/// The key type of an actor; fails to compile, saying why, where there is none.
template <class Actor>
struct key_of_actor {
  static_assert(requires { typename Actor::key_type; }, "a keyed service derives from atoll::actor<Self, Key>");
  using type = typename Actor::key_type;
};

template <class S>
inline constexpr bool names_on_activate = !requires { &with_hook_names<S>::on_activate; };
template <class S>
inline constexpr bool names_on_deactivate = !requires { &with_hook_names<S>::on_deactivate; };

/// As check_hooks().
template <class A>
constexpr bool check_actor_hooks() noexcept {
  static_assert(!std::is_base_of_v<supervised, A>,
                "an actor is not supervised: what fails is told its callers, and it leaves when it is idle");
  if constexpr (!std::is_final_v<A>) {
    static_assert(
        !names_on_activate<A> || describes<A>("on_activate") ||
            requires(A& a) {
              { a.on_activate() } -> std::same_as<future<>>;
            },
        "on_activate is a hook of actors: make it a public future<> on_activate(), or give it another name, for nobody "
        "would call it");
    static_assert(
        !names_on_deactivate<A> || describes<A>("on_deactivate") ||
            requires(A& a) {
              { a.on_deactivate() } -> std::same_as<future<>>;
            },
        "on_deactivate is a hook of actors: make it a public future<> on_deactivate(), or give it another name, for "
        "nobody would call it");
  }
  return true;
}

/// An active actor's place in the order of use.
class actor_entry : list_hook {
 public:
  [[nodiscard]] bool is_leaving() const noexcept { return leaving_; }
  [[nodiscard]] bool hook_began() const noexcept { return hook_began_; }

 private:
  friend class actor_table_base;
  friend class intrusive_list<actor_entry>;
  time_point used_{};
  std::uint32_t uses_ = 0;   // messages and open streams
  bool leaving_ = false;     // asked to, and not used since
  bool hook_began_ = false;  // the one called last
};

class actor_table_base {
 public:
  actor_table_base(const actor_table_base&) = delete;
  actor_table_base& operator=(const actor_table_base&) = delete;

  /// Serves no message any more, and has all leave.
  future<> stop();
  /// Where not, there was no memory: it has to be called again, so that no actor goes without its on_deactivate().
  [[nodiscard]] bool atoll_stop_has_begun() const noexcept { return stopping_; }

  /// A message's end: from now on the actor may be asked to leave. Needs no memory.
  void end_use(actor_entry& e) noexcept {
    if (--e.uses_ == 0) settle(e);
  }

 protected:
  actor_table_base(std::string_view service, const keyed_options& options);
  ~actor_table_base();

  [[nodiscard]] bool stopping() const noexcept { return stopping_; }
  [[nodiscard]] error is_stopping() const;
  /// Throws std::bad_alloc.
  void begin_activation();
  void activated(actor_entry& e);
  void activation_failed() noexcept;
  void begin_use(actor_entry& e) noexcept {
    if (e.leaving_) [[unlikely]]
      stays(e);
    if (e.uses_++ == 0) e.unlink();
  }
  void deactivated(actor_entry& e, const result<>& outcome) noexcept;
  /// Runs hook(e) out of reach of the caller's deadline and cancellation: the caller may give up, the actor is for the
  /// next, too. Not a template: g++ warns where a frame holds a closure made for a type of an anonymous namespace.
  future<> run_hook(future<> (*hook)(actor_entry& e), actor_entry& e) const;

  // For actors that leave though they are neither idle nor too many:
  future<semaphore_units> place_to_leave() { return leaving_places_.acquire(); }
  /// Asks one that serves nothing, again where it was asked.
  void ask_to_leave(actor_entry& e, semaphore_units place);
  /// For a moment. Asks again one whose call failed.
  future<> until_some_left(actor_entry& e);

  /// Those that messages to the actors opened, which are refused by now.
  virtual void end_streams() noexcept = 0;
  /// Those that messages made, and those messages.
  virtual void end_calls() noexcept = 0;
  /// Has it leave in its turn, if it is_leaving() still: a call. The entry may be gone before that ends.
  virtual future<> leave_in_turn(actor_entry& e) = 0;

 private:
  struct metrics;

  future<> begin_to_watch();
  future<> watch();
  future<> have_all_leave();
  void did_not_leave(const error& why) noexcept;
  [[nodiscard]] bool first_is_idle() noexcept;
  void keep_bound();
  void settle(actor_entry& e) noexcept {
    e.used_ = coarse_now();
    by_use_.push_back(e);
  }
  static void stays(actor_entry& e) noexcept;
  /// Those whose call has failed are to be asked again: it is not known which, and to be asked twice does no harm.
  void take_back_failed() noexcept;
  void ask_first(std::size_t how_many);
  [[nodiscard]] bool memory_is_short() const noexcept;
  /// How many leave where memory is short: more than come until the next look.
  [[nodiscard]] std::size_t share_that_leaves() const noexcept { return active_ / 16 + activations_a_look; }

  static constexpr std::size_t leaving_max = 256;        // at a time
  static constexpr std::size_t activations_a_look = 64;  // at the memory, at most

  std::string service_;
  keyed_options options_;
  bool stopping_ = false;
  std::size_t activating_ = 0;
  std::size_t active_ = 0;
  intrusive_list<actor_entry> by_use_;  // that serve nothing and were not asked to leave; the longest unused first
  intrusive_list<actor_entry> asked_;   // to leave, and not used since
  bool may_have_failed_ = false;        // the call of one that was asked
  bool watching_ = false;               // to the end, once it has begun
  bool watch_failed_ = false;           // to begin
  scope watcher_{"idle actors"};
  semaphore leaving_places_{"actors that leave", leaving_max};
  rate_limit complaints_{std::chrono::seconds(10)};
  scope leaving_{"actors that leave", [this](const error& why) { did_not_leave(why); }};
  std::unique_ptr<metrics> metrics_;
};

/// A key on its way, with its hash: it is hashed once, where it is called. A number is hashed anew, which is less than to carry that.
template <class Key>
class carried_key {
 public:
  carried_key(Key key, std::uint64_t hash) noexcept(std::is_nothrow_move_constructible_v<Key>)
      : key_(std::move(key)), hash_(hash) {}
  [[nodiscard]] const Key& key() const noexcept { return key_; }
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }
  /// Of the turns of a key.
  [[nodiscard]] std::uint64_t line() const noexcept { return hash_; }
  /// Two keys may have one hash.
  [[nodiscard]] bool is_of_line(const Key& of_the_line) const noexcept { return key_ == of_the_line; }

 private:
  Key key_;
  std::uint64_t hash_;
};
template <std::integral Key>
class carried_key<Key> {
 public:
  carried_key(Key key, std::uint64_t /*hash*/) noexcept : key_(key) {}
  [[nodiscard]] const Key& key() const noexcept { return key_; }
  [[nodiscard]] std::uint64_t hash() const noexcept { return key_hash(key_); }
  [[nodiscard]] std::uint64_t line() const noexcept { return static_cast<std::uint64_t>(key_); }
  [[nodiscard]] bool is_of_line(Key /*of_the_line*/) const noexcept { return true; }

 private:
  Key key_;
};

/// What the call of an actor has where that lives.
struct actor_call_at_callee {
  call_turn its_turn;
  actor_table_base* table;
  actor_entry* entry;  // while it serves the call
};

template <class Key>
struct actor_key_hash {
  using is_transparent = void;
  std::size_t operator()(const Key& key) const noexcept { return key_hash(key); }
  std::size_t operator()(const carried_key<Key>& key) const noexcept { return key.hash(); }
};
template <class Key>
struct actor_key_equal {
  using is_transparent = void;
  bool operator()(const Key& a, const Key& b) const { return a == b; }
  bool operator()(const carried_key<Key>& a, const Key& b) const { return a.key() == b; }
  bool operator()(const Key& a, const carried_key<Key>& b) const { return a == b.key(); }
};

/// What start() was given, as values: each actor is constructed from them.
template <class... A>
struct actor_arguments {
  std::tuple<A...> values;
};
template <class... A>
struct is_sendable<actor_arguments<A...>> : std::bool_constant<all_sendable<A...>> {};

/// By key. In parts, each a hash table: one that grows is a pause of the shard, as long as what it has.
template <class Key, class Entry>
class actor_entries {
  using part = std::unordered_map<Key, Entry, actor_key_hash<Key>, actor_key_equal<Key>>;

 public:
  /// Null where there is none. `K`: the key, or a carried_key.
  template <class K>
  [[nodiscard]] Entry* find(const K& key) {
    part& its = part_of(actor_key_hash<Key>()(key));
    const auto at = its.find(key);
    return at == its.end() ? nullptr : &at->second;
  }
  /// A new one, with the key it knows; both stay where they are. REQUIRES: there is none. Throws std::bad_alloc.
  std::pair<const Key, Entry>& make(const Key& key) { return *part_of(key_hash(key)).try_emplace(key).first; }
  void erase(const Key& key) noexcept { part_of(key_hash(key)).erase(key); }

  /// The keys of a slot that were there all the while.
  static future<std::vector<Key>> of_slot(actor_entries& self, slot_id slot, slot_id slots) {
    std::vector<Key> keys;
    for (part& each : self.parts_) {
      const std::size_t before = keys.size();
      std::size_t buckets = each.bucket_count();
      for (std::size_t b = 0; b < buckets; ++b) {
        for (auto at = each.begin(b); at != each.end(b); ++at) {
          if (slot_of_hash(key_hash(at->first), slots) == slot) keys.push_back(at->first);
        }
        if (b % 256 == 255) co_await maybe_yield();
        if (buckets == each.bucket_count()) continue;
        buckets = each.bucket_count();  // others came meanwhile: once more
        keys.erase(keys.begin() + static_cast<std::ptrdiff_t>(before), keys.end());
        b = static_cast<std::size_t>(-1);
      }
      co_await maybe_yield();
    }
    co_return keys;
  }

 private:
  static constexpr std::size_t parts_count = 256;
  // Not by the bits that choose the shard or slot, which are the same here for many keys.
  part& part_of(std::uint64_t hash) noexcept { return parts_[(hash >> 16) % parts_count]; }

  std::array<part, parts_count> parts_;
};

template <class Actor>
class actor_table final : public actor_table_base, public peering<actor_table<Actor>> {
  using key_type = typename key_of_actor<Actor>::type;

 public:
  /// One message a key; how many wait, the actor's own options say.
  static constexpr service_shape shape() noexcept {
    auto shape = shape_of_service<Actor>();
    static_assert(options_of_service<Actor>().concurrency <= 1, "an actor serves one message at a time");
    shape.one_per_key = true;
    return shape;
  }

  template <class... A>
  actor_table(const keyed_options& options, const actor_arguments<A...>& arguments)
      : actor_table_base(service_description<Actor>::name, options),
        construct_([values = arguments.values](std::optional<Actor>& place) {
          std::apply([&place](const A&... a) { place.emplace(arrive(a)...); }, values);
        }) {}

  /// Serves a call that has the key's turn. The call, and what it has there, stay where they are until it is told that it has ended.
  template <class R, class Call>
  future<R> serve(Call& call, actor_call_at_callee& at_callee) {
    if (stopping()) [[unlikely]]
      return make_failed_future<R>(is_stopping());
    // The key's line knows its actor, but for two keys with one hash.
    auto* last = static_cast<entry*>(at_callee.its_turn.line->kept);
    if (last != nullptr && call.actor.is_of_line(*last->key)) [[likely]]
      return serve_active<R>(*last, call, at_callee);
    entry* const e = entries_.find(call.actor);
    if (e == nullptr) return activate_and_serve<R>(*this, call, at_callee);
    return serve_active<R>(*e, call, at_callee);
  }

  /// The actors of a slot leave: it moves, and no messages for it are under way.
  future<> export_slot(slot_id slot) { return empty_slot(*this, slot); }

  /// The line is that of the key, whose turn the call has.
  future<> leave(const carried_key<key_type>& actor, turn_line& line) {
    entry* const e = entries_.find(actor);
    if (e == nullptr || !e->is_leaving()) return make_ready_future();
    return deactivate(*this, *e, actor.key(), line);
  }

 private:
  struct entry : actor_entry {
    std::optional<Actor> actor;
    const key_type* key = nullptr;
  };

  template <class R, class Call>
  future<R> serve_active(entry& e, Call& call, actor_call_at_callee& at_callee) {
    at_callee.its_turn.line->kept = &e;
    begin_use(e);
    at_callee.table = this;
    at_callee.entry = &e;
    return call.serve(*e.actor);
  }

  template <class R, class Call>
  static future<R> activate_and_serve(actor_table& self, Call& call, actor_call_at_callee& at_callee) {
    auto& made = self.entries_.make(call.actor.key());
    entry& e = made.second;
    e.key = &made.first;
    const auto begin = [&self, &e] {
      self.begin_activation();
      return self.bring_up(e);
    };
    auto up = co_await as_result(invoke_safely(begin));
    if (!up) {
      self.activation_failed();
      self.entries_.erase(call.actor.key());
      co_await fail(std::move(up).error());
    }
    self.activated(e);
    if (const error* gave_up = cancellation()) co_await fail(*gave_up);
    co_return co_await or_fail(self.template serve_active<R>(e, call, at_callee));
  }
  future<> bring_up(entry& e) {
    {
      const context_scope none(nullptr);  // its background work serves no call
      construct_(e.actor);
    }
    e.actor->place_ = {this->core_, e.key};
    if constexpr (requires { e.actor->on_activate(); }) {
      return run_hook([](actor_entry& which) { return static_cast<entry&>(which).actor->on_activate(); }, e);
    } else {
      return make_ready_future();
    }
  }

  static future<> deactivate(actor_table& self, entry& e, const key_type& key, turn_line& line) {
    if constexpr (requires { e.actor->on_deactivate(); }) {
      auto outcome = co_await as_result(
          self.run_hook([](actor_entry& which) { return static_cast<entry&>(which).actor->on_deactivate(); }, e));
      // No memory to begin with: it has to be asked again.
      if (!outcome && !e.hook_began()) co_await fail(std::move(outcome).error());
      self.deactivated(e, outcome);
    } else {
      self.deactivated(e, {});
    }
    if (line.kept == &e) line.kept = nullptr;
    self.entries_.erase(key);
  }

  static future<> empty_slot(actor_table& self, slot_id slot) {
    auto keys = co_await or_fail(all_entries::of_slot(self.entries_, slot, count_of_slots(*self.core_)));
    for (const auto& key : keys) {
      auto place = co_await or_fail(self.place_to_leave());
      if (actor_entry* e = self.entries_.find(key)) self.ask_to_leave(*e, std::move(place));
    }
    while (!keys.empty()) {
      if (actor_entry* e = self.entries_.find(keys.back())) {
        co_await or_fail(self.until_some_left(*e));
      } else {
        keys.pop_back();
      }
    }
  }

  struct leave_call {
    struct at_callee {
      call_turn its_turn;
    };
    void arrives(at_callee& there) const noexcept { there.its_turn.key = actor.line(); }
    future<> operator()(void* instance, at_callee& there) {
      return static_cast<actor_table*>(instance)->leave(actor, *there.its_turn.line);
    }
    void in_record(call_message& message, call_caller& /*caller*/) noexcept {
      if (hold != 0) message.is_for_slot(hold);
    }
    carried_key<key_type> actor;
    std::uint64_t hold;  // a move of the actor's slot may wait for it; 0: without slots
  };
  void end_streams() noexcept override { this->core_->end_streams(); }
  void end_calls() noexcept override { this->core_->end_calls(); }
  future<> leave_in_turn(actor_entry& which) override {
    auto& e = static_cast<entry&>(which);
    const std::uint64_t hash = key_hash(*e.key);
    std::uint64_t hold = 0;
    if constexpr (options_of_service<Actor>().slots != 0) {
      hold = hold_of_move(*this->core_, place_of_key(*this->core_, hash).slot);
    }
    leave_call call{carried_key<key_type>(*e.key, hash), hold};
    return start_call<void>(this->core_, this_shard_id(), no_timeout, std::move(call));
  }

  std::function<void(std::optional<Actor>&)> construct_;
  using all_entries = actor_entries<key_type, entry>;
  all_entries entries_;
};

/// A table is described by its actors.
template <class Actor>
struct actor_table_description {
  static constexpr std::string_view name = service_description<Actor>::name;
  using methods = boost::hana::tuple<>;
};
template <class Actor>
actor_table_description<Actor> atoll_service_of(std::type_identity<actor_table<Actor>>) noexcept;

}  // namespace detail
}  // namespace atoll_root::atoll
