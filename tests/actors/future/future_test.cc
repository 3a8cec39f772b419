// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/future.hh>

#include <memory>
#include <stdexcept>
#include <thread>

#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using atoll::as_result;
using atoll::error;
using atoll::future;
using atoll::promise;
using atoll::status_code;

ATOLL_TEST(future, ready_gives_its_value) {
  auto f = atoll::make_ready_future<int>(5);
  EXPECT_TRUE(f.available());
  EXPECT_EQ(co_await std::move(f), 5);
}

ATOLL_TEST(future, failed_raises_when_awaited) {
  bool raised = false;
  try {
    co_await atoll::make_failed_future(error(status_code::aborted, "no"));
  } catch (const atoll::status_error& e) {
    raised = e.code() == status_code::aborted;
  }
  EXPECT_TRUE(raised);
}

ATOLL_TEST(future, failed_can_be_taken_as_a_value) {
  const auto r = co_await as_result(atoll::make_failed_future<int>(error(status_code::aborted)));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::aborted);
}

ATOLL_TEST(future, carries_values_that_only_move) {
  promise<std::unique_ptr<int>> p;
  auto f = p.get_future();
  p.set_value(std::make_unique<int>(7));
  EXPECT_EQ(*co_await std::move(f), 7);
}

ATOLL_TEST(future, carries_values_without_a_default) {
  struct no_default {
    explicit no_default(int v) : value(v) {}
    int value;
  };
  auto f = atoll::make_ready_future<no_default>(3);
  EXPECT_EQ((co_await std::move(f)).value, 3);
}

ATOLL_TEST(promise, wakes_who_waits_without_running_it_inside) {
  promise<int> p;
  int seen = 0;
  auto waiting = [](future<int> f, int& out) -> future<> { out = co_await std::move(f); }(p.get_future(), seen);
  EXPECT_FALSE(waiting.available());
  p.set_value(5);
  EXPECT_EQ(seen, 0) << "set_value ran the waiter inside the caller";
  co_await std::move(waiting);
  EXPECT_EQ(seen, 5);
}

ATOLL_TEST(promise, that_is_dropped_fails_its_future) {
  future<int> f = atoll::make_ready_future<int>(0);
  {
    promise<int> p;
    f = p.get_future();
  }
  const auto r = co_await as_result(std::move(f));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::cancelled, "broken promise"));
}

ATOLL_TEST(promise, outlives_a_future_that_was_dropped) {
  promise<std::string> p;
  {
    auto f = p.get_future();
  }
  p.set_value("nobody reads this, and nothing leaks");
  co_return;
}

ATOLL_TEST(future, then_gets_the_value_and_may_wait_itself) {
  promise<int> p;
  auto f = p.get_future().then([](int n) { return n + 1; }).then([](int n) {
    return atoll::make_ready_future<std::string>(std::to_string(n));
  });
  p.set_value(4);
  EXPECT_EQ(co_await std::move(f), "5");
}

ATOLL_TEST(future, then_is_skipped_by_a_failure) {
  bool ran = false;
  const auto r =
      co_await as_result(atoll::make_failed_future<int>(error(status_code::aborted)).then([&ran](int) { ran = true; }));
  EXPECT_FALSE(r);
  EXPECT_FALSE(ran);
}

ATOLL_TEST(future, then_wrapped_sees_the_failure) {
  auto f = atoll::make_failed_future<int>(error(status_code::aborted)).then_wrapped([](atoll::result<int> r) {
    return r ? 0 : static_cast<int>(r.error().code());
  });
  EXPECT_EQ(co_await std::move(f), 10);
}

ATOLL_TEST(future, that_failed_and_is_dropped_is_counted) {
  {
    auto f = atoll::make_failed_future<int>(error(status_code::aborted, "dropped on purpose"));
  }
  EXPECT_EQ(co_await atoll::testing::take_failures_abandoned(), 1U);
}

ATOLL_TEST(future, can_be_moved_while_it_is_pending) {
  promise<int> p;
  auto a = p.get_future();
  auto b = std::move(a);
  EXPECT_FALSE(a.valid());
  p.set_value(1);
  a = std::move(b);
  EXPECT_EQ(co_await std::move(a), 1);
}

void set_from_a_thread() {
  atoll::testing::run_test([]() -> future<> {
    promise<int> p;
    auto f = p.get_future();
    std::thread([&p] { p.set_value(1); }).join();
    co_await std::move(f);
  });
}
void set_on_another_shard() {
  atoll::testing::run_test([]() -> future<> {
    promise<int> p;
    auto f = p.get_future();
    co_await atoll::submit_to(1, [&p] { p.set_value(1); });
    co_await std::move(f);
  });
}

TEST(promise_death_test, is_set_on_its_own_shard) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(set_from_a_thread(), "a promise is set on the shard that made it");
  EXPECT_DEATH(set_on_another_shard(), "a promise is set on the shard that made it");
}

}  // namespace
