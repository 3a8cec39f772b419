// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/semaphore.hh>

#include <limits>
#include <optional>
#include <vector>

#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::cancel_source;
using atoll::error;
using atoll::future;
using atoll::semaphore;
using atoll::semaphore_units;
using atoll::status_code;

using waiting_units = future<semaphore_units>;

ATOLL_TEST(semaphore, gives_what_there_is_without_a_wait) {
  semaphore s("test", 3);
  auto all = s.acquire(3);
  EXPECT_TRUE(all.available());
  EXPECT_EQ(s.available(), 0U);
  EXPECT_FALSE(s.try_acquire());
  {
    const auto units = co_await std::move(all);
    EXPECT_EQ(units.count(), 3U);
  }
  EXPECT_EQ(s.available(), 3U);
}

ATOLL_TEST(semaphore, serves_in_the_order_they_came_and_lets_nobody_overtake) {
  semaphore s("test", 4);
  auto held = co_await s.acquire(4);
  auto large = s.acquire(3);
  auto small = s.acquire(1);
  auto smaller = s.acquire(1);
  held.release(2);  // enough for small, but large was first
  EXPECT_EQ(s.available(), 2U);
  EXPECT_FALSE(small.available());
  EXPECT_FALSE(s.try_acquire(1)) << "overtook those who wait";
  EXPECT_FALSE(s.acquire(0).available()) << "overtook those who wait";
  held.release(1);
  EXPECT_TRUE(large.available());
  EXPECT_FALSE(small.available());
  held.release();
  EXPECT_TRUE(small.available());
  EXPECT_FALSE(smaller.available());
  static_cast<void>(co_await std::move(large));  // gone at once
  EXPECT_TRUE(smaller.available());
  static_cast<void>(co_await std::move(small));
  static_cast<void>(co_await std::move(smaller));
  EXPECT_EQ(s.available(), 4U);
  EXPECT_EQ(s.waiting(), 0U);
}

ATOLL_TEST(semaphore, a_large_request_that_is_cancelled_lets_those_behind_it_go) {
  semaphore s("test", 4);
  auto held = co_await s.acquire(2);
  cancel_source source;
  auto large = source.run([&s] { return s.acquire(4); });
  std::vector<waiting_units> behind;
  for (int i = 0; i < 3; ++i) behind.push_back(s.acquire(1));
  source.cancel();
  EXPECT_TRUE(behind[0].available());
  EXPECT_TRUE(behind[1].available());
  EXPECT_FALSE(behind[2].available());
  const auto r = co_await as_result(std::move(large));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::cancelled);
  EXPECT_EQ(r.error().message(), "in semaphore test");
  held.release();
  EXPECT_TRUE(behind[2].available());
  for (auto& b : behind) static_cast<void>(co_await std::move(b));
  EXPECT_EQ(s.available(), 4U);
}

ATOLL_TEST(semaphore, a_wait_in_the_middle_can_be_cancelled) {
  semaphore s("test", 1);
  auto held = co_await s.acquire();
  auto first = s.acquire();
  cancel_source source;
  auto middle = source.run([&s] { return s.acquire(); });
  auto last = s.acquire();
  EXPECT_EQ(s.waiting(), 3U);
  source.cancel(error(status_code::aborted, "enough"));
  EXPECT_EQ(s.waiting(), 2U);
  const auto r = co_await as_result(std::move(middle));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::aborted, "enough: in semaphore test"));
  held.release();
  static_cast<void>(co_await std::move(first));
  static_cast<void>(co_await std::move(last));
  EXPECT_EQ(s.available(), 1U);
}

ATOLL_TEST(semaphore, refuses_more_than_there_will_ever_be) {
  semaphore s("small", 3);
  for (const std::uint64_t n : {std::uint64_t{4}, std::numeric_limits<std::uint64_t>::max()}) {
    const auto r = co_await as_result(s.acquire(n));
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error().code(), status_code::out_of_range);
    EXPECT_NE(r.error().message().find("small"), std::string_view::npos);
  }
  s.grow(1);
  EXPECT_TRUE(s.acquire(4).available());
}

ATOLL_TEST(semaphore, that_grows_serves_who_waits) {
  semaphore s("test", 0);
  EXPECT_TRUE(s.acquire(0).available());
  EXPECT_FALSE(co_await as_result(s.acquire(1)));  // out of range as long as it is empty
  s.grow(1);
  auto held = co_await s.acquire();
  auto waiting = s.acquire();
  s.grow(2);
  EXPECT_TRUE(waiting.available());
  EXPECT_EQ(s.available(), 1U);
  static_cast<void>(co_await std::move(waiting));
  held.release();
  EXPECT_EQ(s.available(), 3U);
}

ATOLL_TEST(semaphore, close_fails_who_waits_and_who_comes_with_the_first_reason) {
  semaphore s("test", 1);
  auto held = co_await s.acquire();
  auto waiting = s.acquire();
  s.close(error(status_code::unavailable, "first"));
  s.close(error(status_code::aborted, "second"));
  const auto r = co_await as_result(std::move(waiting));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::unavailable, "first: in semaphore test"));
  held.release();
  const auto late = co_await as_result(s.acquire());
  ATOLL_REQUIRE(!late);
  EXPECT_EQ(late.error(), error(status_code::unavailable, "first: in semaphore test"));
  EXPECT_FALSE(s.try_acquire());
}

