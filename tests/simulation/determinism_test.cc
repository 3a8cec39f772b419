// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The tester tested: that a world is closed, that what differs between two runs of a seed is found, and that bugs planted into
// the code are.
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <thread>

#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/reactor/points.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/simulation/testing/sim_test.hh>

using namespace std::chrono_literals;
using atoll::future;
namespace sim = atoll::sim;

namespace {

/// What this program prints, started again with this environment and these arguments; and whether it passed.
struct other_run {
  std::string output;
  bool passed = false;
};
other_run run_again(const std::string& environment, const std::string& arguments) {
  std::array<char, 4096> buffer{};
  const auto length = ::readlink("/proc/self/exe", buffer.data(), buffer.size() - 1);
  const std::string program(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
  const std::string command = "env -u ATOLL_SIM_SEED -u ATOLL_SIM_TRACE -u ATOLL_SIM_LOG -u ATOLL_SIM_COVERAGE " +
                              environment + " " + program + " --gtest_brief=1 " + arguments + " 2>&1";
  other_run run;
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return run;
  for (std::size_t n = 1; n > 0;) {
    n = std::fread(buffer.data(), 1, buffer.size(), pipe);
    run.output.append(buffer.data(), n);
  }
  const int status = ::pclose(pipe);
  run.passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return run;
}

// --- Two runs of one seed.

/// Says something that differs from run to run. Not a test: the next one starts it.
ATOLL_SIM_TEST(determinism, DISABLED_an_address_is_noted) {
  const auto n = world.add_node({}, []() -> future<int> {
    co_await atoll::sleep(1s);
    co_return 0;
  });
  world.run_until_ended({n}, 1min);
  world.note(std::to_string(reinterpret_cast<std::uintptr_t>(&world)));  // NOLINT
}

TEST(determinism, what_differs_is_found) {
  const auto run = run_again("ATOLL_SIM_SEEDS=2 ATOLL_SIM_CHECK=100",
                             "--gtest_also_run_disabled_tests --gtest_filter=determinism.DISABLED_an_address_is_noted");
  EXPECT_FALSE(run.passed);
  EXPECT_NE(run.output.find("two runs of one seed differ"), std::string::npos) << run.output;
  EXPECT_NE(run.output.find(" note "), std::string::npos) << run.output;
}

future<int> draw_some(std::vector<std::uint64_t>& drawn) {
  for (int i = 0; i < 100; ++i) {
    drawn.push_back(atoll::this_shard().random());
    co_await atoll::yield();
  }
  co_return 0;
}

// --- What a run says, and when it is over.

/// Not tests: the next ones start them.
ATOLL_SIM_TEST(limits, DISABLED_turns_without_end) {
  world.add_node({}, []() -> future<int> {
    while (true) static_cast<void>(atoll::mono_now());
    co_return 0;
  });
  world.run_for(1s);
}
ATOLL_SIM_TEST(limits, DISABLED_fails) {
  world.run_for(1s);
  EXPECT_EQ(world.seed(), 0U) << "as it should";
}

TEST(limits, a_seed_that_takes_too_long_is_ended_and_named) {
  const auto run = run_again("ATOLL_SIM_SEEDS=1 ATOLL_SIM_CHECK=0 ATOLL_SIM_SECONDS=1",
                             "--gtest_also_run_disabled_tests --gtest_filter=limits.DISABLED_turns_without_end");
  EXPECT_FALSE(run.passed);
  EXPECT_NE(run.output.find("took too long"), std::string::npos) << run.output;
}

TEST(limits, a_seed_that_fails_is_named_and_can_be_replayed_and_traced) {
  const std::string filter = "--gtest_also_run_disabled_tests --gtest_filter=limits.DISABLED_fails";
  const auto run = run_again("ATOLL_SIM_SEEDS=1", filter);
  EXPECT_FALSE(run.passed);
  const auto replay = run.output.find("replay: ATOLL_SIM_SEED=0x");
  ASSERT_NE(replay, std::string::npos) << run.output;
  const auto begin = replay + std::string("replay: ").size();
  const auto seed = run.output.substr(begin, run.output.find(' ', begin) - begin);
  const std::string file = ::testing::TempDir() + "atoll-sim-trace." + std::to_string(::getpid());
  const auto again = run_again(seed + " ATOLL_SIM_TRACE=" + file, filter);
  EXPECT_FALSE(again.passed);
  EXPECT_NE(again.output.find("as it should"), std::string::npos) << again.output;
  EXPECT_EQ(::access(file.c_str(), R_OK), 0);
  ::unlink(file.c_str());
}

TEST(limits, a_worlds_time_ends) {
  sim::world world(1, {.time_max = 1h});
  const auto sleeps = []() -> future<int> {
    while (true) co_await atoll::sleep(1min);
    co_return 0;
  };
  world.add_node({}, sleeps);
  EXPECT_THROW(world.run_for(2h), sim::stuck);
}

TEST(determinism, another_seed_is_another_world) {
  std::array<std::uint64_t, 3> hashes{};
  std::array<std::vector<std::uint64_t>, 3> drawn;
  for (std::size_t i = 0; i < hashes.size(); ++i) {
    sim::world world(i == 2 ? 1 : i);
    const auto n = world.add_node({.shards = 2}, [&] { return draw_some(drawn[i]); });
    world.run_until_ended({n}, 1min);
    hashes[i] = world.past().hash();
  }
  EXPECT_NE(hashes[0], hashes[1]);
  EXPECT_NE(drawn[0], drawn[1]);
  EXPECT_EQ(hashes[1], hashes[2]);
  EXPECT_EQ(drawn[1], drawn[2]);
}

// --- The world is closed.

template <class F>
void in_a_world(F f) {
  sim::world world(1);
  world.add_node({}, [f]() {
    f();
    return atoll::make_ready_future<int>(0);
  });
  world.run_for(1s);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

TEST(closed_DeathTest, what_is_not_of_a_world_ends_the_process) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  GTEST_SKIP() << "ThreadSanitizer has functions of its own for all of these";
#endif
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
#if !defined(SANITIZED)
  EXPECT_DEATH(in_a_world([] { static_cast<void>(std::chrono::steady_clock::now()); }), "machine's clock.*at:");
  EXPECT_DEATH(in_a_world([] { std::thread([] {}).join(); }), "a thread");
#endif
  EXPECT_DEATH(in_a_world([] { static_cast<void>(std::time(nullptr)); }), "machine's clock");
  EXPECT_DEATH(in_a_world([] { std::this_thread::sleep_for(1ms); }), "a thread that sleeps|machine's clock");
  EXPECT_DEATH(in_a_world([] {
                 std::array<char, 8> to{};
                 static_cast<void>(::getentropy(to.data(), to.size()));
               }),
               "real randomness");
  EXPECT_DEATH(in_a_world([] { static_cast<void>(std::random_device()()); }), "real randomness");
  EXPECT_DEATH(in_a_world([] { static_cast<void>(::socket(AF_INET, SOCK_STREAM, 0)); }), "a socket");
  EXPECT_DEATH(in_a_world([] { atoll::this_shard().io->wait(atoll::never); }), "blocks its thread");
}

TEST(closed, outside_a_world_all_is_allowed) {
  {
    sim::world world(1);
    world.run_for(1s);
    EXPECT_GT(std::time(nullptr), 0);
  }
  EXPECT_GT(std::chrono::steady_clock::now().time_since_epoch().count(), 0);
  std::thread([] {}).join();
}

// --- Points.

#if defined(ATOLL_POINTS)

struct seen_points {
  int fired = 0;
  int always = 0;
  int asked = 0;
  std::set<std::uint64_t> knobs;
};

future<int> ask_points(seen_points& seen) {
  for (int i = 0; i < 100; ++i) {
    ++seen.asked;
    if (ATOLL_BUGGIFY()) ++seen.fired;
    if (ATOLL_BUGGIFY(1.0)) ++seen.always;
    seen.knobs.insert(ATOLL_KNOB(test_knob, std::uint64_t{7}, std::uint64_t{1}, std::uint64_t{1000}));
    ATOLL_SOMETIMES("test: a point");
    ATOLL_ALWAYS(i >= 0, "never said");
    co_await atoll::yield();
  }
  co_return 0;
}

TEST(points, are_active_in_some_worlds_and_then_fire_some_times) {
  int active = 0;
  int fired = 0;
  std::set<std::uint64_t> knobs;
  constexpr int worlds = 400;
  for (std::uint64_t seed = 0; seed < worlds; ++seed) {
    seen_points seen;
    sim::world world(seed);
    const auto n = world.add_node({}, [&] { return ask_points(seen); });
    world.run_until_ended({n}, 1min);
    EXPECT_EQ(seen.knobs.size(), 1U) << "a knob is the same all through a world";
    knobs.insert(seen.knobs.begin(), seen.knobs.end());
    EXPECT_TRUE(seen.always == 0 || seen.always == seen.asked);
    if (seen.fired > 0) ++active;
    fired += seen.fired;
    EXPECT_TRUE(world.points_hit().contains("test: a point"));
  }
  // A quarter of the worlds, and there a quarter of the times: far from either bound, these hold.
  EXPECT_GT(active, worlds / 8);
  EXPECT_LT(active, worlds / 2);
  EXPECT_GT(fired, active * 10);
  EXPECT_LT(fired, active * 45);
  EXPECT_TRUE(knobs.contains(7) && knobs.contains(1) && knobs.contains(1000));
  EXPECT_GT(knobs.size(), 50U);
}

TEST(points, do_nothing_outside_a_world_or_when_it_is_healed) {
  EXPECT_FALSE(ATOLL_BUGGIFY(1.0));
  EXPECT_EQ(ATOLL_KNOB(test_knob, 7, 1, 1000), 7);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    seen_points seen;
    sim::world world(seed);
    const auto n = world.add_node({}, [&] { return ask_points(seen); });
    world.heal();
    world.run_until_ended({n}, 1min);
    EXPECT_EQ(seen.fired + seen.always, 0);
  }
}

TEST(points_DeathTest, what_must_always_hold_ends_the_process_where_it_does_not) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(in_a_world([] { ATOLL_ALWAYS(1 + 1 == 3, "sums"); }), "sums, .*determinism_test.cc");
}

