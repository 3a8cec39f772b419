// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// ATOLL_TEST itself: what it makes of tests that leave something behind.
#include <atoll/testing/atoll_test.hh>

#include <gtest/gtest-spi.h>

#include <atoll/actors/sync/scope.hh>
#include <atoll/sharding/submit.hh>

#if defined(__SANITIZE_ADDRESS__)
#define ATOLL_TEST_OF_LEAKS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ATOLL_TEST_OF_LEAKS
#endif
#endif
#ifdef ATOLL_TEST_OF_LEAKS
#include <sanitizer/lsan_interface.h>
#endif

namespace {

using namespace std::chrono_literals;
using atoll::future;
using atoll::testing::run_test;

/// What these tests leave behind on purpose is nobody's business but theirs.
struct leaks_allowed {
#ifdef ATOLL_TEST_OF_LEAKS
  leaks_allowed() { __lsan_disable(); }
  ~leaks_allowed() { __lsan_enable(); }
#else
  leaks_allowed() {}
  ~leaks_allowed() {}
#endif
  leaks_allowed(const leaks_allowed&) = delete;
  leaks_allowed& operator=(const leaks_allowed&) = delete;
};

future<> wait_for_long() { co_await atoll::sleep(1h); }
future<> fails() { return atoll::make_failed_future(atoll::error(atoll::status_code::aborted, "on purpose")); }

future<> leave_nothing() { co_await atoll::sleep(1ms); }
future<> leave_a_coroutine() {
  static_cast<void>(wait_for_long());
  co_await atoll::yield();
}
future<> leave_a_coroutine_elsewhere() {
  co_await atoll::submit_to(1, [] {
    const leaks_allowed on_its_thread;
    static_cast<void>(wait_for_long());
  });
}
future<> leave_a_coroutine_that_ends_soon() {
  const auto give_way = []() -> future<> {
    for (int i = 0; i < 20; ++i) co_await atoll::yield();
  };
  static_cast<void>(give_way());
  static_cast<void>(give_way().then([] {}));
  co_await atoll::yield();
}
future<> drop_a_failure() {
  static_cast<void>(fails());
  co_await atoll::yield();
}
future<> drop_a_failure_elsewhere() {
  co_await atoll::submit_to(1, [] { static_cast<void>(fails()); });
}
future<> drop_a_failure_and_take_it() {
  static_cast<void>(fails());
  EXPECT_EQ(co_await atoll::testing::take_failures_abandoned(), 1U);
}
future<> drop_a_scope() {
  auto leaked = std::make_unique<atoll::scope>("left on purpose");
  leaked->spawn([] { return atoll::sleep(1h); });
  leaked.reset();
  co_await atoll::yield();
}

TEST(atoll_test, passes_what_leaves_nothing) {
  run_test(&leave_nothing);
  run_test(&leave_a_coroutine_that_ends_soon);
  run_test(&drop_a_failure_and_take_it);
}

TEST(atoll_test, fails_where_a_coroutine_is_left) {
  const leaks_allowed on_purpose;
  EXPECT_NONFATAL_FAILURE(run_test(&leave_a_coroutine), "wait_for_long");
  EXPECT_NONFATAL_FAILURE(run_test(&leave_a_coroutine_elsewhere), "shard 1");
}

TEST(atoll_test, fails_where_a_failed_future_is_dropped) {
  EXPECT_NONFATAL_FAILURE(run_test(&drop_a_failure), "failed futures were dropped");
  EXPECT_NONFATAL_FAILURE(run_test(&drop_a_failure_elsewhere), "failed futures were dropped");
}

TEST(atoll_test, fails_where_a_scope_is_destroyed_while_its_work_runs) {
  EXPECT_NONFATAL_FAILURE(run_test(&drop_a_scope), "scopes were destroyed");
}

TEST(atoll_test, fails_where_the_body_does_and_says_the_seed) {
  EXPECT_NONFATAL_FAILURE(run_test(&fails), "aborted: on purpose");
}

/// Sets a variable of the environment for its lifetime.
class variable {
 public:
  variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    ::setenv(name, value, 1);
  }
  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;
  ~variable() {
    if (before_) {
      ::setenv(name_, before_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

std::uint64_t first_of_seed(const char* seed) {
  const variable given("ATOLL_TEST_SEED", seed);
  std::uint64_t drawn = 0;
  run_test([&drawn] {
    drawn = atoll::this_shard().random();
    return atoll::make_ready_future();
  });
  return drawn;
}

TEST(atoll_test, draws_the_same_from_the_same_seed) {
  EXPECT_EQ(first_of_seed("42"), first_of_seed("42"));
  EXPECT_NE(first_of_seed("42"), first_of_seed("43"));
}

TEST(atoll_test, refuses_what_is_no_seed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const char* bad : {"abc", "12x", "0", "-1", "99999999999999999999"}) {
    EXPECT_EXIT(first_of_seed(bad), ::testing::ExitedWithCode(2), "ATOLL_TEST_SEED: wants a number from 1 to") << bad;
  }
}

}  // namespace
