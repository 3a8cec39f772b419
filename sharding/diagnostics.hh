// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What all shards of this process do, asked from one of them: task dump and metrics.
//
//   std::string tasks = co_await atoll::dump_tasks_everywhere();    // see actors/reactor/task_dump.hh
//   std::string page = co_await atoll::render_metrics();            // for Prometheus; names in docs/metrics.md
//
// An app writes the task dump to stderr whenever it gets SIGUSR1, unless it receives that signal itself
// (app::receive): `kill -USR1 PID`. Shard 0 has to be able to answer for that; where it is stuck, gdb is not:
// tools/gdb/atoll.py shows the same of a process or a core file.
// Shard rules: on any shard of a runtime.
// Errors: none of a shard that doesn't answer within `answer_within`: its part of a dump is a line that says so, its
// metrics are missing and atoll_shards_unanswered counts it. Else that of the caller's context.
// Cost: as of dump_tasks() and metrics_registry::collect() on each shard. The page is rendered on an offload thread.
#pragma once

#include <string>
#include <vector>

#include <atoll/actors/base/chrono.hh>
#include <atoll/actors/future/future.hh>
#include <atoll/actors/metrics/prometheus.hh>
#include <atoll/actors/reactor/task_dump.hh>
#include <atoll/sharding/sendable.hh>

namespace atoll_root::atoll {

/// Snapshots own all they refer to, so services may return them.
template <>
inline constexpr bool enable_sendable<metrics_snapshot> = true;

struct diagnostics_options {
  task_dump_limits limits{};                         // of each shard
  duration answer_within = std::chrono::seconds(1);  // a shard that takes longer is left out
};

/// The task dumps of all shards, in their order.
future<std::string> dump_tasks_everywhere(diagnostics_options options = {});

/// The metrics of the shards that answered, in their order.
future<std::vector<metrics_snapshot>> collect_metrics(duration answer_within = diagnostics_options{}.answer_within);

/// The same as a page for Prometheus.
future<std::string> render_metrics(prometheus_options options = {});

namespace detail {

/// Writes a task dump to stderr at each of these signals, until it is cancelled. The signal must be blocked.
future<> dump_tasks_at(int signal);

}  // namespace detail

}  // namespace atoll_root::atoll
