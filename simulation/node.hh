// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A node of a simulated world, from one start of its process to its end: a runtime whose shards take turns in the world's
// thread. Internal to the simulation.
//
// A turn of a shard is a pass of its loop with some tasks; the next one comes after the time that it took, which is chance. A shard
// that has nothing to do sleeps until its next timer, or until somebody wakes it: some time after that.
// One that has crashed is never run again. Its memory stays until the process ends, as what refers to it may: a seed has a process.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/future/cancel.hh>
#include <atoll/sharding/runtime_shard.hh>
#include <atoll/simulation/backend.hh>
#include <atoll/simulation/node_clock.hh>

namespace atoll_root::atoll::sim {

/// How long things take where nothing is broken.
struct pace_options {
  duration turn_min = std::chrono::nanoseconds(100);
  duration turn_max = std::chrono::nanoseconds(2'000);
  std::uint64_t tasks_a_turn_max = 8;
  duration wake_max = std::chrono::microseconds(50);    // from an event to the turn of a shard that slept
  duration mail_max = std::chrono::microseconds(50);    // from one shard to another
  duration offload_max = std::chrono::milliseconds(5);  // a function that blocks
};

using main_of_node = std::function<future<int>()>;

class node {
 public:
  struct start_options {
    std::uint32_t number = 0;
    std::uint32_t incarnation = 0;
    host_id host = 0;
    shard_id shards = 1;
    time_point clock_start{};
    wall_time wall{};
    std::int64_t drift_ppm = 0;
    std::uint64_t seed = 1;
    bool logs = false;
    sim_points* points = nullptr;
  };

  node(engine& world, network& net, const pace_options& pace, const start_options& options, const main_of_node& main);
  node(const node&) = delete;
  node& operator=(const node&) = delete;
  ~node();

  /// Its process is there no more, at once.
  void crash() noexcept;
  /// SIGTERM, as an app sees it.
  void ask_to_stop();
  void pause_until(time_point until) noexcept { paused_until_ = std::max(paused_until_, until); }
  void end_pause();

  /// Its main and all its shards have ended.
  [[nodiscard]] bool has_ended() const noexcept;
  [[nodiscard]] bool has_crashed() const noexcept;
  /// Of main, when it has ended.
  [[nodiscard]] const std::optional<result<int>>& outcome() const noexcept;
  [[nodiscard]] node_clock& clock() noexcept { return clock_; }
  [[nodiscard]] std::uint32_t number() const noexcept { return options_.number; }
  /// What its coroutines wait for.
  [[nodiscard]] std::string dump_tasks();
  /// Failed futures that nobody read, and scopes destroyed while their work ran, of all shards.
  [[nodiscard]] std::uint64_t left_behind();

 private:
  class shard_of;
  struct parts;

  engine& world_;
  network& net_;
  const pace_options& pace_;
  const start_options options_;
  node_clock clock_;
  time_point paused_until_{};
  std::unique_ptr<parts> parts_;
};

}  // namespace atoll_root::atoll::sim
