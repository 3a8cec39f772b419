// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// How many calls one shard may have under way to another.
//
// Invariants: calls go out in the order submitted. At most `calls_in_flight_max` calls of depth 0 are under
// way; more wait here, each until its turn or its deadline. A call made while serving a call (depth above 0)
// never waits here: the one above it holds a place already, and to wait behind new work is how a cycle of
// calls deadlocks. Nor do the framework's own (submit_to): a service has to be stoppable while its lanes are full.
// Waiting allocates nothing; a call that expires leaves at once.
// The caller's side of a lane is counted here, too: calls by outcome and how long they take, exported from the first call on.
#pragma once

#include <cstdint>
#include <memory>

#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/actors/reactor/shard.hh>
#include <atoll/sharding/service_stats.hh>

namespace atoll_root::atoll {

class call_caller;

/// The place of a call in an outbox.
struct outbox_hook : list_hook {};

class outbox {
 public:
  outbox();
  outbox(const outbox&) = delete;
  outbox& operator=(const outbox&) = delete;
  ~outbox();

  static constexpr std::uint32_t calls_in_flight_max = 4096;

  /// Gives a call a place now; false: it has to wait().
  bool enter(bool passes_bounds) noexcept {
    if (!passes_bounds && (in_flight_ >= calls_in_flight_max || !waiting_.empty())) return false;
    ++in_flight_;
    return true;
  }
  /// Sends the call when a place is free.
  void wait(call_caller& call) noexcept;

  /// A call came back: its place is free.
  void returned() noexcept {
    --in_flight_;
    if (!waiting_.empty()) [[unlikely]]
      send_waiting();
  }

  /// Takes back a call that was not sent yet; false where it was.
  bool withdraw(call_caller& call) noexcept;

  /// Calls that wait for a place.
  [[nodiscard]] std::uint32_t waiting() const noexcept { return waiting_count_; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_; }

  /// Which calls to that shard are measured.
  [[nodiscard]] timed_calls& timed() noexcept { return timed_; }
  void took(duration how_long, std::uint32_t weight) noexcept;
  /// A caller has its outcome.
  void ended(shard_id to, status_code code) noexcept {
    if (exported_ == nullptr) [[unlikely]]
      export_metrics(to);
    ended_.add(code);
  }

 private:
  struct exported;

  void export_metrics(shard_id to) noexcept;
  void send_waiting() noexcept;

  std::uint32_t in_flight_ = 0;
  std::uint32_t waiting_count_ = 0;
  intrusive_list<outbox_hook> waiting_;
  status_counts ended_;
  timed_calls timed_;
  std::unique_ptr<exported> exported_;
};

}  // namespace atoll_root::atoll
