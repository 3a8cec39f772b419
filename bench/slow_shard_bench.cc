// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// lane.p99_beside_slow: how long 99 of 100 calls between two shards take at most, 16 outstanding, while a third shard is stuck and
// the caller has thousands of calls on their way to it; the same in the same run where the third shard is idle and uncalled.
#include <time.h>

#include <algorithm>

#include <atoll/sharding/runtime.hh>
#include <atoll/sharding/sharded.hh>

#include "bench.hh"

namespace bench {
namespace {

constexpr atoll::shard_id quick = 1;
constexpr atoll::shard_id slow = 2;
constexpr std::uint64_t calls_of_each = 20'000;
constexpr std::uint32_t outstanding = 16;
constexpr std::uint32_t calls_to_slow = 5'000;  // more than a lane holds: the others wait at their caller

class adder {
 public:
  atoll::future<std::uint64_t> add(std::uint64_t a, std::uint64_t b) {
    return atoll::make_ready_future<std::uint64_t>(a + b);
  }
  /// Holds the whole shard up, and no processor: two shards may share one here.
  atoll::future<> stick(std::uint64_t ns) {
    const timespec how_long{.tv_sec = 0, .tv_nsec = static_cast<long>(ns)};
    ::nanosleep(&how_long, nullptr);
    return atoll::make_ready_future();
  }
};
ATOLL_SERVICE(adder, "bench.AdderBesideSlow", ATOLL_METHOD(add, a, b), ATOLL_METHOD(stick, ns));

atoll::future<> call_again(atoll::shard_ref<adder> ref, std::vector<std::int64_t>& took) {
  for (std::uint64_t i = 0; i < calls_of_each; ++i) {
    const auto begin = atoll::mono_now();
    co_await ref.add(i, 1);
    took.push_back((atoll::mono_now() - begin).count());
  }
}

atoll::future<> stick_again(atoll::shard_ref<adder> ref) {
  while (true) co_await ref.stick(2'000'000);
}

double p99_of(std::vector<std::int64_t>& took) {
  const auto at = took.begin() + static_cast<std::ptrdiff_t>(took.size() * 99 / 100);
  std::nth_element(took.begin(), at, took.end());
  return static_cast<double>(*at);
}

atoll::future<int> measure(bool beside_slow, double& p99_ns) {
  atoll::sharded<adder> adders;
  co_await adders.start();
  atoll::cancel_source over;
  std::vector<atoll::future<>> stuck;
  for (std::uint32_t i = 0; beside_slow && i < calls_to_slow; ++i) {
    stuck.push_back(over.run([to = adders.at(slow)] { return stick_again(to); }));
  }
  std::vector<std::int64_t> took;
  took.reserve(outstanding * calls_of_each);
  std::vector<atoll::future<>> callers;
  for (std::uint32_t i = 0; i < outstanding; ++i) callers.push_back(call_again(adders.at(quick), took));
  for (auto& each : callers) co_await std::move(each);
  p99_ns = p99_of(took);
  // Still all of them, or what was measured is something else.
  if (!std::ranges::none_of(stuck, &atoll::future<>::available)) co_await atoll::fail(atoll::status_code::internal, "");
  over.cancel();
  for (auto& each : stuck) static_cast<void>(co_await atoll::as_result(std::move(each)));
  co_await adders.stop();
  co_return 0;
}

double p99_ns(bool beside_slow) {
  double ns = 0;
  const auto main = [beside_slow, &ns] { return measure(beside_slow, ns); };
  static_cast<void>(atoll::runtime::run({.shards = 3}, main).value());
  return ns;
}

}  // namespace

std::vector<benchmark> slow_shard_benches() {
  const auto both = [] {
    const double limit = p99_ns(false);
    return pair{p99_ns(true), limit};
  };
  return {{"lane.p99_beside_slow", "ns", both, ratio_at_most(1.25)}};
}

}  // namespace bench