TEST(points, are_listed_whether_hit_or_not) {
  const auto all = sim::world::all_points();
  EXPECT_NE(std::find(all.begin(), all.end(), "test: a point"), all.end());
  EXPECT_NE(std::find(all.begin(), all.end(), "lanes: a call waited for a place"), all.end());
}

// --- Planted bugs.

struct planted {
  int number;
  const char* what;
  const char* found_by;
};
constexpr std::array<planted, 14> mutants{{
    {1, "a remote call is carried out twice", "rpc.calls*"},
    {2, "a reply is lost where its call was cancelled", "calls.begin*"},
    {3, "a full lane reorders the calls that wait", "calls.begin*"},
    {4, "a deadline is not inherited", "rpc.calls*"},
    {5, "a new connection resends what was sent on the old one", "rpc.survives_chaos"},
    {6, "a node that stops forgets one call under way", "rpc.a_node*"},
    {7, "ids of remote calls are used again", "rpc.survives_chaos"},
    {8, "calls that waited for a slot go to its former shard", "slots.*"},
    {9, "a second call gets the turn of a service that serves one", "turns.*"},
    {10, "timers fire a little early", "world.time*"},
    {11, "a call is begun after its caller has given it up", "turns.*"},
    {12, "a slot moves with one call under way", "slots.*"},
    {13, "frames are lost that were put while others were written", "rpc.calls*"},
    {14, "a shard that sleeps is not always woken", "lanes.*"},
}};

TEST(mutants, are_each_found_within_500_seeds) {
  for (const auto& m : mutants) {
    const std::string environment =
        "ATOLL_SIM_SEEDS=500 ATOLL_SIM_CHECK=0 ATOLL_SIM_SECONDS=30 ATOLL_MUTANT=" + std::to_string(m.number);
    const auto run = run_again(environment, std::string("--gtest_fail_fast '--gtest_filter=") + m.found_by + "'");
    EXPECT_FALSE(run.passed) << "not found: " << m.what;
    const auto fail = run.output.find("SIM FAIL");
    EXPECT_NE(fail, std::string::npos) << run.output.substr(0, 2000);
    const auto counts = run.output.find(" seeds, ", fail);
    const auto line = run.output.rfind('\n', counts) + 1;
    std::printf("mutant %2d, %s: within %s seeds of %s\n", m.number, m.what,
                run.output.substr(line, counts - line).c_str(), m.found_by);
  }
}

#endif

}  // namespace
