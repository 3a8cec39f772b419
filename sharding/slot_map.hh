// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Which shard serves which slot of a service, as one shard knows it. Internal to atoll; users have slot_table (slots.hh).
//
//   if (slots.admit(slot, call)) ...                 // a call may go to owner(slot); ended(slot) when it is back
//   slots.hold(slot);  co_await slots.drained(slot); // new ones wait here, those under way have ended
//   slots.release(slot, 3);                          // those that waited go to shard 3, in order
//
// A slot moves in three steps, which slot_mover.cc has each shard take: hold, seal, release. While it is held, calls from this
// shard wait in the order made, but for those made to serve a call for that same slot, which has to end first. While it is sealed, all
// wait. A call counts as under way from its start until its record is back: given up by its caller or not.
// Shard rules: each shard has its own, and touches no other's. Cost: a look at 8 bytes for each call, and there and back
// one addition.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/actors/reactor/shard.hh>
#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/sharding/call_message.hh>
#include <atoll/sharding/key_hash.hh>

namespace atoll_root::atoll {

class slot_map {
 public:
  /// `id`: tells the service's slots from those of others, in the low 46 bits. Slots are spread over the shards, neighbours together.
  slot_map(std::uint64_t id, slot_id slots, shard_id shards);

  [[nodiscard]] slot_id count() const noexcept { return static_cast<slot_id>(lines_.size()); }
  [[nodiscard]] shard_id owner(slot_id slot) const noexcept { return lines_[slot].owner; }
  /// Slots that are this shard's.
  [[nodiscard]] slot_id owned() const noexcept;

  /// What calls that are served for a slot carry: see serial_hold.
  [[nodiscard]] std::uint64_t hold_of(slot_id slot) const noexcept { return id_ | slot; }
  /// What those carry that the move itself makes, or waits for. What they call in the slot can't be served before they end.
  [[nodiscard]] std::uint64_t hold_of_move(slot_id slot) const noexcept { return hold_of(slot) | is_of_a_move; }

  /// True where what runs now serves a call for the slot, or is part of a move of any: a move of the slot would wait for it.
  [[nodiscard]] bool is_asked_by_what_it_waits_for(slot_id slot) const noexcept;

  /// Counts the call as under way; or keeps it until the slot is released: then call.released() is called. One that could
  /// only wait for itself is kept and given up at once.
  bool admit(slot_id slot, call_caller& call) noexcept {
    line& l = lines_[slot];
    if (l.at != phase::open) [[unlikely]]
      return admit_to_held(slot, call);
    ++l.under_way;
    return true;
  }
  /// A call that was admitted is back.
  void ended(slot_id slot) noexcept {
    line& l = lines_[slot];
    if (--l.under_way == 0 && l.at != phase::open) [[unlikely]]
      moving_.at(slot).none_left.set();
  }
  /// A call that is kept was given up; it is out of its list.
  void gave_up(slot_id slot) noexcept { --moving_.at(slot).waiting; }
  /// Calls that are kept.
  [[nodiscard]] std::uint64_t waiting() const noexcept;

  /// Keeps new calls. Does nothing where they are kept. Throws bad_alloc.
  void hold(slot_id slot);
  /// Ready when none is under way; ends by deadline and cancellation.
  future<> drained(slot_id slot);
  /// Keeps all calls; false where some are under way.
  bool seal(slot_id slot) noexcept;
  /// Back to what hold() did: calls that must not wait go.
  void unseal(slot_id slot) noexcept;
  /// Names the owner; what was kept goes there. Does nothing else where nothing is kept.
  void release(slot_id slot, shard_id owner) noexcept;

 private:
  static constexpr std::uint64_t is_of_a_move = std::uint64_t{1} << 62;

  enum class phase : std::uint8_t { open, held, sealed };
  struct line {
    std::uint32_t under_way = 0;
    std::uint16_t owner = 0;
    phase at = phase::open;
  };
  struct moving {
    intrusive_list<outbox_hook> kept;
    std::uint64_t waiting = 0;
    event none_left{"calls of a slot that moves"};
  };

  bool admit_to_held(slot_id slot, call_caller& call) noexcept;

  std::uint64_t id_;
  std::vector<line> lines_;
  std::map<slot_id, moving> moving_;
};

}  // namespace atoll_root::atoll
