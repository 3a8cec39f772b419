// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// How many calls one shard may have under way to another.
//
// Invariants: calls go out in the order submitted, those of one level (which is how deep a call is: one above the call that it
// serves; 1 where it serves none). At most `calls_in_flight_max` calls of a level are under way; more wait here, each until its
// turn or its deadline. So a call waits only for calls as deep as itself, whose own calls are deeper: a circle of calls over full
// lanes goes on. From level `levels` on none waits: past `deep_in_flight_max` they fail with `resource_exhausted`.
// The framework's own (submit_to) have no bound: a service has to be stoppable while its lanes are full.
// Waiting allocates nothing; a call that expires leaves at once.
// The caller's side of a lane is counted here, too: calls by outcome and how long they take, exported from the first one on that is timed.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/actors/reactor/points.hh>
#include <atoll/actors/reactor/shard.hh>
#include <atoll/sharding/call_message.hh>
#include <atoll/sharding/service_stats.hh>

namespace atoll_root::atoll {

class lane;

class alignas(256) outbox {  // found by shifting
 public:
  outbox();
  outbox(const outbox&) = delete;
  outbox& operator=(const outbox&) = delete;
  ~outbox();

  static constexpr std::uint32_t calls_in_flight_max = 4096;
  static constexpr std::uint32_t levels = 64;
  static constexpr std::uint32_t deep_in_flight_max = 8192;

  /// calls_in_flight_max, but in simulated worlds.
  static std::uint32_t in_flight_max() noexcept {
    return ATOLL_KNOB(lane_calls, calls_in_flight_max, 1, calls_in_flight_max);
  }

  /// What enter() gives where the call has to wait.
  static constexpr std::uint8_t no_place = 0;
  /// Where it is of the first level.
  static constexpr std::uint8_t first_place = call_caller::first_place;

  /// False where a call of this level may neither go now nor wait: too many deep ones, or no memory.
  bool takes(std::uint32_t level) noexcept { return level <= 1 || takes_nested(level); }
  /// Gives a call a place now, or no_place: it has to wait().
  std::uint8_t enter(std::uint32_t level) noexcept {
    if (level != 1) return enter_nested(level);
    if (first_.in_flight >= in_flight_max()) [[unlikely]]
      return no_place;
    ++first_.in_flight;
    return first_place;
  }
  /// Sends the call when a place is free.
  void wait(call_caller& call) noexcept;

  /// A call came back: its place is free.
  void returned(std::uint8_t place) noexcept {
    if (place != first_place) return returned_nested(place);
    --first_.in_flight;
    if (!first_.waiting.empty()) [[unlikely]]
      send_waiting(first_, place);
  }

  // The two steps of most calls: of the first level, to another shard, and not measured.
  /// Gives it the first place. False where it has to be looked at: nothing has changed.
  bool lets_pass() noexcept {
    if (passes_ == 0) [[unlikely]]
      return false;
    --passes_;
    return true;
  }
  /// Hands out places to those that come next, until one has to be measured.
  void give_passes() noexcept {
    if (way_ == nullptr || waiting_count_ > 0 || first_.in_flight >= in_flight_max()) return;
    passes_ = timed_.pass(in_flight_max() - first_.in_flight);
    first_.in_flight += passes_;
  }
  /// Takes them back. Before anything else is asked of it.
  void take_passes() noexcept {
    timed_.has_not_passed(passes_);
    first_.in_flight -= passes_;
    passes_ = 0;
  }
  /// It came back from the first place, and ended well. False as above.
  bool lets_go() noexcept {
    if (waiting_count_ > 0) [[unlikely]]
      return false;
    --first_.in_flight;
    ended_.add(status_code::ok);
    return true;
  }

  /// Takes back a call that was not sent yet; false where it was.
  bool withdraw(outbox_hook& place) noexcept;

  /// Before the first one: null: they stay on this shard.
  void goes_by(lane* way) noexcept { way_ = way; }
  [[nodiscard]] lane* way() const noexcept { return way_; }

  /// Calls that wait for a place.
  [[nodiscard]] std::uint32_t waiting() const noexcept { return waiting_count_; }
  [[nodiscard]] std::uint32_t in_flight() const noexcept { return first_.in_flight - passes_ + others_in_flight_; }

  /// For how many calls one to that shard that begins now stands; 0: it is not measured. The first one is.
  std::uint32_t weigh(time_point look) noexcept { return timed_.weigh(look); }
  /// Of one that is measured.
  void took(shard_id to, duration how_long, std::uint32_t weight) noexcept;
  /// A caller has its outcome.
  void ended(status_code code) noexcept { ended_.add(code); }

 private:
  struct exported;
  struct line {
    std::uint32_t in_flight = 0;          // or about to be: see give_passes()
    intrusive_list<outbox_hook> waiting;  // empty but where as many as may be are under way
  };
  static constexpr std::uint8_t deep = levels;
  static constexpr std::uint8_t unbounded = levels + 1;

  void export_metrics(shard_id to) noexcept;
  bool takes_nested(std::uint32_t level) noexcept;
  std::uint8_t enter_nested(std::uint32_t level) noexcept;
  void returned_nested(std::uint8_t place) noexcept;
  void send_waiting(line& l, std::uint8_t place) noexcept;
  line& line_of(std::uint32_t level) noexcept { return level == 1 ? first_ : (*nested_)[level]; }

  lane* way_ = nullptr;
  std::uint32_t passes_ = 0;  // places of `first_` that are handed out, and not used yet
  std::uint32_t waiting_count_ = 0;
  line first_;
  std::uint32_t others_in_flight_ = 0;
  std::uint32_t deep_in_flight_ = 0;
  std::unique_ptr<std::array<line, levels>> nested_;  // from the first nested call on
  status_counts ended_;
  timed_calls timed_;
  std::unique_ptr<exported> exported_;
};

}  // namespace atoll_root::atoll
