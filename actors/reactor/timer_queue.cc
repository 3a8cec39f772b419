// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/timer_queue.hh>

#include <bit>

namespace atoll_root::atoll {

std::size_t timer_queue::bucket_of(std::uint64_t at) const noexcept {
  // Bucket 0 holds what is due; bucket b what differs from last_ first in bit b - 1.
  return at <= last_ ? 0 : static_cast<std::size_t>(64 - std::countl_zero(at ^ last_));
}

void timer_queue::arm(timer_node& t, time_point at) noexcept {
  t.at = at;
  lists_[bucket_of(count_of(at))].push_back(t);
}

std::size_t timer_queue::advance(time_point now) noexcept {
  const std::uint64_t to = count_of(now);
  if (to > last_) {
    // The buckets up to the highest changed bit may hold due timers; the ones above keep their place.
    const auto highest = static_cast<std::size_t>(64 - std::countl_zero(to ^ last_));
    intrusive_list<timer_node> moved;
    for (std::size_t b = 1; b <= highest; ++b) moved.splice(lists_[b]);
    last_ = to;
    while (timer_node* t = moved.pop_front()) lists_[bucket_of(count_of(t->at))].push_back(*t);
  }
  std::size_t fired = 0;
  intrusive_list<timer_node> due;
  due.splice(lists_[0]);
  while (timer_node* t = due.pop_front()) {
    t->fire(t);
    ++fired;
  }
  return fired;
}

time_point timer_queue::next() const noexcept {
  auto& lists = const_cast<timer_queue*>(this)->lists_;
  for (std::size_t b = 0; b < buckets; ++b) {
    if (lists[b].empty()) continue;
    if (b == 0) return time_point(duration(static_cast<std::int64_t>(last_)));
    // The lowest time the bucket can hold: last_ with bit b-1 set and all lower bits clear.
    const std::uint64_t bit = std::uint64_t{1} << (b - 1);
    const std::uint64_t lowest = (last_ | bit) & ~(bit - 1);
    return time_point(duration(static_cast<std::int64_t>(lowest)));
  }
  return never;
}

}  // namespace atoll_root::atoll
