// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/sharding_metrics.hh>

#include <atoll/actors/metrics/shard_metrics.hh>
#include <atoll/actors/metrics/status_metric.hh>
#include <atoll/sharding/offload_pool.hh>

namespace atoll_root::atoll {
namespace {

/// The sum over the outboxes of a shard.
template <class Number>
double over_outboxes(const sharding_local& local, Number number) {
  double sum = 0;
  for (const outbox& each : local.outboxes) sum += (each.*number)();
  return sum;
}

}  // namespace

struct sharding_metrics::lanes {
  explicit lanes(const sharding_local& l) : local(l) {}

  const sharding_local& local;
  metric_group lane{shard_metrics(), "atoll_lane"};
  observable_counter sent{lane, "tasks_sent_total", "Tasks sent to other shards.",
                          [this] { return local.mail.sent(); }};
  observable_counter received{lane, "tasks_received_total", "Tasks received from other shards.",
                              [this] { return local.mail.received(); }};
  metric_group calls{shard_metrics(), "atoll_calls"};
  observable_gauge waiting{calls, "waiting", "Calls that wait until fewer are under way to their shard.",
                           [this] { return over_outboxes(local, &outbox::waiting); }};
  observable_gauge in_flight{calls, "in_flight", "Calls under way to other shards.",
                             [this] { return over_outboxes(local, &outbox::in_flight); }};
  observable_status_counts served{calls, "served_total", "Calls that services of this shard answered.",
                                  [this](status_code code) { return local.calls_served(code); }};
  metric_group foreign{shard_metrics(), "atoll_foreign_calls"};
  observable_counter foreign_begun{foreign, "total", "Calls of foreign threads that began.", &local.foreign_calls};
  observable_gauge foreign_in_flight{foreign, "in_flight", "Calls of foreign threads on their way or under way.",
                                     [this] { return local.foreign->calls_in_flight(this_shard_id()); }};
  observable_counter foreign_refused{foreign, "refused_total", "Calls of foreign threads refused at the bound.",
                                     [this] { return local.foreign->calls_refused(this_shard_id()); }};
};

struct sharding_metrics::offloads {
  explicit offloads(const offload_pool& p) : pool(p) {}

  const offload_pool& pool;
  metric_group group{shard_metrics(), "atoll_offload"};
  observable_gauge threads{group, "threads", "Threads that live.", [this] { return pool.now().threads; }};
  observable_gauge idle{group, "threads_idle", "Of them, those without work.", [this] { return pool.now().idle; }};
  observable_gauge queued{group, "queued", "Functions that wait for a thread.", [this] { return pool.now().queued; }};
  observable_counter taken{group, "run_total", "Functions that threads took.", [this] { return pool.now().taken; }};
  observable_counter refused{group, "refused_total", "Functions that were refused.",
                             [this] { return pool.now().refused; }};
};

sharding_metrics::sharding_metrics(const sharding_local& local)
    : lanes_(std::make_unique<lanes>(local)),
      offloads_(this_shard_id() == 0 ? std::make_unique<offloads>(local.offload) : nullptr) {}
sharding_metrics::~sharding_metrics() = default;

}  // namespace atoll_root::atoll
