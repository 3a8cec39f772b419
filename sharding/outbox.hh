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
#pragma once

#include <cstdint>

#include <atoll/actors/base/intrusive_list.hh>

namespace atoll_root::atoll {

class call_caller;

/// The place of a call in an outbox.
struct outbox_hook : list_hook {};

class outbox {
 public:
  static constexpr std::uint32_t calls_in_flight_max = 4096;

  /// Sends the call now, or when a place is free.
  void submit(call_caller& call) noexcept;

  /// A call came back: its place is free.
  void returned() noexcept;

  /// Takes back a call that was not sent yet; false where it was.
  bool withdraw(call_caller& call) noexcept;

  /// Calls that wait for a place.
  [[nodiscard]] std::uint32_t waiting() const noexcept { return waiting_count_; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_; }

 private:
  std::uint32_t in_flight_ = 0;
  std::uint32_t waiting_count_ = 0;
  intrusive_list<outbox_hook> waiting_;
};

}  // namespace atoll_root::atoll
