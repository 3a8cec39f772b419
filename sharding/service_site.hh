// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What a service has on one shard: its instance, and who is served there. Internal to atoll.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <atoll/actors/sync/mutex.hh>
#include <atoll/sharding/service_core.hh>
#include <atoll/sharding/service_stats.hh>
#include <atoll/sharding/slot_map.hh>
#include <atoll/sharding/turns.hh>

namespace atoll_root::atoll {

struct alignas(64) service_core::site {
  void* instance = nullptr;
  void* open_to_all = nullptr;      // the instance, while it is open and calls need no turn
  method_stats* methods = nullptr;  // stats->all()
  service_stats* stats = nullptr;   // from the first open() on
  std::uint32_t serving = 0;
  bool closed = true;
  turns* of_all = nullptr;  // the bounds of the service; null: it has none
  bool streams_ended = false;
  bool calls_ended = false;
  std::uint32_t streams_open = 0;
  intrusive_list<call_context> calls;  // being served, and waiting for something
  intrusive_list<open_streams> streams;
  std::optional<promise<>> drained;
  std::vector<turns> bounds;                    // of the service, then of each method; empty where there are none
  std::vector<std::optional<group_id>> groups;  // by method
  std::optional<slot_map> slots;

  /// The instance for one call, which leave() ends; null where the service doesn't run here.
  void* enter() noexcept {
    if (closed) return nullptr;
    ++serving;
    return instance;
  }
  void leave() noexcept {
    if (--serving == 0 && drained) [[unlikely]]
      drained->set_value();
  }
  /// The instance, for a call that waited for its turn; null where it isn't served any more.
  [[nodiscard]] void* instance_for_waiting() const noexcept { return calls_ended ? nullptr : instance; }

  /// Who may be served here and now, for a method (call_message has which); null: everybody.
  [[nodiscard]] turns* turns_of(std::size_t method) noexcept {
    if (method == 0) return of_all;
    if (method >= bounds.size()) return nullptr;
    turns& own = bounds[method];
    return own.bounded() ? &own : nullptr;
  }
  /// The scheduling group that a method is served in here; none: the caller's.
  [[nodiscard]] std::optional<group_id> group_of(std::size_t method) const noexcept {
    return method < groups.size() ? groups[method] : std::nullopt;
  }
};

inline service_core::site& service_core::here() const noexcept { return on(this_shard()); }
inline service_core::site& service_core::on(const shard& here) const noexcept { return sites_[here.id]; }

struct service_core::slot_moves {
  mutex one{"slots that move"};
  bool allowed = false;                   // while the service runs
  std::optional<cancel_source> draining;  // of the move under way
  status_counts ended;
};

struct service_core::parts {
  explicit parts(shard_id shards) : sites(std::make_unique<site[]>(shards)) {}  // NOLINT: sized once
  std::unique_ptr<site[]> sites;                                                // NOLINT
  slot_moves moves;
};

}  // namespace atoll_root::atoll
