// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// start.to_ready: a runtime of 2 shards whose main returns at once, from the call of run() to its return; /service:
// with a service started and stopped in it. ms.
#include <atoll/sharding/runtime.hh>
#include <atoll/sharding/sharded.hh>

#include "bench.hh"
#include "measure.hh"
#include "shard_limits.hh"

namespace bench {
namespace {

class nothing {
 public:
  atoll::future<> touch() { return atoll::make_ready_future(); }
};
ATOLL_SERVICE(nothing, "bench.Nothing", ATOLL_METHOD(touch));

atoll::future<int> return_at_once() { return atoll::make_ready_future<int>(0); }

atoll::future<int> start_and_stop() {
  atoll::sharded<nothing> services;
  co_await services.start();
  co_await services.stop();
  co_return 0;
}

pair start(atoll::future<int> (*main)()) {
  const double limit = threads_start_ms(2);
  const auto begin = steady_ns();
  static_cast<void>(atoll::runtime::run({.shards = 2}, main).value());
  return {static_cast<double>(steady_ns() - begin) / 1e6, limit};
}

}  // namespace

std::vector<benchmark> start_benches() {
  return {{"start.to_ready", "ms", [] { return start(&return_at_once); }, value_at_most(10)},
          {"start.to_ready/service", "ms", [] { return start(&start_and_stop); }, value_at_most(10)}};
}

}  // namespace bench
