// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/slot_mover.hh>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/future/cancel.hh>
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
    if (sealed.error().code() != status_code::aborted) co_await fail(std::move(sealed).error());
    co_await surely_everywhere([&core, slot] { core.slots().unseal(slot); });
  }
}

future<> move_on_shard_0(service_core& core, slot_id slot, shard_id to, duration within,
                         hand_over_function* hand_over) {
  const shard_id from = core.slots().owner(slot);
  if (from == to) co_return;
  auto moved = co_await as_result(hold_everywhere(core, slot, saturating_add(mono_now(), within)));
  if (moved) {
    const auto give = [&] { return hand_over(core, slot, from, to); };
    moved = co_await as_result(detail::invoke_safely(give));
  } else if (moved.error().code() == status_code::deadline_exceeded) {
    moved = error(status_code::deadline_exceeded,
                  core.name() + ": calls for slot " + std::to_string(slot) + " are under way, so it can't move");
  }
  const shard_id owner = moved ? to : from;
  co_await surely_everywhere([&core, slot, owner] { core.slots().release(slot, owner); });
  core.slot_moves.add(moved ? status_code::ok : moved.error().code());
  if (!moved) co_await fail(std::move(moved).error());
}

/// Who gives up while others move does nothing; what has begun is finished.
future<> move_in_turn(service_core& core, slot_id slot, shard_id to, duration within, hand_over_function* hand_over) {
  const auto turn = co_await or_fail(core.one_move.lock());
  const auto move = [&core, slot, to, within, hand_over] { return move_on_shard_0(core, slot, to, within, hand_over); };
  co_await or_fail(with_context({}, move));
}

}  // namespace

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
  return submit_to(0, [&core, slot, to, within, hand_over] { return move_in_turn(core, slot, to, within, hand_over); });
}

}  // namespace atoll_root::atoll
