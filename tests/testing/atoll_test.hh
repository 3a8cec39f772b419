// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// ATOLL_TEST: a GoogleTest whose body is a coroutine on shard 0 of a runtime of its own.
//
//   ATOLL_TEST(counter, keeps_totals_apart) {
//     atoll::sharded<counter> counters;
//     co_await counters.start();
//     EXPECT_EQ(co_await counters.at(1).add("hits", 5), 5);
//     ATOLL_REQUIRE(...);                                  // ends the test where ASSERT_... would
//     co_await counters.stop();
//   }
//
// The runtime has `test_shards` shards; the next test gets new ones. Services that the body leaves running
// are stopped. A body that ends in an exception fails, and so does a test that leaves something behind on any shard: a failed future unread, a scope destroyed while its work ran, or a
// coroutine still suspended (named by the line of its await).
// Environment: ATOLL_TEST_SEED=N (from 1) seeds the shards' random numbers; each test prints the seed it has.
// ATOLL_TEST_SHUFFLE=1 runs ready tasks in random order: what passes only in one order was lucky.
#pragma once

#include <functional>

#include <gtest/gtest.h>

#include <atoll/actors/future/sleep.hh>
#include <atoll/sharding/runtime.hh>
#include <atoll/testing/manual_clock.hh>

namespace atoll_root::atoll::testing {

inline constexpr shard_id test_shards = 2;

/// Runs a body on a new runtime and reports what went wrong as test failures. On a thread that is no shard.
/// `time` null: the machine's clock.
void run_test(std::function<future<>()> body, shard_id shards = test_shards, clock* time = nullptr);

/// True where this process runs tasks in random order.
bool shuffled() noexcept;

/// What the shards have counted of dropped failures; forgives them: for tests that drop one on purpose. On a shard.
future<std::uint64_t> take_failures_abandoned();
/// The same for scopes that were destroyed while their work ran.
future<std::uint64_t> take_scopes_leaked();
/// How many coroutines of this test are suspended on this shard now, the caller not among them; forgives them.
/// REQUIRES: on a shard of a test.
std::size_t take_suspended();

}  // namespace atoll_root::atoll::testing

#define ATOLL_TEST_ON(suite, name, shards)                                                            \
  static ::atoll_root::atoll::future<> atoll_test_##suite##_##name();                                 \
  TEST(suite, name) { ::atoll_root::atoll::testing::run_test(&atoll_test_##suite##_##name, shards); } \
  static ::atoll_root::atoll::future<> atoll_test_##suite##_##name()

#define ATOLL_TEST(suite, name) ATOLL_TEST_ON(suite, name, ::atoll_root::atoll::testing::test_shards)

/// The same on a manual_clock, which the body has under the name `clock`.
#define ATOLL_CLOCK_TEST(suite, name, clock)                                                                     \
  static ::atoll_root::atoll::future<> atoll_test_##suite##_##name(::atoll_root::atoll::testing::manual_clock&); \
  TEST(suite, name) {                                                                                            \
    ::atoll_root::atoll::testing::manual_clock time;                                                             \
    ::atoll_root::atoll::testing::run_test([&time] { return atoll_test_##suite##_##name(time); },                \
                                           ::atoll_root::atoll::testing::test_shards, &time);                    \
  }                                                                                                              \
  static ::atoll_root::atoll::future<> atoll_test_##suite##_##name(                                              \
      [[maybe_unused]] ::atoll_root::atoll::testing::manual_clock& clock)

/// Fails the test and leaves the coroutine unless the condition holds.
#define ATOLL_REQUIRE(condition)                     \
  if (!(condition)) {                                \
    ADD_FAILURE() << "needed to go on: " #condition; \
    co_return;                                       \
  } else                                             \
    static_assert(true, "a semicolon ends ATOLL_REQUIRE")
