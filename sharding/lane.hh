// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A lane carries tasks from one shard to another, in order. There is one for each ordered pair of shards.
//
//   sender:    lane.push(t);  ...  if (lane.publish()) tell the receiver;
//   receiver:  lane.receive();                                 // schedules what came, in order; runs what is `at_once`
//
// A task is handed over, not copied: its memory stays the sender's, who gets it back as a task on the lane of
// the other direction. The ring is an array of cache lines, each with a count and up to seven task
// pointers; a line with count 0 is free. So a published line costs one transfer between the cores, however
// many tasks it carries, and there are no shared indices (after FastForward, Giacomoni et al., PPoPP 2008).
// Bounds: `ring_lines` lines are in flight. What finds the ring full waits with the sender: up to a batch of them in an array, more in a list that is
// linked through the tasks themselves; what bounds that list are the callers' limits (outbox.hh).
// Thread rules: push and publish by the sending shard, receive by the receiving one; nothing else.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll {

class lane {
 public:
  /// `first`: the line of the ring that is used first. Lanes that are used in step should begin at different ones: lines at
  /// the same place of their pages get in each other's way.
  explicit lane(std::size_t first = 0) noexcept : tail_(first), head_(first) {}
  lane(const lane&) = delete;
  lane& operator=(const lane&) = delete;
  ~lane();

  static constexpr std::size_t tasks_a_line = 7;
  static constexpr std::size_t ring_lines = 256;
  /// So many tasks should be published without waiting for more: two lines are fetched in little more time than one.
  static constexpr std::size_t batch = 2 * tasks_a_line;

  /// Appends a task; it travels with the next publish().
  void push(task& t) noexcept {
    if (!push_quickly(t)) push_slowly(t);
  }
  /// The same where nothing has to be done for that. False, and nothing has changed, where it would be the first one since then, or fill
  /// the batch.
  bool push_quickly(task& t) noexcept {
    const std::size_t before = in_batch_;
    if (before - 1 >= batch - 2) [[unlikely]]
      return false;
    batch_[before] = &t;
    in_batch_ = before + 1;
    return true;
  }
  [[nodiscard]] bool fills_batch() const noexcept { return in_batch_ == batch; }

  /// Makes what was pushed visible to the receiver as far as the ring has room; true if anything was.
  bool publish() noexcept;

  /// Lines that were published.
  [[nodiscard]] std::size_t publishes() const noexcept { return tail_; }
  /// Tasks that were.
  [[nodiscard]] std::uint64_t published() const noexcept { return published_; }
  /// Tasks pushed and not yet published.
  [[nodiscard]] std::size_t unpublished() const noexcept { return in_batch_ + behind_count_; }

  /// Schedules on this shard what the sender published; returns how many tasks.
  /// Where it `may_wait` and there is other work, what has come only now is asked for, and taken the next time: meanwhile it is on
  /// its way from the sender's cache. has_asked() says whether there is some.
  std::size_t receive(bool may_wait = false) noexcept;
  [[nodiscard]] bool has_asked() const noexcept { return asked_ > 0; }

  /// The receiver looks into this lane by itself: the sender need not tell it. See mailroom.hh.
  [[nodiscard]] bool is_watched() const noexcept { return watched_.load(std::memory_order_relaxed); }
  void watch(bool on) noexcept { watched_.store(on, std::memory_order_relaxed); }

 private:
  struct alignas(64) line {
    std::atomic<std::uint64_t> count{0};
    // Atomic so that they are copied one by one, as they were written: a load of two waits until both are out of the store buffer.
    std::array<std::atomic<task*>, tasks_a_line> tasks{};
  };
  static_assert(sizeof(line) == 64);

  using ring = std::array<line, ring_lines>;

  /// The receiver has asked for the tasks of so many lines, at most, before it takes the first one.
  static constexpr std::size_t lines_ahead = 4;

  void push_slowly(task& t) noexcept;
  /// The first n of the batch are gone: the others move up, and those behind it into it.
  void move_up(std::size_t n) noexcept;
  [[nodiscard]] static bool ask(const line& l) noexcept;
  static std::size_t take(shard& here, line& l) noexcept;

  // Made by the sender with the first task: most pairs of many shards never talk. Outside the shard's budget: a shard
  // that has used up its memory has to be able to say so.
  std::atomic<ring*> ring_{nullptr};
  // The sender's side.
  alignas(64) std::size_t in_batch_ = 0;
  std::array<task*, batch> batch_{};  // the oldest
  std::size_t tail_;
  std::uint64_t published_ = 0;
  run_queue behind_;  // in order, while the batch is full
  std::size_t behind_count_ = 0;
  // Read by the sender, seldom written by the receiver.
  alignas(64) std::atomic<bool> watched_{false};
  // The receiver's side.
  alignas(64) std::size_t head_;
  std::size_t asked_ = 0;  // lines from there on
};

}  // namespace atoll_root::atoll
