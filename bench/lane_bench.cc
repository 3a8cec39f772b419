// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// lane.call/N: typed calls of a service between two shards, N outstanding; ns a call. lane.sketch/N: what the barest call
// costs beside the same limit; what a real call can be measured by where the limit moves.
#include <chrono>

#include <atoll/sharding/runtime.hh>
#include <atoll/sharding/sharded.hh>

#include "bench.hh"

namespace bench {
namespace {

class adder {
 public:
  atoll::future<std::uint64_t> add(std::uint64_t a, std::uint64_t b) {
    return atoll::make_ready_future<std::uint64_t>(a + b);
  }
};
ATOLL_SERVICE(adder, "bench.Adder", ATOLL_METHOD(add, a, b));

atoll::future<> call_again(atoll::shard_ref<adder> ref, std::uint64_t calls) {
  for (std::uint64_t i = 0; i < calls; ++i) co_await ref.add(i, 1);
}

atoll::future<int> measure_calls(std::uint32_t outstanding, double& ns) {
  const std::uint64_t calls = outstanding == 1 ? 300'000 : 2'000'000;
  atoll::sharded<adder> adders;
  co_await adders.start();
  co_await call_again(adders.at(1), calls / 10);  // warm
  const auto begin = atoll::mono_now();
  std::vector<atoll::future<>> callers;
  for (std::uint32_t i = 0; i < outstanding; ++i) callers.push_back(call_again(adders.at(1), calls / outstanding));
  for (auto& c : callers) co_await std::move(c);
  ns =
      static_cast<double>((atoll::mono_now() - begin).count()) / static_cast<double>(calls / outstanding * outstanding);
  co_await adders.stop();
  co_return 0;
}

double call_ns(std::uint32_t outstanding) {
  double ns = 0;
  const auto main = [outstanding, &ns] { return measure_calls(outstanding, ns); };
  static_cast<void>(atoll::runtime::run({.shards = 2}, main).value());
  return ns;
}

}  // namespace

std::vector<benchmark> lane_benches() {
  std::vector<benchmark> all;
  for (const auto& [n, most] : {std::pair{1U, 2.5}, {16U, 5.0}, {64U, 3.5}, {256U, 3.5}}) {
    all.push_back({"lane.call/" + std::to_string(n), "ns",
                   [n = n] {
                     const double limit = ring_round_trip_ns(n);
                     return pair{call_ns(n), limit};
                   },
                   ratio_at_most(most)});
  }
  for (const std::uint32_t n : {1U, 16U, 64U, 256U}) {
    const auto both = [n] {
      const double limit = ring_round_trip_ns(n);
      return pair{sketched_call_ns(n), limit};
    };
    all.push_back({"lane.sketch/" + std::to_string(n), "ns", both});
  }
  return all;
}

}  // namespace bench
