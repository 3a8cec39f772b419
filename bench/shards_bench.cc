// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// lane.shards/N: what a call costs in processor time, caller and callee together, where each of N shards calls all others in
// turn; the same with 2 shards, measured in the same run. All shards share one processor, so that what differs is their number: with
// processors of their own for some, a row would compare calls between cores with calls between threads that take turns.
#include <sys/resource.h>

#include <atoll/sharding/runtime.hh>
#include <atoll/sharding/sharded.hh>

#include "bench.hh"

namespace bench {
namespace {

constexpr std::uint64_t outstanding = 32;  // of each shard

class ring : public atoll::peering<ring> {
 public:
  atoll::future<std::uint64_t> add(std::uint64_t a, std::uint64_t b) {
    return atoll::make_ready_future<std::uint64_t>(a + b);
  }
  atoll::future<> call_all(std::uint64_t calls);

 private:
  static atoll::future<> call_in_turn(atoll::sharded_ref<ring> all, atoll::shard_id first, std::uint64_t calls);
};
ATOLL_SERVICE(ring, "bench.Ring", ATOLL_METHOD(add, a, b));

atoll::future<> ring::call_in_turn(atoll::sharded_ref<ring> all, atoll::shard_id first, std::uint64_t calls) {
  const atoll::shard_id shards = atoll::shard_count();
  atoll::shard_id to = first % shards;
  for (std::uint64_t i = 0; i < calls; ++i) {
    if (to == atoll::this_shard_id()) to = (to + 1) % shards;  // one shard calls itself
    static_cast<void>(co_await all.at(to).add(i, 1));
    to = (to + 1) % shards;
  }
}

atoll::future<> ring::call_all(std::uint64_t calls) {
  std::vector<atoll::future<>> callers;
  for (std::uint64_t i = 0; i < outstanding; ++i) {
    callers.push_back(call_in_turn(peers(), static_cast<atoll::shard_id>(i), calls / outstanding));
  }
  for (auto& each : callers) co_await std::move(each);
}

double process_cpu_ns() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e9 +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e3;
}

atoll::future<int> measure(double& ns) {
  constexpr std::uint64_t calls_in_all = 1'600'000;
  const std::uint64_t calls = calls_in_all / atoll::shard_count();
  atoll::sharded<ring> rings;
  co_await rings.start();
  co_await rings.on_all(&ring::call_all, calls / 10);  // warm
  const double begin = process_cpu_ns();
  co_await rings.on_all(&ring::call_all, calls);
  ns = (process_cpu_ns() - begin) / static_cast<double>(calls_in_all);
  co_await rings.stop();
  co_return 0;
}

double ns_with(atoll::shard_id shards) {
  double ns = 0;
  const auto main = [&ns] { return measure(ns); };
  const std::vector<unsigned> one_processor{atoll::allowed_processors().front().cpu};
  static_cast<void>(
      atoll::runtime::run({.shards = shards, .cpus = one_processor, .spin_for = atoll::duration::zero()}, main)
          .value());
  return ns;
}

}  // namespace

std::vector<benchmark> shards_benches() {
  std::vector<benchmark> all;
  for (const atoll::shard_id shards : {1U, 2U, 4U, 8U, 16U}) {
    const auto both = [shards] {
      const double limit = ns_with(2);
      return pair{ns_with(shards), limit};
    };
    all.push_back({"lane.shards/" + std::to_string(shards), "ns", both, ratio_at_most(1.25)});
  }
  return all;
}

}  // namespace bench
