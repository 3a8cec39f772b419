// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/timer_queue.hh>

#include <algorithm>
#include <limits>

#include <atoll/actors/reactor/points.hh>

namespace atoll_root::atoll {

void timer_queue::make_place(time_point at) noexcept {
  brief_next_ = std::min(brief_next_, at);
  brief_timer* const oldest = std::exchange(briefs_[briefs_armed_ % briefs_max], nullptr);
  if (oldest == nullptr) return;
  timer_node& t = oldest->does.lasts(*oldest);
  if (briefs_armed_ - briefs_max < briefs_seen_) {
    t.at += briefs_late_;
    place(t);
  } else {
    t.at -= looked_;
    fresh_.push_back(t);
  }
}

void timer_queue::see_briefs(std::int64_t since_look) noexcept {
  // What came since the last look is for times that are too early, by as much as has passed from that look to its coming.
  if (since_look > brief_late_max.count()) {
    briefs_last(since_look);
  } else {
    briefs_late_ = std::max(briefs_late_, since_look);
  }
  briefs_seen_ = briefs_armed_;
}

void timer_queue::briefs_last(std::int64_t unseen_late) noexcept {
  forget_ended_briefs();
  for (; briefs_over_ != briefs_armed_; ++briefs_over_) {
    brief_timer* const lasts = std::exchange(briefs_[briefs_over_ % briefs_max], nullptr);
    if (lasts == nullptr) continue;
    ATOLL_SOMETIMES("timers: a brief one lasted");
    timer_node& t = lasts->does.lasts(*lasts);
    t.at += briefs_over_ < briefs_seen_ ? briefs_late_ : unseen_late;
    place(t);
  }
  forget_ended_briefs();
}

void timer_queue::forget_ended_briefs() noexcept {
  briefs_over_ = std::max(briefs_over_, briefs_armed_ - std::min<std::uint64_t>(briefs_armed_, briefs_max));
  while (briefs_over_ != briefs_armed_ && briefs_[briefs_over_ % briefs_max] == nullptr) ++briefs_over_;
  if (briefs_over_ != briefs_armed_) return;
  brief_next_ = never;
  briefs_late_ = 0;
}

std::size_t timer_queue::advance(time_point now) noexcept {
  look(now);
  if (brief_next_ <= now) briefs_last(0);
  const std::int64_t to = now.time_since_epoch().count();
  if (to > last_) {
    const auto from = static_cast<std::uint64_t>(std::exchange(last_, to));
    const auto until = static_cast<std::uint64_t>(to);
    const unsigned highest = static_cast<unsigned>(63 - std::countl_zero(from ^ until)) / digit_bits;
    // Below the highest digit that changed everything is due; in its wheel, the slots up to the new digit,
    // and the last of these holds timers to be placed anew.
    intrusive_list<timer_node> moved;
    for (unsigned level = 0; level <= highest; ++level) {
      wheel& w = wheels_[level];
      const unsigned last_slot = level < highest ? slots - 1 : digit(until, highest);
      const std::uint64_t passed = w.occupied & (~std::uint64_t{0} >> (slots - 1 - last_slot));
      w.occupied &= ~passed;
      for (std::uint64_t mask = passed; mask != 0; mask &= mask - 1) {
        const auto s = static_cast<unsigned>(std::countr_zero(mask));
        (level == highest && s == last_slot ? moved : due_).splice(w.slot[s]);
      }
    }
    while (timer_node* t = moved.pop_front()) place(*t);
  }
  while (timer_node* t = fresh_.pop_front()) {
    if (ATOLL_MUTANT(10)) t->at -= t->at / 64;
    t->at = t->at > std::numeric_limits<std::int64_t>::max() - last_ ? std::numeric_limits<std::int64_t>::max()
                                                                     : last_ + t->at;
    place(*t);
  }
  std::size_t fired = 0;
  for (; fired < fired_at_once_max; ++fired) {
    timer_node* t = due_.pop_front();
    if (t == nullptr) break;
    t->fire(t);
  }
  fired_ += fired;
  return fired;
}

std::size_t timer_queue::waiting(std::size_t most) noexcept {
  std::size_t n = 0;
  const auto count = [&n, most](intrusive_list<timer_node>& list) {
    for (auto at = list.begin(); at != list.end() && n < most; ++at) ++n;
  };
  count(due_);
  count(fresh_);
  for (const brief_timer* const t : briefs_) {
    if (t != nullptr && n < most) ++n;
  }
  for (wheel& w : wheels_) {
    for (std::uint64_t mask = w.occupied; mask != 0; mask &= mask - 1) {
      count(w.slot[static_cast<std::size_t>(std::countr_zero(mask))]);
    }
  }
  return n;
}

time_point timer_queue::next() noexcept {
  if (!due_.empty() || !fresh_.empty()) return time_point(duration(last_));
  forget_ended_briefs();
  if (briefs_over_ != briefs_armed_ && briefs_seen_ != briefs_armed_) return time_point(duration(last_));
  return std::min(next_in_wheels(), brief_next_);
}

time_point timer_queue::next_in_wheels() noexcept {
  for (unsigned level = 0; level < wheels; ++level) {
    wheel& w = wheels_[level];
    while (w.occupied != 0) {
      const auto s = static_cast<unsigned>(std::countr_zero(w.occupied));
      if (w.slot[s].empty()) {
        w.occupied &= w.occupied - 1;
        continue;
      }
      // The exact time where that is cheap to find, else the first the slot can hold.
      constexpr int looked_at_max = 64;
      int looked_at = 0;
      std::int64_t earliest = std::numeric_limits<std::int64_t>::max();
      for (timer_node& t : w.slot[s]) {
        earliest = std::min(earliest, t.at);
        if (++looked_at == looked_at_max) {
          const unsigned shift = level * digit_bits;
          const auto above = shift + digit_bits >= 64 ? 0 : static_cast<std::uint64_t>(last_) >> (shift + digit_bits);
          earliest = static_cast<std::int64_t>(((above << digit_bits) | s) << shift);
          break;
        }
      }
      return time_point(duration(earliest));
    }
  }
  return never;
}

}  // namespace atoll_root::atoll
