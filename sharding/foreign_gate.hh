// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// foreign_gate: where calls of foreign threads enter a runtime. Internal to atoll; users see `foreign_port`.
//
//   if (auto refused = gate.send(call, 1)) ...      // any thread, at any time; refused: the call is still the sender's
//
// Every port shares the gate, so it outlives the runtime. How no sender touches a runtime that is gone: a sender counts
// itself in `entering_` and then reads `closed_`; the runtime sets `closed_` and then waits until `entering_` is 0.
// Both steps are sequentially consistent, so at least one of them sees the other. The shards stop only after that, and
// so they see every call that was let in.
// Bounds: `calls_in_flight_max` calls a shard, from their entry to their answer.
#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include <atoll/actors/base/error.hh>
#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/sharding/mailroom.hh>

namespace atoll_root::atoll {

/// A call of a foreign thread: its shard's from the moment the gate let it in.
class foreign_call_base : public task, public list_hook {
 public:
  explicit foreign_call_base(task::run_function* execute) noexcept : task(execute) {}

  /// On its shard, whose loop has ended: answers a call that still runs. What it waits for never comes, so
  /// neither the call nor its frames are touched again.
  virtual void abandon() noexcept = 0;

 protected:
  ~foreign_call_base() = default;
};

class foreign_gate {
 public:
  static constexpr std::uint32_t calls_in_flight_max = 4096;  // a shard

  explicit foreign_gate(mailroom& room);

  /// The lanes, for tasks that pass the gate by. REQUIRES: the shards run.
  [[nodiscard]] mailroom& room() noexcept { return room_; }

  /// Hands a call to a shard. Else, with the call untouched: `unavailable` where the runtime stops or has ended,
  /// `resource_exhausted` at the bound, `out_of_range` where there is no such shard.
  std::optional<error> send(foreign_call_base& call, shard_id to);

  /// On that shard: one of its calls is about to be answered.
  void answered(shard_id by) noexcept { in_flight_[by].calls.fetch_sub(1, std::memory_order_relaxed); }

  /// Lets nobody in from here on.
  void close() noexcept { closed_.store(true, std::memory_order_seq_cst); }
  [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  /// True when no thread is inside send() that still may hand something to a shard. REQUIRES: closed.
  [[nodiscard]] bool quiet() const noexcept { return entering_.load(std::memory_order_seq_cst) == 0; }

  /// REQUIRES: there is such a shard.
  [[nodiscard]] std::uint32_t calls_in_flight(shard_id on) const noexcept {
    return in_flight_[on].calls.load(std::memory_order_relaxed);
  }

  /// How many were refused at the bound so far. REQUIRES: there is such a shard.
  [[nodiscard]] std::uint64_t calls_refused(shard_id on) const noexcept {
    return in_flight_[on].refused.load(std::memory_order_relaxed);
  }

  /// What a call gets that was not let in, or not run.
  static error stopped();

 private:
  struct alignas(64) counter {
    std::atomic<std::uint32_t> calls{0};
    std::atomic<std::uint64_t> refused{0};
  };

  mailroom& room_;
  const shard_id shards_;
  std::unique_ptr<counter[]> in_flight_;  // NOLINT: not movable, sized at run time
  alignas(64) std::atomic<std::uint32_t> entering_{0};
  alignas(64) std::atomic<bool> closed_{false};
};

}  // namespace atoll_root::atoll
