// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Moves a slot: what is the same for every service. Internal to atoll; users have slot_table (slots.hh), which says what it does.
#pragma once

#include <atoll/sharding/call.hh>
#include <atoll/sharding/service_core.hh>

namespace atoll_root::atoll {

/// Gives what a slot's instance has of it to another shard's; fails where it is the old one's still.
using hand_over_function = future<>(service_core& core, slot_id slot, shard_id from, shard_id to);

/// On shard 0, of a service that starts: slots may move.
void allow_moves(service_core& core) noexcept;
/// On shard 0, of a service that stops: ends the moves that wait, and waits for the one under way.
future<> end_moves(service_core& core);

/// Moves are made on shard 0, one of a service at a time.
future<> move_slot(service_core& core, slot_id slot, shard_id to, duration within, hand_over_function* hand_over);

namespace detail {

slot_id count_of_slots(service_core& core) noexcept;
shard_id owner_of_slot(service_core& core, slot_id slot) noexcept;
/// What the calls that a move makes carry: see slot_map.hh.
std::uint64_t hold_of_move(service_core& core, slot_id slot) noexcept;

/// Neither shard took what the slot had.
void report_lost_slot(const service_core& core, slot_id slot, const error& why);

}  // namespace detail
}  // namespace atoll_root::atoll
