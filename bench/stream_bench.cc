// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What a value of a stream costs that a coroutine on the other shard yields, or takes; ns. Beside it a ring of bare values.
#include <atoll/sharding/runtime.hh>
#include <atoll/sharding/sharded.hh>

#include "bench.hh"

namespace bench {
namespace {

constexpr std::uint64_t values_each = 5'000'000;

atoll::stream<std::uint64_t> count_to(std::uint64_t last) {
  for (std::uint64_t i = 1; i <= last; ++i) co_yield i;
}

atoll::future<std::uint64_t> sum_of(atoll::stream<std::uint64_t> values) {
  std::uint64_t sum = 0;
  while (const auto value = co_await values.next()) sum += *value;
  co_return sum;
}

class counting {
 public:
  atoll::stream<std::uint64_t> count(std::uint64_t last) { return count_to(last); }
  atoll::future<std::uint64_t> sum(atoll::stream<std::uint64_t> values) { return sum_of(std::move(values)); }
};
ATOLL_SERVICE(counting, "bench.Counting", ATOLL_METHOD(count, last), ATOLL_METHOD(sum, values));

enum class way { here, result, argument };

atoll::future<int> run_way(way which, double& ns) {
  atoll::sharded<counting> all;
  co_await all.start();
  const auto other = all.at(1);
  const auto stream_all = [other, which](std::uint64_t last) {
    if (which == way::here) return sum_of(count_to(last));
    return which == way::result ? sum_of(other.count(last)) : other.sum(count_to(last));
  };
  co_await stream_all(values_each / 10);  // warm
  const auto begin = atoll::mono_now();
  co_await stream_all(values_each);
  ns = static_cast<double>((atoll::mono_now() - begin).count()) / static_cast<double>(values_each);
  co_await all.stop();
  co_return 0;
}

double ns_of(way which) {
  double ns = 0;
  const auto main = [which, &ns] { return run_way(which, ns); };
  static_cast<void>(atoll::runtime::run({.shards = 2}, main).value());
  return ns;
}

benchmark of(std::string name, way which, double most) {
  return {std::move(name), "ns", [which] { return pair{ns_of(which), ring_one_way_ns()}; }, value_at_most(most)};
}

}  // namespace

std::vector<benchmark> stream_benches() {
  return {of("stream.item", way::result, 25), of("stream.item/argument", way::argument, 25),
          of("stream.item/one_shard", way::here, 25)};
}

}  // namespace bench
