// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/coroutine.hh>

#include <memory>
#include <stdexcept>

#include <atoll/testing/atoll_test.hh>

namespace {

using atoll::as_result;
using atoll::future;
using atoll::status_code;

future<int> plus_one(int n) { co_return n + 1; }
future<> throws_an_int() {
  throw 42;
  co_return;
}
future<int> yields_and_throws(int n) {
  co_await atoll::yield();
  if (n > 0) throw std::out_of_range("below");
  co_return n;
}

ATOLL_TEST(coroutine, starts_inside_the_call) {
  bool started = false;
  auto f = [](bool& flag) -> future<> {
    flag = true;
    co_await atoll::yield();
  }(started);
  EXPECT_TRUE(started);
  co_await std::move(f);
}

ATOLL_TEST(coroutine, keeps_the_type_of_an_exception) {
  bool caught = false;
  try {
    co_await yields_and_throws(1);
  } catch (const std::out_of_range& e) {
    caught = std::string(e.what()) == "below";
  }
  EXPECT_TRUE(caught);
}

ATOLL_TEST(coroutine, survives_what_is_no_std_exception) {
  const auto r = co_await as_result(throws_an_int());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::unknown);
  bool caught = false;
  try {
    co_await throws_an_int();
  } catch (int n) {
    caught = n == 42;
  }
  EXPECT_TRUE(caught);
}

ATOLL_TEST(coroutine, fails_without_a_throw_and_destroys_its_locals) {
  auto watched = std::make_shared<int>(0);
  const std::weak_ptr<int> gone = watched;
  {
    const auto r = co_await as_result([](std::shared_ptr<int> local) -> future<int> {
      co_await atoll::fail(status_code::not_found, "nothing here");
      co_return *local;
    }(std::move(watched)));
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error(), atoll::error(status_code::not_found, "nothing here"));
  }
  EXPECT_TRUE(gone.expired());
}

ATOLL_TEST(coroutine, goes_on_when_its_future_is_dropped) {
  bool finished = false;
  {
    auto dropped = [](bool& flag) -> future<> {
      co_await atoll::yield();
      flag = true;
    }(finished);
  }
  EXPECT_FALSE(finished);
  for (int i = 0; i < 100 && !finished; ++i) co_await atoll::yield();
  EXPECT_TRUE(finished);
}

ATOLL_TEST(coroutine, awaits_a_million_ready_futures_on_the_same_stack) {
  int sum = 0;
  for (int i = 0; i < 1'000'000; ++i) sum += co_await plus_one(0);
  EXPECT_EQ(sum, 1'000'000);
}

ATOLL_TEST(coroutine, that_only_awaits_ready_futures_gives_way) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  co_return;  // it keeps signals, and so ticks, back until a system call
#endif
#endif
  bool stop = false;
  auto other = [](bool& flag) -> future<> {
    co_await atoll::yield();
    flag = true;
  }(stop);
  int rounds = 0;
  while (!stop && rounds < 1'000'000) rounds += co_await plus_one(0);
  EXPECT_TRUE(stop) << "a loop over ready futures starved the other task";
  co_await std::move(other);
}

ATOLL_TEST(coroutine, chains_ten_thousand_deep) {
  // Each awaits the next; the ends come back by hand-over, not by nesting.
  struct deep {
    static future<int> down(int n) {
      if (n == 0) {
        co_await atoll::yield();
        co_return 0;
      }
      co_return 1 + co_await down(n - 1);
    }
  };
  EXPECT_EQ(co_await deep::down(10'000), 10'000);
}

}  // namespace
