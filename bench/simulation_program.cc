// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What the benches sim.* run, in a process of its own: a program with a simulated world has its clock behind a look at whether one runs.
// Prints one number: `events`: ns a happening; `cluster`: seconds of the world's time a second; `heap`: ns an event of a bare queue.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <queue>
#include <vector>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/rpc/cluster.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/simulation/world.hh>

namespace {

namespace sim = atoll::sim;
using atoll::future;

class adder {
 public:
  future<std::uint64_t> add(std::uint64_t a, std::uint64_t b) { return atoll::make_ready_future<std::uint64_t>(a + b); }
};
ATOLL_SERVICE(adder, "bench.v1.Adder", ATOLL_METHOD(add, a, b));

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

future<> call_often(atoll::cluster_ref cluster, std::uint32_t to, atoll::duration pause) {
  while (atoll::cancellation() == nullptr) {
    static_cast<void>(co_await atoll::as_result(cluster.ref<adder>(to, 0).add(1, 2)));
    static_cast<void>(co_await atoll::as_result(atoll::sleep(pause)));
  }
}

/// Each shard calls each other node, `a_second` times a second.
future<int> run_node(atoll::cluster_options options, std::int64_t a_second) {
  const auto self = options.self;
  const auto pause = atoll::duration(1'000'000'000 / a_second);
  atoll::cluster cluster(std::move(options));
  atoll::sharded<adder> adders;
  co_await adders.start();
  co_await cluster.start();
  co_await cluster.serve(adders.ref());
  co_await cluster.all_up();
  atoll::scope callers("callers");
  for (std::uint32_t to = 0; to < 3; ++to) {
    for (std::uint32_t caller = 0; to != self && caller < 2; ++caller) {
      callers.spawn(&call_often, cluster.ref_to_self(), to, pause);
    }
  }
  co_await atoll::stop_signal();
  co_await callers.stop();
  co_await cluster.stop();
  co_await adders.stop();
  co_return 0;
}

void run_cluster(sim::world& world, std::int64_t a_second, atoll::duration how_long) {
  for (std::uint32_t n = 0; n < 3; ++n) {
    world.add_node({.shards = 2}, [&world, n, a_second] {
      atoll::cluster_options options;
      options.self = n;
      for (std::uint32_t peer = 0; peer < 3; ++peer) options.peers.push_back({peer, world.address(peer, 7000)});
      return run_node(std::move(options), a_second);
    });
  }
  world.run_for(how_long);
}

double ns_an_event() {
  sim::world world(1);
  const double began = seconds();
  run_cluster(world, 1'000, std::chrono::seconds(20));
  return (seconds() - began) * 1e9 / static_cast<double>(world.past().happenings());
}

double virtual_seconds_a_second() {
  constexpr auto how_long = std::chrono::seconds(200);
  sim::world world(1);
  const double began = seconds();
  run_cluster(world, 20, how_long);
  return static_cast<double>(how_long.count()) / (seconds() - began);
}

double ns_a_bare_event() {
  using event = std::pair<std::uint64_t, std::uint32_t>;
  std::priority_queue<event, std::vector<event>, std::greater<>> events;
  std::uint64_t random = 1;
  std::uint64_t sum = 0;
  for (std::uint32_t i = 0; i < 64; ++i) events.emplace(i, i);
  constexpr int all = 5'000'000;
  const double began = seconds();
  for (int i = 0; i < all; ++i) {
    const event next = events.top();
    events.pop();
    sum += next.second;
    random = random * 6364136223846793005U + 1442695040888963407U;
    events.emplace(next.first + (random >> 50U), next.second);
  }
  return (seconds() - began) * 1e9 / all + (sum == 1 ? 1 : 0);
}

}  // namespace

int main(int argc, char** argv) {
  const char* const what = argc > 1 ? argv[1] : "";
  double figure = 0;
  if (std::strcmp(what, "events") == 0) figure = ns_an_event();
  if (std::strcmp(what, "cluster") == 0) figure = virtual_seconds_a_second();
  if (std::strcmp(what, "heap") == 0) figure = ns_a_bare_event();
  std::printf("%.3f\n", figure);
  return figure > 0 ? 0 : 2;
}
