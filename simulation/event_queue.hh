// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What is going to happen in a simulated world, earliest first; what happens at the same time in an order that the seed
// chooses.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <vector>

#include <atoll/actors/reactor/clock.hh>
#include <atoll/simulation/chance.hh>

namespace atoll_root::atoll::sim {

class event_queue {
 public:
  using action = std::function<void()>;

  explicit event_queue(std::uint64_t seed) : ties_(seed, purpose::schedule, 1) {}

  void add(time_point at, action what) {
    const std::uint64_t tie = ties_();
    events_.push_back({at, tie, ++added_, std::move(what)});
    std::ranges::push_heap(events_, is_later);
  }

  [[nodiscard]] bool empty() const noexcept { return events_.empty(); }
  /// REQUIRES of both: not empty.
  [[nodiscard]] time_point next_at() const noexcept { return events_.front().at; }
  action take() {
    std::ranges::pop_heap(events_, is_later);
    action what = std::move(events_.back().what);
    events_.pop_back();
    return what;
  }

 private:
  struct event {
    time_point at;
    std::uint64_t tie;
    std::uint64_t number;
    action what;
  };
  static bool is_later(const event& a, const event& b) noexcept {
    if (a.at != b.at) return a.at > b.at;
    if (a.tie != b.tie) return a.tie > b.tie;
    return a.number > b.number;
  }

  std::vector<event> events_;  // a heap
  std::uint64_t added_ = 0;
  chance ties_;
};

}  // namespace atoll_root::atoll::sim