ATOLL_TEST(semaphore, that_goes_fails_who_waits_and_its_units_live_on) {
  std::optional<semaphore> s(std::in_place, "test", 2);
  auto held = co_await s->acquire(2);
  auto waiting = s->acquire();
  s.reset();
  const auto r = co_await as_result(std::move(waiting));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::cancelled, "destroyed: in semaphore test"));
  auto part = held.split(1);
  held.release();
  EXPECT_EQ(part.count(), 1U);
}

ATOLL_TEST(semaphore_units, can_be_split_joined_given_back_and_forgotten) {
  semaphore s("test", 10);
  semaphore other("other", 10);
  auto units = co_await s.acquire(10);
  auto part = units.split(4);
  EXPECT_EQ(units.count(), 6U);
  EXPECT_EQ(part.count(), 4U);
  EXPECT_EQ(units.split(0).count(), 0U);
  auto more = units.split(100);  // all there is
  EXPECT_EQ(more.count(), 6U);
  EXPECT_FALSE(units);
  EXPECT_EQ(s.available(), 0U);

  EXPECT_TRUE(units.adopt(more));
  EXPECT_TRUE(units.adopt(part));
  EXPECT_EQ(units.count(), 10U);
  EXPECT_EQ(part.count(), 0U);
  auto foreign = co_await other.acquire(1);
  EXPECT_FALSE(units.adopt(foreign));
  EXPECT_EQ(foreign.count(), 1U);
  semaphore_units none;
  EXPECT_FALSE(units.adopt(none));
  EXPECT_TRUE(none.adopt(foreign));
  EXPECT_EQ(none.count(), 1U);
  EXPECT_TRUE(units.adopt(units));
  EXPECT_EQ(units.count(), 10U);

  units.release(3);
  EXPECT_EQ(s.available(), 3U);
  units.release(1'000);
  EXPECT_EQ(s.available(), 10U);
  auto lost = co_await s.acquire(1);
  lost.forfeit();
  lost.release();
  EXPECT_EQ(s.available(), 9U);
}

ATOLL_TEST(semaphore_units, move_with_what_they_hold) {
  semaphore s("test", 2);
  auto a = co_await s.acquire();
  semaphore_units b(std::move(a));
  EXPECT_EQ(a.count(), 0U);  // NOLINT(bugprone-use-after-move)
  a = std::move(b);
  EXPECT_EQ(s.available(), 1U);
  a = semaphore_units();
  EXPECT_EQ(s.available(), 2U);
}

ATOLL_TEST(semaphore, takes_back_what_was_given_to_futures_nobody_reads) {
  semaphore s("test", 1);
  auto held = co_await s.acquire();
  // Each is handed the unit, finds nobody, and gives it back: in a loop, not by recursion.
  for (int i = 0; i < 1'000'000; ++i) {
    auto dropped = s.acquire();
  }
  auto last = s.acquire();
  held.release();
  static_cast<void>(co_await std::move(last));
  EXPECT_EQ(s.available(), 1U);
  EXPECT_EQ(s.waiting(), 0U);
}

ATOLL_TEST(semaphore, lets_ten_thousand_coroutines_through_one_at_a_time) {
  semaphore s("test", 1);
  struct worker {
    static future<> run(semaphore& sem, int& inside, int& most, int& done) {
      const auto units = co_await sem.acquire();
      most = std::max(most, ++inside);
      if (done % 10 == 0) co_await atoll::yield();
      --inside;
      ++done;
    }
  };
  int inside = 0, most = 0, done = 0;
  std::vector<future<>> all;
  for (int i = 0; i < 10'000; ++i) all.push_back(worker::run(s, inside, most, done));
  for (auto& f : all) co_await std::move(f);
  EXPECT_EQ(most, 1);
  EXPECT_EQ(done, 10'000);
}

ATOLL_TEST(semaphore, ends_a_wait_with_its_deadline) {
  semaphore s("request memory", 1);
  const auto held = co_await s.acquire();
  const auto r = co_await as_result(atoll::with_timeout(1ms, [&s] { return s.acquire(); }));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::deadline_exceeded, "deadline exceeded: in semaphore request memory"));
  EXPECT_EQ(s.waiting(), 0U);
}

ATOLL_TEST(semaphore, that_has_units_needs_no_wait_even_in_a_cancelled_context) {
  semaphore s("test", 1);
  cancel_source source;
  source.cancel();
  EXPECT_TRUE(co_await as_result(source.run([&s] { return s.acquire(); })));
  const auto held = co_await s.acquire();
  EXPECT_FALSE(co_await as_result(source.run([&s] { return s.acquire(); })));
}

ATOLL_TEST(semaphore, grows_to_what_a_number_holds_and_no_further) {
  semaphore s("memory", UINT64_MAX - 1);
  auto taken = co_await s.acquire(5);
  s.grow(1);
  EXPECT_EQ(s.available(), UINT64_MAX - 5);
  s.grow(1);
  s.grow(UINT64_MAX);
  taken = {};
  EXPECT_EQ(s.available(), UINT64_MAX);
}

}  // namespace
