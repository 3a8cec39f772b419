// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The heart of a simulated world: its time, what is going to happen, and what has. Internal to the simulation.
#pragma once

#include <cstdint>

#include <atoll/simulation/chance.hh>
#include <atoll/simulation/event_queue.hh>
#include <atoll/simulation/history.hh>

namespace atoll_root::atoll::sim {

class engine {
 public:
  explicit engine(std::uint64_t seed) : seed_(seed), events_(seed) {}
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }
  [[nodiscard]] time_point now() const noexcept { return now_; }
  [[nodiscard]] chance stream(purpose of, std::uint64_t index = 0) const noexcept { return {seed_, of, index}; }

  void at(time_point when, event_queue::action what) { events_.add(std::max(when, now_), std::move(what)); }
  void after(duration d, event_queue::action what) { events_.add(now_ + d, std::move(what)); }

  [[nodiscard]] bool idle() const noexcept { return events_.empty(); }
  [[nodiscard]] time_point next_at() const noexcept { return events_.empty() ? never : events_.next_at(); }
  /// Has the next event happen. REQUIRES: !idle().
  void step() {
    now_ = events_.next_at();
    events_.take()();
  }
  /// Lets time pass where nothing happens until then. REQUIRES: next_at() is not before.
  void pass_until(time_point when) noexcept { now_ = std::max(now_, when); }

  void note(happening what, std::uint64_t a, std::uint64_t b = 0, std::uint64_t c = 0) {
    past_.add(now_, what, a, b, c);
  }
  [[nodiscard]] history& past() noexcept { return past_; }

 private:
  std::uint64_t seed_;
  time_point now_{};
  event_queue events_;
  history past_;
};

}  // namespace atoll_root::atoll::sim
