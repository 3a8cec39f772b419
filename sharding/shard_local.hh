// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What the sharding layer keeps on each shard. Internal to atoll.
#pragma once

#include <memory>
#include <vector>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/metrics/status_counts.hh>
#include <atoll/actors/reactor/shard.hh>
#include <atoll/actors/sync/mutex.hh>
#include <atoll/sharding/call_streams.hh>
#include <atoll/sharding/foreign_gate.hh>
#include <atoll/sharding/mailroom.hh>
#include <atoll/sharding/outbox.hh>
#include <atoll/sharding/service_core.hh>
#include <atoll/sharding/stop_signals.hh>
#include <atoll/sharding/topology.hh>

namespace atoll_root::atoll {

class offload_pool;
class reactor;

struct sharding_local {
  sharding_local(reactor& own_loop, mailroom& room, shard_id self, const std::vector<processor>& allowed,
                 std::shared_ptr<foreign_gate> gate, offload_pool& pool)
      : loop(own_loop),
        processors(allowed),
        mail(room, self),
        outboxes(room.shards()),
        foreign(std::move(gate)),
        offload(pool) {
    for (shard_id to = 0; to < room.shards(); ++to) outboxes[to].goes_by(mail.lane_to(to));
  }

  reactor& loop;
  const std::vector<processor>& processors;  // that this process may use
  mail_poller mail;
  std::vector<outbox> outboxes;                        // by target shard
  intrusive_list<call_streams_hook> streams;           // of this shard's calls, until nothing of them is under way
  std::vector<std::shared_ptr<service_core>> cores;    // of the containers made on this shard, to the end
  std::vector<std::shared_ptr<service_core>> of_none;  // of empty refs
  bool ending = false;                                 // its services are stopped, and no more start
  std::shared_ptr<foreign_gate> foreign;
  intrusive_list<foreign_call_base> foreign_running;  // calls of foreign threads that have begun here
  offload_pool& offload;
  stop_request stop;                                  // shard 0's
  rate_limit lost_messages{std::chrono::seconds(1)};  // the log's, of one-way ones that failed here
  // Counted for sharding_metrics.hh:
  service_stats_table stats;                       // of calls to services of this shard
  status_counts calls_refused;                     // to services that never ran here
  std::uint64_t foreign_calls = 0;                 // of foreign threads, begun here
  mutex making_groups{"create_scheduling_group"};  // shard 0's is used

  /// Calls to services of this shard that were answered.
  [[nodiscard]] std::uint64_t calls_served(status_code code) const noexcept {
    return stats.ended(code) + calls_refused[code];
  }
};

/// REQUIRES: `here` is a runtime's.
inline sharding_local& sharding_of(shard& here) noexcept {
  auto* local = here.slot<sharding_local>(shard_slot::sharding);
  ATOLL_ASSERT(local != nullptr, "this shard belongs to no runtime");
  return *local;
}
/// The same of a shard that surely is one. By target shard.
inline outbox& outbox_to(shard& here, shard_id to) noexcept {
  return here.slot<sharding_local>(shard_slot::sharding)->outboxes[to];
}
/// REQUIRES: a shard of a runtime runs this code.
inline sharding_local& local_sharding() noexcept { return sharding_of(this_shard()); }

}  // namespace atoll_root::atoll
