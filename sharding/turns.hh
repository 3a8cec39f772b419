// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// How many calls one instance serves at a time. Internal to atoll; services say it in their options: describe.hh.
//
// A call that finds its turns taken waits in order, at most `queue` of them: more are refused with `resource_exhausted`.
// With `per_key`, the limit holds for each key apart (by the key's hash: keys that share one wait for each other, too).
// A call that could only wait for itself, because a call above it holds the one turn, is refused with
// `failed_precondition`: the chain of holders travels with the calls. Chains of more than `holders_max` are not followed.
// Shard rules: an instance's, on its shard. Cost: no allocation but for a key's first call; the lines used last are found without a look
// into the hash table.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <unordered_map>

#include <atoll/actors/reactor/points.hh>
#include <atoll/actors/reactor/shard.hh>
#include <atoll/sharding/service_options.hh>

namespace atoll_root::atoll {

class call_message;
class turns;
struct serial_hold;
struct turn_line;

/// Where a call that has to have a turn keeps what it is about. Work that always has one has this in what it keeps at its callee; for
/// others it is among the extras.
struct call_turn {
  std::uint64_t key;  // where there are bounds per key
  // The callee's.
  std::uint64_t id;  // of the turn that it has
  turn_line* line;   // where it has one, or waits for it
};

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
  void* kept = nullptr;   // the instance's: what it has for the key. Of who has the turn
  std::uint64_t key = 0;  // whose it is, where there are bounds per key
};

class turns {
 public:
  static constexpr std::uint32_t holders_max = 1024;

  enum class entry : std::uint8_t { taken, waits, full, holds_it_itself };

  explicit turns(const turn_options& options) noexcept : options_(options) {}

  /// Takes a turn for a call, or puts it in the queue. Throws std::bad_alloc.
  entry enter(call_message& call, std::uint64_t key);
  /// Takes one that is free, for a call that keeps this of it; else false, and nothing has changed: also where there is no memory.
  bool enter_free(call_turn& its, shard& here) noexcept {
    turn_line* const l = line_of(its.key);
    if (l == nullptr || !has_free(*l)) return false;
    l->of = this;
    its.line = l;
    its.id = take(*l, here);
    return true;
  }
  /// A call that was called from the queue has come.
  void arrived(turn_line& l) noexcept;
  /// Ends a turn: the next in the queue is called: scheduled, and has it.
  void leave(const call_turn& its) noexcept {
    turn_line& l = *its.line;
    --l.running;
    if (!l.queue.empty()) call_next(l);
    if (lines_.size() > lines_kept && l.running == 0) forget(its.key);
  }
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
  static constexpr unsigned recent_bits = 9;
  /// By a few bits of the key.
  using lines_used_last = std::array<turn_line*, std::size_t{1} << recent_bits>;

  /// Null where there is no memory for it.
  turn_line* line_of(std::uint64_t key) noexcept {
    if (!options_.per_key) return &one_;
    if (recent_ != nullptr) [[likely]] {
      turn_line* const last = recent(key);
      if (last != nullptr && last->key == key) [[likely]]
        return last;
    }
    return find_line(key);
  }
  /// Knuth's multiplicative hash: a key may be a user's number.
  static constexpr std::uint64_t scattered(std::uint64_t key) noexcept { return key * 0x9e3779b97f4a7c15U; }
  [[nodiscard]] turn_line*& recent(std::uint64_t key) noexcept {
    return (*recent_)[scattered(key) >> (64 - recent_bits)];
  }
  turn_line* find_line(std::uint64_t key) noexcept;
  void forget(std::uint64_t key) noexcept;
  [[nodiscard]] bool has_free(const turn_line& l) const noexcept {
    // Nobody overtakes those that have been called.
    const std::uint32_t most = options_.concurrency + (ATOLL_MUTANT(9) && l.waiting > 2 ? 1 : 0);
    return l.running < most && l.called == 0;
  }
  static std::uint64_t take(turn_line& l, shard& here) noexcept {
    ++l.running;
    // Unique in the process while it lives.
    return l.hold = (std::uint64_t{here.id} << 48) | ++here.turns_taken;
  }
  void call_next(turn_line& l) noexcept;

  turn_options options_;
  std::uint32_t waiting_ = 0;
  turn_line one_;
  struct hash_of_key {
    std::size_t operator()(std::uint64_t key) const noexcept { return scattered(key); }
  };
  std::unordered_map<std::uint64_t, turn_line, hash_of_key> lines_;  // of keys in use, and some others
  std::unique_ptr<lines_used_last> recent_;                          // from the first of these on
};

}  // namespace atoll_root::atoll
