// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <climits>
#include <map>

#include <atoll/actors/future/combinators.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/offload.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/simulation/testing/sim_test.hh>

using namespace std::chrono_literals;
using atoll::future;
namespace sim = atoll::sim;

namespace {

class adder {
 public:
  future<std::uint64_t> add(std::uint64_t a, std::uint64_t b) { return atoll::make_ready_future<std::uint64_t>(a + b); }
};
ATOLL_SERVICE(adder, "test.Adder", ATOLL_METHOD(add, a, b));

future<int> add_often(int times) {
  atoll::sharded<adder> adders;
  co_await adders.start();
  for (int i = 0; i < times; ++i) {
    const auto to = static_cast<atoll::shard_id>(i) % atoll::shard_count();
    EXPECT_EQ(co_await adders.at(to).add(static_cast<std::uint64_t>(i), 1), static_cast<std::uint64_t>(i) + 1);
  }
  co_await adders.stop();
  co_return 7;
}

ATOLL_SIM_TEST(world, runs_services_on_shards) {
  const auto a = world.add_node({.shards = 2}, [] { return add_often(100); });
  const auto b = world.add_node({.shards = 3}, [] { return add_often(50); });
  world.run_until_ended({a, b}, 1min);
  EXPECT_EQ(*world.outcome(a).value(), 7);
  EXPECT_EQ(*world.outcome(b).value(), 7);
}

future<int> sleep_for(atoll::duration how_long, atoll::duration& slept) {
  const auto began = atoll::mono_now();
  co_await atoll::sleep(how_long);
  slept = atoll::mono_now() - began;
  co_return 0;
}

/// Counts a thing every 10 ms, up to `most`.
future<int> tick(int& ticks, int most) {
  for (; ticks < most; ++ticks) co_await atoll::sleep(10ms);
  co_return 0;
}

ATOLL_SIM_TEST(world, time_passes_only_where_nothing_else_happens) {
  atoll::duration slept{};
  const auto n = world.add_node({}, [&] { return sleep_for(30min, slept); });
  world.run_until_ended({n}, 1h);
  EXPECT_GE(slept, 30min);
  EXPECT_LT(slept, 30min + 1s);
  // The node's clock is up to 200 ppm away from the world's.
  EXPECT_GT(world.elapsed(), 30min - 1s);
  EXPECT_LT(world.elapsed(), 30min + 1s);
}

future<int> wait_for_stop(std::string& said) {
  said += std::to_string(co_await atoll::stop_signal());
  co_return 3;
}

ATOLL_SIM_TEST(world, a_node_that_is_asked_to_stop_does) {
  std::string said;
  const auto waits = world.add_node({.shards = 2}, [&] { return wait_for_stop(said); });
  const auto sleeps = world.add_node({}, []() -> future<int> {
    co_await atoll::sleep(24h);
    co_return 0;
  });
  world.run_for(1s);
  world.stop(waits);
  world.stop(sleeps);
  world.run_until_ended({waits, sleeps}, 1min);
  EXPECT_EQ(said, "15");
  EXPECT_EQ(*world.outcome(waits).value(), 3);
  EXPECT_EQ(*world.outcome(sleeps).value(), 128 + 15);
}

ATOLL_SIM_TEST(world, a_crashed_node_runs_no_more_and_starts_anew) {
  int starts = 0;
  int ticks = 0;
  const auto n = world.add_node({.shards = 2}, [&] {
    ++starts;
    return tick(ticks, INT_MAX);
  });
  world.run_for(1s);
  EXPECT_GT(ticks, 50);
  world.crash(n);
  EXPECT_FALSE(world.is_up(n));
  const int before = ticks;
  world.run_for(10s);
  EXPECT_EQ(ticks, before);
  world.start(n);
  world.run_for(1s);
  EXPECT_EQ(starts, 2);
  EXPECT_GT(ticks, before + 50);
}

ATOLL_SIM_TEST(world, a_paused_node_loses_no_timer) {
  int ticks = 0;
  const auto n = world.add_node({}, [&] { return tick(ticks, 100); });
  world.run_for(100ms);
  world.pause(n, 5s);
  const int before = ticks;
  world.run_for(4s);
  EXPECT_LE(ticks, before + 1);
  world.run_until_ended({n}, 10s);
  EXPECT_EQ(ticks, 100);
}

ATOLL_SIM_TEST(world, offloaded_functions_take_their_time_and_no_thread) {
  const auto n = world.add_node({.shards = 2}, []() -> future<int> {
    std::vector<future<int>> all;
    for (int i = 0; i < 10; ++i) all.push_back(atoll::offload([i] { return i; }));
    int sum = 0;
    for (auto& each : all) sum += co_await std::move(each);
    co_return sum;
  });
  world.run_until_ended({n}, 1min);
  EXPECT_EQ(*world.outcome(n).value(), 45);
}

ATOLL_SIM_TEST(world, says_what_waits_where_nothing_can_happen_any_more) {
  const auto n = world.add_node({}, []() -> future<int> {
    atoll::promise<int> never_kept;
    co_return co_await never_kept.get_future();
  });
  try {
    world.run_until_ended({n}, 1h);
    ADD_FAILURE() << "it ended";
  } catch (const sim::stuck& e) {
    EXPECT_NE(std::string(e.what()).find("world_test.cc"), std::string::npos) << e.what();
  }
}

future<int> look_at_the_wall(atoll::wall_time& seen) {
  while (true) {
    seen = atoll::wall_now();
    co_await atoll::sleep(1ms);
  }
}

ATOLL_SIM_TEST(world, wall_clocks_can_be_set) {
  atoll::wall_time seen{};
  const auto n = world.add_node({}, [&] { return look_at_the_wall(seen); });
  world.run_for(1s);
  const auto before = seen;
  world.step_wall_clock(n, -24h);
  world.run_for(10ms);
  EXPECT_LT(seen, before - 23h);
}

/// Two shards each send the other numbers; what arrives has to be in order.
class line_up {
 public:
  future<> say(std::uint64_t from, std::uint64_t number) {
    EXPECT_EQ(last_[from] + 1, number);
    last_[from] = number;
    return atoll::make_ready_future();
  }

 private:
  std::map<std::uint64_t, std::uint64_t> last_;
};
ATOLL_SERVICE(line_up, "test.LineUp", ATOLL_METHOD(say, from, number));

ATOLL_SIM_TEST(lanes, keep_the_order_of_a_shards_messages) {
  const auto n = world.add_node({.shards = 3}, []() -> future<int> {
    atoll::sharded<line_up> all;
    co_await all.start();
    std::vector<future<>> said;
    for (std::uint64_t i = 1; i <= 200; ++i) {
      said.push_back(all.at(1).say(0, i));
      said.push_back(all.at(2).say(0, i));
      if (i % 10 == 0) co_await atoll::yield();
    }
    for (auto& each : said) co_await std::move(each);
    co_await all.stop();
    co_return 0;
  });
  world.run_until_ended({n}, 1min);
}

}  // namespace
