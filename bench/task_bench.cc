// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// task.yield: coroutines that give way to each other, again and again, 64 of them (/10k: so many); ns a turn.
#include "bench.hh"
#include "shard_bench.hh"
#include "shard_limits.hh"

namespace bench {
namespace {

atoll::future<> yield_again(std::uint64_t turns) {
  for (std::uint64_t i = 0; i < turns; ++i) co_await atoll::yield();
}

atoll::future<double> yield_ns(std::uint32_t tasks) {
  const std::uint64_t turns = turns_of(tasks);
  laps measured(laps_of(tasks));
  while (measured.next(turns * tasks)) {
    std::vector<atoll::future<>> running;
    running.reserve(tasks);
    for (std::uint32_t i = 0; i < tasks; ++i) running.push_back(yield_again(turns));
    for (auto& each : running) co_await std::move(each);
  }
  co_return measured.median_ns();
}

pair yields(std::uint32_t tasks) {
  const double limit = raw_yield_ns(tasks);
  return {on_one_shard([tasks] { return yield_ns(tasks); }), limit};
}

}  // namespace

std::vector<benchmark> task_benches() {
  return {{"task.yield", "ns", [] { return yields(64); }, value_at_most(15)},
          {"task.yield/10k", "ns", [] { return yields(10'000); }}};
}

}  // namespace bench
