// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// ATOLL_SIM_TEST: a GoogleTest whose body drives a simulated world, once for each of many seeds.
//
//   ATOLL_SIM_TEST(counter, survives_a_crash) {                     // the body has `world`: simulation/world.hh
//     const auto server = world.add_node({.shards = 2}, &serve);
//     const auto client = world.add_node({}, [&] { return count(world.address(server, 7000)); });
//     world.run_for(1s);
//     world.crash(server);
//     world.start(server);
//     world.run_until_ended({client}, 1min);
//   }
//
// Each seed has a process of its own, several at a time. One that fails is named with what it printed and with the command that
// replays it. Some seeds run twice, the second time with other addresses, another folder, environment and locale: where
// the two histories differ, the test fails and names the first happening that does.
// A body that ends in an exception fails, as does a node that leaves a failed future unread or a scope destroyed while its work ran.
// Environment:
//   ATOLL_SIM_SEEDS=N        how many seeds (20)
//   ATOLL_SIM_BASE=N         which ones: others for each N (1)
//   ATOLL_SIM_SEED=N         this one alone, in this process: to replay and to debug
//   ATOLL_SIM_CHECK=P        percent of the seeds that run twice (5; of few seeds the first does)
//   ATOLL_SIM_JOBS=N         processes at a time (as many as there are processors)
//   ATOLL_SIM_SECONDS=N      of real time for a seed (60); its process is then ended
//   ATOLL_SIM_TRACE=FILE     with ATOLL_SIM_SEED: what happens, a line each
//   ATOLL_SIM_LOG=1          what the nodes log goes to stderr
//   ATOLL_SIM_COVERAGE=FILE  the ATOLL_SOMETIMES points are appended to it: "all NAME" of each, "hit NAME" of those reached
#pragma once

#include <functional>

#include <gtest/gtest.h>

#include <atoll/simulation/world.hh>

namespace atoll_root::atoll::sim {

/// Runs a body with all the seeds the environment asks for, and reports what went wrong as test failures.
void run_seeds(const std::function<void(world&)>& body, const world_options& options = {});

}  // namespace atoll_root::atoll::sim

#define ATOLL_SIM_TEST(suite, name)                                                            \
  static void atoll_sim_test_##suite##_##name(::atoll_root::atoll::sim::world&);               \
  TEST(suite, name) { ::atoll_root::atoll::sim::run_seeds(&atoll_sim_test_##suite##_##name); } \
  static void atoll_sim_test_##suite##_##name([[maybe_unused]] ::atoll_root::atoll::sim::world& world)
