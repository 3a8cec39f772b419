// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// How many calls one instance serves at a time. Internal to atoll; services say it in their options: describe.hh.
//
// A call that finds its turns taken waits in order, at most `queue` of them: more are refused with `resource_exhausted`.
// With `per_key`, the limit holds for each key apart (by the key's hash: keys that share one wait for each other, too).
// A call that could only wait for itself, because a call above it holds the one turn, is refused with
// `failed_precondition`: the chain of holders travels with the calls. Chains of more than `holders_max` are not followed.
// Shard rules: an instance's, on its shard. Cost: no allocation but per key, where it is a look-up in a hash table.
#pragma once

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

#include <atoll/actors/reactor/task.hh>
#include <atoll/sharding/service_options.hh>

namespace atoll_root::atoll {

class call_message;
struct call_turn;
struct serial_hold;
class turns;

/// Bounds of a service, or of a method alone.
struct turn_options {
  std::uint32_t concurrency = 0;        // calls served at a time; 0: any number
  std::uint32_t queue = queue_default;  // calls that wait
  bool per_key = false;
};

/// Who has the turns of an instance, or of a key, and who waits for one. Where it is stays the same while anybody has or wants one.
struct turn_line {
  turns* of = nullptr;  // set with the first turn
  std::uint32_t running = 0;
  std::uint32_t waiting = 0;
  std::uint32_t given_up = 0;  // of those in the queue
  std::uint32_t called = 0;    // have a turn, and are scheduled
  std::uint64_t hold = 0;      // who has the turn, where there is one
  run_queue queue;
  void* kept = nullptr;  // the instance's: what it has for the key. Of who has the turn
};

class turns {
 public:
  static constexpr std::uint32_t holders_max = 1024;

  enum class entry : std::uint8_t { taken, waits, full, holds_it_itself };

  explicit turns(const turn_options& options) noexcept : options_(options) {}

  /// Takes a turn for a call, or puts it in the queue.
  entry enter(call_message& call, std::uint64_t key);
  /// Takes one that is free, for a call that keeps this of it; else false, and nothing has changed.
  bool enter_free(call_turn& its);
  /// A call that was called from the queue has come.
  void arrived(turn_line& l) noexcept;
  /// Ends a turn: the next in the queue is called: scheduled, and has it.
  void leave(call_turn& its) noexcept;
  /// A waiting call was given up: it is scheduled, without a turn, at once or with the next of its kind.
  void give_up(turn_line& l) noexcept;
  /// There is another instance.
  void forget_kept() noexcept;

  [[nodiscard]] bool bounded() const noexcept { return options_.concurrency != 0; }
  [[nodiscard]] std::uint32_t waiting() const noexcept { return waiting_; }

  /// Lines of keys that nobody uses are kept for their next call, while there are no more than these.
  static constexpr std::size_t lines_kept = 1024;
  [[nodiscard]] std::size_t lines() const noexcept { return lines_.size(); }

 private:
  turn_line& line_of(std::uint64_t key) { return options_.per_key ? lines_[key] : one_; }
  [[nodiscard]] bool has_free(const turn_line& l) const noexcept;
  static std::uint64_t take(turn_line& l) noexcept;
  void call_next(turn_line& l) noexcept;

  turn_options options_;
  std::uint32_t waiting_ = 0;
  turn_line one_;
  std::unordered_map<std::uint64_t, turn_line> lines_;  // of keys in use, and some others
};

}  // namespace atoll_root::atoll
