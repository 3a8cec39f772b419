// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/slot_map.hh>

#include <algorithm>
#include <utility>

#include <atoll/actors/reactor/points.hh>

namespace atoll_root::atoll {
namespace {

constexpr std::uint64_t is_of_a_slot = std::uint64_t{1} << 63;  // ids of turns don't have it: turns.hh

}  // namespace

slot_map::slot_map(std::uint64_t id, slot_id slots, shard_id shards) : id_(is_of_a_slot | id << 16), lines_(slots) {
  ATOLL_ASSERT(slots <= slots_max, "at most 65,536 slots");
  ATOLL_ASSERT(id >> 46 == 0, "ids of slots have room for 46 bits of the service");
  for (slot_id s = 0; s < slots; ++s) lines_[s].owner = static_cast<std::uint16_t>(std::uint64_t{s} * shards / slots);
}

slot_id slot_map::owned() const noexcept {
  return static_cast<slot_id>(std::ranges::count_if(lines_, [](const line& l) { return l.owner == this_shard_id(); }));
}

bool slot_map::is_asked_by_what_it_waits_for(slot_id slot) const noexcept {
  return call_caller::is_made_under(hold_of(slot)) || std::ranges::any_of(moving_, [this](const auto& each) {
           return call_caller::is_made_under(hold_of_move(each.first));
         });
}

std::uint64_t slot_map::waiting() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [slot, each] : moving_) sum += each.waiting;
  return sum;
}

bool slot_map::admit_to_held(slot_id slot, call_caller& call) noexcept {
  line& l = lines_[slot];
  moving& m = moving_.at(slot);
  if (call.find_out_if_made_for(hold_of(slot)) && l.at == phase::held) {
    ++l.under_way;
    m.none_left.reset();
    return true;
  }
  outbox_hook& place = call.place_to_wait();
  m.kept.push_back(place);
  ++m.waiting;
  if (call_caller::is_made_under(hold_of_move(slot))) [[unlikely]]
    call.waits_for_itself();
  return false;
}

void slot_map::hold(slot_id slot) {
  if (lines_[slot].at != phase::open) return;
  moving& m = moving_[slot];
  if (lines_[slot].under_way == 0) m.none_left.set();
  lines_[slot].at = phase::held;
}

future<> slot_map::drained(slot_id slot) {
  while (lines_[slot].under_way > (ATOLL_MUTANT(12) ? 1U : 0U)) co_await or_fail(moving_.at(slot).none_left.wait());
}

bool slot_map::seal(slot_id slot) noexcept {
  lines_[slot].at = phase::sealed;
  return lines_[slot].under_way <= (ATOLL_MUTANT(12) ? 1U : 0U);
}

void slot_map::unseal(slot_id slot) noexcept {
  line& l = lines_[slot];
  if (l.at != phase::sealed) return;
  l.at = phase::held;
  moving& m = moving_.at(slot);
  intrusive_list<outbox_hook> stay;
  while (outbox_hook* place = m.kept.pop_front()) {
    call_caller& call = call_hook<outbox_hook>::call_of(*place);
    if (call.is_made_for_its_slot()) {
      --m.waiting;
      ++l.under_way;
      m.none_left.reset();
      call.released(l.owner);
    } else {
      stay.push_back(*place);
    }
  }
  m.kept.splice(stay);
}

void slot_map::release(slot_id slot, shard_id owner) noexcept {
  line& l = lines_[slot];
  [[maybe_unused]] const shard_id before = std::exchange(l.owner, static_cast<std::uint16_t>(owner));
  l.at = phase::open;
  const auto at = moving_.find(slot);
  if (at == moving_.end()) return;
  while (outbox_hook* place = at->second.kept.pop_front()) {
    ++l.under_way;
    ATOLL_SOMETIMES("slots: a call waited for a slot that moved");
    call_hook<outbox_hook>::call_of(*place).released(ATOLL_MUTANT(8) ? before : owner);
  }
  moving_.erase(at);
}

}  // namespace atoll_root::atoll
