// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// slot_table<S>: which shard serves which keys of a service, and how that is changed while it runs.
//
//   class store {
//    public:
//     static constexpr atoll::service_options options{.slots = 1024};
//     atoll::future<rows> export_slot(atoll::slot_id slot);            // gives what it has of the slot, and forgets it
//     atoll::future<> import_slot(atoll::slot_id slot, rows what);     // both may be left out
//     atoll::future<> put(std::string key, std::string value);
//   };
//
//   const auto slots = stores.slots();
//   slots.owner(slots.of("alice"));                                    // a shard
//   co_await slots.move(slots.of("alice"), 3);                         // now that is shard 3
//
// A key's hash chooses its slot, for good (key_hash.hh); the table says which shard has the slot. Calls by key go there. At first
// slots are spread evenly, neighbours together. A keyed actor's slot moves without export and import: its actors leave, and are
// activated anew where the next message finds them.
// move(): new calls for the slot wait where they are made, in order; those under way are waited for; then export_slot() is called on
// the old shard and import_slot() on the new one; then the waiting calls go there. So none is lost or served twice, and those that a
// shard makes for a key start in the order made, before, while and after. Calls made to serve a call for the same slot don't wait:
// that call couldn't end. One slot of a service moves at a time; others are served as ever.
// Errors of move(): `deadline_exceeded` where calls for the slot are still under way after `within`, `out_of_range` for a slot or a shard
// that isn't there, `unavailable` where the service is not running on one of the two; what the two functions fail with. After each of
// them the slot is where it was, with what it had: if import_slot() fails, a copy goes back to import_slot() of the old shard. Where who asked for
// a move gives up, by deadline or cancellation, it ends while it waits for calls under way; once those have ended, it is finished.
// A move that would wait for itself, asked for by a call for that slot or from within another move, fails with `failed_precondition`.
// The two functions take no turn: a service that serves one call at a time may be asked for a slot between two awaits of a call for another
// one. They, and on_deactivate() of an actor that leaves with its slot, can't call by key into that slot: such a call fails at once with
// `failed_precondition`. stop() ends the moves that wait and waits for the one under way.
// Not moved: calls to a shard (`at(2).put(...)`), which reach that instance whatever its slots, and go on while a slot moves; streams that are
// open: they are calls under way, so that a slot with one that doesn't end can't move.
// Shard rules: a value, on every shard; each shard knows the owners as of the last move that it was told of.
#pragma once

#include <concepts>
#include <utility>

#include <atoll/actors/future/sleep.hh>
#include <atoll/sharding/describe.hh>
#include <atoll/sharding/key_hash.hh>
#include <atoll/sharding/slot_mover.hh>

namespace atoll_root::atoll {

/// The slot that a key of this service is in, for the service itself.
template <class S, class Key>
constexpr slot_id slot_of(const Key& key) noexcept {
  static_assert(detail::options_of_service<S>().slots != 0, "this service has no slots: say how many in its options");
  return slot_of_hash(key_hash(key), detail::options_of_service<S>().slots);
}

namespace detail {

template <class S>
concept exports_slots = requires(S& s, slot_id slot) { s.export_slot(slot); };

/// What export_slot gives.
template <exports_slots S>
using slot_state = typename future_value<decltype(std::declval<S&>().export_slot(slot_id{}))>::type;

inline constexpr int give_back_attempts = 1000;

template <class S>
struct export_call {
  static constexpr work_name name_of_work() { return {service_description<S>::name, "export_slot"}; }
  static constexpr std::size_t bounds = no_bounds;
  auto operator()(void* instance) { return static_cast<S*>(instance)->export_slot(slot); }
  void in_record(call_message& message, call_caller& /*caller*/) noexcept { message.is_for_slot(hold); }
  slot_id slot;
  std::uint64_t hold;
};
template <class S, class State>
struct import_call {
  static constexpr work_name name_of_work() { return {service_description<S>::name, "import_slot"}; }
  static constexpr std::size_t bounds = no_bounds;
  future<> operator()(void* instance) { return static_cast<S*>(instance)->import_slot(slot, std::move(state)); }
  void in_record(call_message& message, call_caller& /*caller*/) noexcept { message.is_for_slot(hold); }
  slot_id slot;
  std::uint64_t hold;
  State state;
};

/// Takes what the old shard's instance has of a slot to the new one's.
template <class S>
future<> hand_over_slot(service_core& core, slot_id slot, shard_id from, shard_id to) {
  if constexpr (exports_slots<S>) {
    using state = slot_state<S>;
    const std::uint64_t hold = hold_of_move(core, slot);
    static_assert(sendable<state>, "what export_slot() gives travels to another shard");
    static_assert(!detail::must_depart<state>,
                  "a slot's state goes to another shard and stays until it is there: it has no buffers");
    if constexpr (std::is_void_v<state>) {
      co_await or_fail(start_call<void>(&core, from, no_timeout, export_call<S>{slot, hold}));
    } else {
      static_assert(
          requires(S& s, state what) {
            { s.import_slot(slot, std::move(what)) } -> std::same_as<future<>>;
          }, "a service with export_slot() has a future<> import_slot(slot_id, what that gives)");
      static_assert(std::copy_constructible<state>,
                    "what export_slot() gives is kept until import_slot() has taken a copy");
      auto what = co_await or_fail(start_call<state>(&core, from, no_timeout, export_call<S>{slot, hold}));
      const auto give = [&](shard_id whom) {
        import_call<S, state> call{slot, hold, what};
        return start_call<void>(&core, whom, no_timeout, std::move(call));
      };
      const auto forth = [&] { return give(to); };
      auto taken = co_await as_result(invoke_safely(forth));
      if (taken) co_return;
      const auto back = [&] { return give(from); };
      for (int attempts_left = give_back_attempts; attempts_left > 0; --attempts_left) {
        const auto kept = co_await as_result(invoke_safely(back));
        if (kept) break;
        if (attempts_left == 1 || kept.error().code() != status_code::resource_exhausted) {
          report_lost_slot(core, slot, kept.error());
          break;
        }
        if (!co_await as_result(atoll::sleep(std::chrono::milliseconds(1))))
          co_await yield();  // there may be memory later
      }
      co_await fail(std::move(taken).error());
    }
  }
  co_return;
}

}  // namespace detail

template <class S>
class slot_table {
 public:
  explicit slot_table(service_core& core) noexcept : core_(&core) {}

  [[nodiscard]] slot_id count() const noexcept { return detail::count_of_slots(*core_); }
  template <class Key>
  [[nodiscard]] slot_id of(const Key& key) const noexcept {
    return slot_of_hash(key_hash(key), count());
  }
  /// REQUIRES: slot < count().
  [[nodiscard]] shard_id owner(slot_id slot) const noexcept { return detail::owner_of_slot(*core_, slot); }

  /// `within`: for the calls under way; export and import take as long as they take.
  future<> move(slot_id slot, shard_id to, duration within = std::chrono::seconds(10)) const {
    return move_slot(*core_, slot, to, within, &detail::hand_over_slot<S>);
  }

 private:
  service_core* core_;
};
template <class S>
inline constexpr bool enable_sendable<slot_table<S>> = true;

}  // namespace atoll_root::atoll
