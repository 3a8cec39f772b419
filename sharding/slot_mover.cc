// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/slot_mover.hh>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/future/cancel.hh>
#include <atoll/actors/reactor/points.hh>
#include <atoll/sharding/outbox.hh>
#include <atoll/sharding/service_site.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll {
namespace {

/// Runs f on every shard until it has run on each: what a move has begun can't be left half done for want of memory.
template <class F>
future<> surely_everywhere(F f) {
  while (true) {
    const auto run = [&f] { return on_all_shards(f); };
    if (co_await as_result(detail::invoke_safely(run))) co_return;
    co_await yield();
  }
}

/// Keeps new calls for the slot, waits for those under way, and then keeps all.
future<> hold_everywhere(service_core& core, slot_id slot, time_point until) {
  while (true) {
    const auto hold_and_drain = [&core, slot, until] {
      core.slots().hold(slot);
      return with_deadline(until, [&core, slot] { return core.slots().drained(slot); });
    };
    co_await or_fail(on_all_shards(hold_and_drain));
    // A shard that has none under way may have been asked before another made one on behalf of a call for the slot.
    const auto seal = [&core, slot] {
      if (!core.slots().seal(slot)) error(status_code::aborted).raise();
    };
    auto sealed = co_await as_result(on_all_shards(seal));
    if (sealed) co_return;
    ATOLL_SOMETIMES("slots: a call came between the drain and the seal");
    if (sealed.error().code() != status_code::aborted) co_await fail(std::move(sealed).error());
    // Also where the move was given up meanwhile: then the next look at what is under way ends it.
    const auto unseal = [&core, slot] { return surely_everywhere([&core, slot] { core.slots().unseal(slot); }); };
    co_await or_fail(shielded(unseal));
  }
}

error is_stopping(const service_core& core) {
  return {status_code::unavailable, core.name() + " is not running, or stopping: its slots don't move"};
}

/// `unavailable` where the service isn't running on one of the two.
future<> check_running(service_core& core, shard_id from, shard_id to) {
  const auto check = [&core] {
    if (core.instance() == nullptr) core.not_running().raise();
  };
  co_await or_fail(submit_to(from, check));
  co_await or_fail(submit_to(to, check));
}

/// REQUIRES: no other move of the service.
future<> drain_and_hand_over(service_core& core, slot_id slot, shard_id from, shard_id to, time_point until,
                             hand_over_function* hand_over) {
  co_await or_fail(check_running(core, from, to));
  auto held = co_await as_result(core.moves().draining->run([&] { return hold_everywhere(core, slot, until); }));
  if (!held && held.error().code() == status_code::deadline_exceeded) {
    co_await fail(status_code::deadline_exceeded,
                  core.name() + ": calls for slot " + std::to_string(slot) + " are under way, so it can't move");
  }
  if (!held) co_await fail(std::move(held).error());
  co_await or_fail(hand_over(core, slot, from, to));
}

future<> move_on_shard_0(service_core& core, slot_id slot, shard_id to, duration within,
                         hand_over_function* hand_over) {
  const shard_id from = core.slots().owner(slot);
  if (from == to) co_return;
  const time_point until = saturating_add(mono_now(), within);
  core.moves().draining.emplace();
  const auto move = [&] { return drain_and_hand_over(core, slot, from, to, until, hand_over); };
  auto moved = co_await as_result(detail::invoke_safely(move));
  core.moves().draining.reset();
  const shard_id owner = moved ? to : from;
  const auto release = [&core, slot, owner] { core.slots().release(slot, owner); };
  const auto release_everywhere = [&release] { return surely_everywhere(release); };
  while (!co_await as_result(detail::invoke_safely(release_everywhere))) co_await yield();
  core.moves().ended.add(moved ? status_code::ok : moved.error().code());
  if (!moved) co_await fail(std::move(moved).error());
}

/// Ends the wait for the calls under way where the work that asks for the move gives up. What comes after it goes on.
class ends_drain : cancel_hook {
 public:
  /// REQUIRES: this work has not given up.
  explicit ends_drain(service_core& core) noexcept : cancel_hook(&gives_up), core_(core) {
    if (call_context* asker = this_shard().context) asker->add(*this);
  }

 private:
  static void gives_up(cancel_hook* hook, const error& reason) noexcept {
    auto& draining = static_cast<ends_drain*>(hook)->core_.moves().draining;
    if (draining) draining->cancel(reason);
  }
  service_core& core_;
};

/// The calls that a move makes wait for no place in full lanes: what has those may wait for the move.
future<> move_in_turn(service_core& core, slot_id slot, shard_id to, duration within, hand_over_function* hand_over) {
  const auto turn = co_await or_fail(core.moves().one.lock());
  if (!core.moves().allowed) co_await fail(is_stopping(core));
  if (const error* gave_up = cancellation()) co_await fail(*gave_up);
  const ends_drain on_giving_up(core);
  const auto move = [&core, slot, to, within, hand_over] { return move_on_shard_0(core, slot, to, within, hand_over); };
  co_await or_fail(with_context({.depth = outbox::levels}, move));
}

}  // namespace

void allow_moves(service_core& core) noexcept { core.moves().allowed = true; }

future<> end_moves(service_core& core) {
  core.moves().allowed = false;
  if (core.moves().draining) core.moves().draining->cancel(is_stopping(core));
  static_cast<void>(co_await or_fail(core.moves().one.lock()));
}

slot_id detail::count_of_slots(service_core& core) noexcept { return core.slots().count(); }
shard_id detail::owner_of_slot(service_core& core, slot_id slot) noexcept { return core.slots().owner(slot); }
std::uint64_t detail::hold_of_move(service_core& core, slot_id slot) noexcept {
  return core.slots().hold_of_move(slot);
}

void detail::report_lost_slot(const service_core& core, slot_id slot, const error& why) {
  log_error("service {}: slot {} could be given to no shard: what it had is lost: {}", core.name(), slot,
            why.to_string());
}

future<> move_slot(service_core& core, slot_id slot, shard_id to, duration within, hand_over_function* hand_over) {
  if (to >= shard_count()) return make_failed_future(no_such_shard(to));
  if (slot >= core.slots().count()) {
    return make_failed_future(error(status_code::out_of_range, core.name() + " has " +
                                                                   std::to_string(core.slots().count()) +
                                                                   " slots, none is number " + std::to_string(slot)));
  }
  if (core.slots().is_asked_by_what_it_waits_for(slot)) {
    return make_failed_future(
        error(status_code::failed_precondition,
              core.name() +
                  ": a move would wait for itself: it was asked for by a call for the same slot, or by another move"));
  }
  return submit_to(0, [&core, slot, to, within, hand_over] { return move_in_turn(core, slot, to, within, hand_over); });
}

}  // namespace atoll_root::atoll
