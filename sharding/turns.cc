// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/turns.hh>

#include <atoll/actors/reactor/points.hh>
#include <atoll/sharding/call_message.hh>

namespace atoll_root::atoll {
namespace {

/// Ids of turns: unique in the process while it lives.
std::uint64_t next_hold() noexcept {
  shard& s = this_shard();
  return (std::uint64_t{s.id} << 48) | ++s.turns_taken;
}

}  // namespace

std::uint64_t turns::take(turn_line& l) noexcept {
  ++l.running;
  return l.hold = next_hold();
}

bool turns::has_free(const turn_line& l) const noexcept {
  // Nobody overtakes those that have been called.
  const std::uint32_t most = options_.concurrency + (ATOLL_MUTANT(9) && l.waiting > 2 ? 1 : 0);
  return l.running < most && l.called == 0;
}

bool turns::enter_free(call_turn& its) {
  turn_line& l = line_of(its.key);
  if (!has_free(l)) return false;
  l.of = this;
  its.line = &l;
  its.id = take(l);
  return true;
}

turns::entry turns::enter(call_message& call, std::uint64_t key) {
  turn_line& l = line_of(key);
  l.of = this;
  call.is_in_line(l);
  if (has_free(l)) {
    call.has_turn(take(l));
    return entry::taken;
  }
  if (options_.concurrency == 1 && holds(call.holders(), l.hold)) return entry::holds_it_itself;
  if (l.waiting >= options_.queue) return entry::full;
  ATOLL_SOMETIMES("turns: a call waited for its turn");
  ++l.waiting;
  ++waiting_;
  l.queue.push(call);
  return entry::waits;
}

void turns::arrived(turn_line& l) noexcept {
  --l.called;
  call_next(l);
}

void turns::leave(call_turn& its) noexcept {
  turn_line& l = *its.line;
  --l.running;
  if (!l.queue.empty()) call_next(l);
  if (lines_.size() > lines_kept && l.running == 0) lines_.erase(its.key);
}

void turns::forget_kept() noexcept {
  one_.kept = nullptr;
  for (auto& [key, l] : lines_) l.kept = nullptr;
}

void turns::call_next(turn_line& l) noexcept {
  while (l.running < options_.concurrency && !l.queue.empty()) {
    auto& next = static_cast<call_message&>(l.queue.pop());
    if (next.is_given_up()) {
      --l.given_up;
      next.has_no_turn();
    } else {
      --l.waiting;
      --waiting_;
      ++l.called;
      next.has_turn(take(l));
    }
    schedule(next);
  }
}

void turns::give_up(turn_line& l) noexcept {
  --l.waiting;
  --waiting_;
  // Half of the queue at least goes at a time, so that each costs little.
  if (++l.given_up <= l.waiting) return;
  ATOLL_SOMETIMES("turns: most of those that waited were given up");
  l.given_up = 0;
  run_queue stay;
  while (!l.queue.empty()) {
    auto& each = static_cast<call_message&>(l.queue.pop());
    if (each.is_given_up()) {
      each.has_no_turn();
      schedule(each);
    } else {
      stay.push(each);
    }
  }
  l.queue = stay;
}

}  // namespace atoll_root::atoll
