// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/turns.hh>

#include <new>

#include <atoll/sharding/call_message.hh>

namespace atoll_root::atoll {

turn_line* turns::find_line(std::uint64_t key) noexcept {
  try {
    if (recent_ == nullptr) recent_ = std::make_unique<lines_used_last>();
    turn_line& found = lines_[key];
    found.key = key;
    return recent(key) = &found;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void turns::forget(std::uint64_t key) noexcept {
  turn_line*& last = recent(key);
  if (last != nullptr && last->key == key) last = nullptr;
  lines_.erase(key);
}

turns::entry turns::enter(call_message& call, std::uint64_t key) {
  turn_line* const found = line_of(key);
  if (found == nullptr) throw std::bad_alloc();
  turn_line& l = *found;
  l.of = this;
  call.is_in_line(l);
  if (has_free(l)) {
    call.has_turn(take(l, this_shard()));
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

void turns::forget_kept() noexcept {
  one_.kept = nullptr;
  for (auto& [key, l] : lines_) l.kept = nullptr;
}

void turns::call_next(turn_line& l) noexcept {
  shard& here = this_shard();
  while (l.running < options_.concurrency && !l.queue.empty()) {
    auto& next = static_cast<call_message&>(l.queue.pop());
    if (next.is_given_up()) {
      --l.given_up;
      next.has_no_turn();
    } else {
      --l.waiting;
      --waiting_;
      ++l.called;
      next.has_turn(take(l, here));
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
