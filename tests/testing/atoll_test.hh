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
// The runtime has `test_shards` shards; the next test gets new ones. A body that ends in an exception fails, and so does a
// test that leaves a failed future unread on any shard.
#pragma once

#include <functional>

#include <gtest/gtest.h>

#include <atoll/actors/future/sleep.hh>
#include <atoll/sharding/runtime.hh>

namespace atoll_root::atoll::testing {

inline constexpr shard_id test_shards = 2;

/// Runs a body on a new runtime and reports what went wrong as test failures. On a thread that is no shard.
void run_test(std::function<future<>()> body, shard_id shards = test_shards);

/// What `read` has counted of dropped failures is forgiven: for tests that drop one on purpose. On a shard.
future<std::uint64_t> take_failures_abandoned();

}  // namespace atoll_root::atoll::testing

#define ATOLL_TEST_ON(suite, name, shards)                                                            \
  static ::atoll_root::atoll::future<> atoll_test_##suite##_##name();                                 \
  TEST(suite, name) { ::atoll_root::atoll::testing::run_test(&atoll_test_##suite##_##name, shards); } \
  static ::atoll_root::atoll::future<> atoll_test_##suite##_##name()

#define ATOLL_TEST(suite, name) ATOLL_TEST_ON(suite, name, ::atoll_root::atoll::testing::test_shards)

/// Fails the test and leaves the coroutine unless the condition holds.
#define ATOLL_REQUIRE(condition)                     \
  if (!(condition)) {                                \
    ADD_FAILURE() << "needed to go on: " #condition; \
    co_return;                                       \
  } else                                             \
    static_assert(true, "a semicolon ends ATOLL_REQUIRE")
