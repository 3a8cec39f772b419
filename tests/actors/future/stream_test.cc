// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/stream.hh>

#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include <atoll/actors/future/sleep.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using atoll::error;
using atoll::future;
using atoll::status_code;
using atoll::stream;

stream<int> count(int to) {
  for (int i = 0; i < to; ++i) co_yield i;
}

ATOLL_TEST(stream, gives_its_values_in_order_and_then_the_end) {
  auto numbers = count(1000);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(co_await numbers.next(), i);
  EXPECT_EQ(co_await numbers.next(), std::nullopt);
  EXPECT_EQ(co_await numbers.next(), std::nullopt);
}

ATOLL_TEST(stream, of_nothing_ends_at_once) {
  auto numbers = count(0);
  EXPECT_EQ(co_await numbers.next(), std::nullopt);
}

ATOLL_TEST(stream, gives_what_is_there_as_a_batch) {
  auto numbers = count(1000);
  std::vector<int> all;
  std::size_t batches = 0;
  while (true) {
    const auto batch = co_await numbers.next_batch();
    if (batch.empty()) break;
    EXPECT_LE(batch.size(), stream<int>::buffered_max);
    all.insert(all.end(), batch.begin(), batch.end());
    ++batches;
  }
  ATOLL_REQUIRE(all.size() == 1000);
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], i);
  EXPECT_LT(batches, 500U);
}

stream<int> count_steps(int to, int& made) {
  for (int i = 0; i < to; ++i) {
    ++made;
    co_yield i;
  }
}

