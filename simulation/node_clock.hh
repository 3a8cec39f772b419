// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The clock of a simulated node: the world's time, from a start of its own and a little too fast or too slow. Its time of day
// can be set, too.
#pragma once

#include <atoll/simulation/engine.hh>

namespace atoll_root::atoll::sim {

class node_clock final : public clock {
 public:
  /// ppm: how much faster than the world's it runs, in millionths; |ppm| < 100'000.
  node_clock(const engine& world, time_point start, wall_time wall, std::int64_t ppm) noexcept
      : world_(world),
        began_(world.now()),
        start_(start),
        wall_offset_(wall.time_since_epoch() - start.time_since_epoch()),
        ppm_(ppm) {}

  time_point now() noexcept override {
    // Who only looks at the time until it has passed would look for ever.
    if (++looks_ > free_looks) extra_ += duration(look_takes);
    return start_ + scaled(world_.now() - began_) + extra_;
  }
  wall_time wall_now() noexcept override { return wall_time(now().time_since_epoch() + wall_offset_); }

  /// A turn of one of the node's shards begins. What its looks took in the last one, the world's time has to catch up with.
  void begin_turn() noexcept {
    looks_ = 0;
    const duration passed = world_.now() - last_turn_;
    last_turn_ = world_.now();
    extra_ = std::max(extra_ - passed / 2, duration(0));  // by half: it must not go back
  }
  /// When this clock will show that time, in the world's; the world's now where it has passed.
  [[nodiscard]] time_point in_world(time_point own) const noexcept {
    if (own == never) return never;
    const duration left = own - start_ - extra_;
    if (left <= scaled(world_.now() - began_)) return world_.now();
    const std::int64_t rate = million + ppm_;
    std::int64_t passes = left.count() / rate * million + left.count() % rate * million / rate;
    while (scaled(duration(passes)) < left) ++passes;
    return saturating_add(began_, duration(passes));
  }

  /// From now on it runs so much faster than the world's.
  void set_drift(std::int64_t ppm) noexcept {
    start_ += scaled(world_.now() - began_);
    began_ = world_.now();
    ppm_ = ppm;
  }
  /// Sets the time of day, as an administrator does.
  void step_wall(duration by) noexcept { wall_offset_ += by; }

 private:
  static constexpr std::int64_t million = 1'000'000;
  static constexpr std::uint32_t free_looks = 64;  // of a turn
  static constexpr std::int64_t look_takes = 25;   // ns

  [[nodiscard]] duration scaled(duration passed) const noexcept {
    return duration(passed.count() + passed.count() / million * ppm_ + passed.count() % million * ppm_ / million);
  }

  const engine& world_;
  time_point began_;
  time_point start_;
  duration wall_offset_;
  std::int64_t ppm_;
  duration extra_{};
  time_point last_turn_{};
  std::uint32_t looks_ = 0;
};

}  // namespace atoll_root::atoll::sim