ATOLL_TEST(stream, runs_ahead_of_its_consumer_by_the_buffer_and_no_further) {
  int made = 0;
  auto numbers = count_steps(100'000, made);
  for (int i = 0; i < 20; ++i) co_await atoll::yield();
  EXPECT_EQ(made, 0) << "it starts when it is asked";
  EXPECT_EQ(co_await numbers.next(), 0);
  for (int i = 0; i < 1000; ++i) co_await atoll::yield();
  // One more may be on its way in the co_yield that waits.
  EXPECT_GE(made, static_cast<int>(stream<int>::buffered_max) / 2);
  EXPECT_LE(made, static_cast<int>(stream<int>::buffered_max) + 1);
}

stream<std::unique_ptr<int>> fail_after(int good, bool with_throw) {
  for (int i = 0; i < good; ++i) co_yield std::make_unique<int>(i);
  if (with_throw) throw std::runtime_error("thrown");
  co_await atoll::fail(status_code::data_loss, "failed");
}

ATOLL_TEST(stream, gives_its_values_before_its_failure) {
  for (const bool with_throw : {false, true}) {
    auto values = fail_after(3, with_throw);
    for (int i = 0; i < 3; ++i) {
      const auto v = co_await values.next();
      ATOLL_REQUIRE(v.has_value());
      EXPECT_EQ(**v, i);
    }
    const auto end = co_await atoll::as_result(values.next());
    ATOLL_REQUIRE(!end);
    EXPECT_EQ(end.error().code(), with_throw ? status_code::unknown : status_code::data_loss);
    const auto after = co_await values.next();
    EXPECT_FALSE(after.has_value());
  }
}

struct flag_at_end {
  explicit flag_at_end(bool& f) : flag(f) {}
  flag_at_end(const flag_at_end&) = delete;
  flag_at_end& operator=(const flag_at_end&) = delete;
  ~flag_at_end() { flag = true; }
  bool& flag;
};

stream<int> endless(bool& gone) {
  const flag_at_end at_end(gone);
  for (int i = 0;; ++i) co_yield i;
}

ATOLL_TEST(stream, that_is_dropped_ends_its_producer) {
  bool gone = false;
  {
    const auto never_asked = endless(gone);
  }
  EXPECT_FALSE(gone) << "it never began";
  {
    auto numbers = endless(gone);
    EXPECT_EQ(co_await numbers.next(), 0);
  }
  for (int i = 0; i < 10 && !gone; ++i) co_await atoll::yield();
  EXPECT_TRUE(gone);
}

stream<int> slow(bool& gone) {
  const flag_at_end at_end(gone);
  co_yield 1;
  co_await atoll::sleep(std::chrono::hours(1));
  co_yield 2;
}

ATOLL_TEST(stream, that_is_dropped_ends_the_waits_of_its_producer) {
  bool gone = false;
  {
    auto numbers = slow(gone);
    EXPECT_EQ(co_await numbers.next(), 1);
    for (int i = 0; i < 10; ++i) co_await atoll::yield();
  }
  for (int i = 0; i < 10 && !gone; ++i) co_await atoll::yield();
  EXPECT_TRUE(gone);
}

ATOLL_TEST(stream, that_is_dropped_fails_the_next_that_waits) {
  for (const bool at_once : {false, true}) {
    bool gone = false;
    std::optional<future<std::optional<int>>> next;
    std::optional<future<std::vector<int>>> batch;
    {
      auto numbers = slow(gone);
      EXPECT_EQ(co_await numbers.next(), 1);
      next.emplace(numbers.next());
      auto others = slow(gone);
      EXPECT_EQ(co_await others.next(), 1);
      batch.emplace(others.next_batch());
      for (int i = 0; i < 10 && !at_once; ++i) co_await atoll::yield();
    }
    EXPECT_EQ((co_await atoll::as_result(*std::move(next))).error().code(), status_code::cancelled);
    EXPECT_EQ((co_await atoll::as_result(*std::move(batch))).error().code(), status_code::cancelled);
    for (int i = 0; i < 10; ++i) co_await atoll::yield();  // both producers refer to `gone`
  }
}

ATOLL_TEST(stream, that_is_dropped_while_it_closes_is_closed) {
  bool gone = false;
  std::optional<future<>> closed;
  {
    auto numbers = slow(gone);
    EXPECT_EQ(co_await numbers.next(), 1);
    for (int i = 0; i < 10; ++i) co_await atoll::yield();
    closed.emplace(numbers.close());
  }
  co_await *std::move(closed);
  EXPECT_TRUE(gone);
}

stream<int> notes_its_end(bool& gone, status_code& seen) {
  const flag_at_end at_end(gone);
  try {
    for (int i = 0;; ++i) co_yield i;
  } catch (const atoll::status_error& e) {
    seen = e.code();
    throw;
  }
}

ATOLL_TEST(stream, takes_an_error_from_its_consumer) {
  bool gone = false;
  auto seen = status_code::ok;
  auto numbers = notes_its_end(gone, seen);
  EXPECT_EQ(co_await numbers.next(), 0);
  numbers.cancel(error(status_code::out_of_range, "enough"));
  auto last = co_await atoll::as_result(numbers.next());
  while (last && last->has_value()) last = co_await atoll::as_result(numbers.next());
  ATOLL_REQUIRE(!last);
  EXPECT_EQ(last.error().code(), status_code::out_of_range);
  EXPECT_EQ(seen, status_code::out_of_range);
  EXPECT_TRUE(gone);
}

ATOLL_TEST(stream, next_ends_at_the_deadline_and_can_be_called_again) {
  bool gone = false;
  {
    auto numbers = slow(gone);
    EXPECT_EQ(co_await numbers.next(), 1);
    const auto next = [&numbers] { return numbers.next(); };
    for (int i = 0; i < 2; ++i) {
      const auto late = co_await atoll::as_result(atoll::with_timeout(std::chrono::milliseconds(1), next));
      EXPECT_FALSE(late);
      EXPECT_TRUE(!late && late.error().code() == status_code::deadline_exceeded);
    }
  }
  for (int i = 0; i < 100 && !gone; ++i) co_await atoll::yield();  // the producer refers to `gone`
  EXPECT_TRUE(gone);
}

stream<int> doubled(stream<int> source) {
  while (auto n = co_await source.next()) co_yield *n * 2;
}

ATOLL_TEST(stream, may_be_made_of_another) {
  auto numbers = doubled(doubled(count(500)));
  int sum = 0;
  while (auto n = co_await numbers.next()) sum += *n;
  EXPECT_EQ(sum, 4 * 499 * 500 / 2);
}

ATOLL_TEST(stream, refuses_a_second_next_while_one_is_under_way) {
  atoll::promise<> go_on;
  auto s = [](future<> f) -> atoll::stream<int> {
    co_await std::move(f);
    co_yield 1;
    co_yield 2;
  }(go_on.get_future());
  auto first = s.next();
  const auto second = co_await atoll::as_result(s.next());
  ATOLL_REQUIRE(!second);
  EXPECT_EQ(second.error().code(), atoll::status_code::failed_precondition);
  go_on.set_value();
  EXPECT_EQ(co_await std::move(first), 1);
  EXPECT_EQ(co_await s.next(), 2);
  EXPECT_EQ(co_await s.next(), std::nullopt);
}

ATOLL_TEST(stream, goes_on_after_a_next_that_nobody_waited_for) {
  atoll::promise<> go_on;
  auto s = [](future<> f) -> atoll::stream<int> {
    co_await std::move(f);
    co_yield 1;
    co_yield 2;
  }(go_on.get_future());
  static_cast<void>(s.next());  // takes the first
  go_on.set_value();
  co_await atoll::sleep(std::chrono::milliseconds(1));
  EXPECT_EQ(co_await s.next(), 2);
}

}  // namespace
