// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/channel.hh>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::cancel_source;
using atoll::channel;
using atoll::error;
using atoll::future;
using atoll::status_code;

ATOLL_TEST(channel, without_room_hands_each_value_over) {
  channel<int> c("test", 0);
  auto pushed = c.push(1);
  EXPECT_FALSE(pushed.available());
  EXPECT_EQ(co_await c.pop(), 1);
  EXPECT_TRUE(pushed.available());
  co_await std::move(pushed);
  auto popped = c.pop();
  EXPECT_FALSE(popped.available());
  EXPECT_TRUE(c.push(2).available());
  EXPECT_EQ(co_await std::move(popped), 2);
  EXPECT_EQ(c.size(), 0U);
}

ATOLL_TEST(channel, of_each_capacity_keeps_order_and_bound) {
  for (const std::size_t capacity : {0U, 1U, 2U, 7U}) {
    channel<int> c("test", capacity);
    std::vector<future<>> pushed;
    for (int i = 0; i < 20; ++i) {
      pushed.push_back(c.push(i));
      EXPECT_EQ(pushed.back().available(), static_cast<std::size_t>(i) < capacity);
      EXPECT_LE(c.size(), capacity);
    }
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(co_await c.pop(), i);
      EXPECT_LE(c.size(), capacity);
    }
    for (auto& p : pushed) co_await std::move(p);
    EXPECT_EQ(c.try_pop(), std::nullopt);
  }
}

ATOLL_TEST(channel, try_push_and_try_pop_never_wait) {
  channel<std::unique_ptr<int>> c("test", 1);
  EXPECT_FALSE(c.try_pop());
  auto one = std::make_unique<int>(1);
  auto two = std::make_unique<int>(2);
  EXPECT_TRUE(c.try_push(one));
  EXPECT_EQ(one, nullptr);
  EXPECT_FALSE(c.try_push(two));
  ATOLL_REQUIRE(two != nullptr);
  EXPECT_EQ(*two, 2);
  auto pushed = c.push(std::move(two));
  EXPECT_EQ(**c.try_pop(), 1);
  EXPECT_TRUE(pushed.available());
  EXPECT_EQ(**c.try_pop(), 2);
  auto waiting = c.pop();
  auto three = std::make_unique<int>(3);
  EXPECT_TRUE(c.try_push(three));
  EXPECT_EQ(**(co_await std::move(waiting)), 3);
  c.close();
  auto four = std::make_unique<int>(4);
  EXPECT_FALSE(c.try_push(four));
  EXPECT_NE(four, nullptr);
  co_await std::move(pushed);
}

ATOLL_TEST(channel, that_closes_lets_through_what_is_under_way) {
  for (const std::size_t capacity : {0U, 1U}) {
    channel<int> c("requests", capacity);
    auto a = c.push(1);
    auto b = c.push(2);
    c.close();
    c.close();
    const auto late = co_await as_result(c.push(3));
    ATOLL_REQUIRE(!late);
    EXPECT_EQ(late.error(), error(status_code::unavailable, "closed: in channel requests"));
    EXPECT_EQ(co_await c.pop(), 1);
    EXPECT_EQ(co_await c.pop(), 2);
    EXPECT_EQ(co_await c.pop(), std::nullopt);
    EXPECT_EQ(co_await c.pop(), std::nullopt);
    co_await std::move(a);
    co_await std::move(b);
  }
}

ATOLL_TEST(channel, that_closes_ends_who_pops) {
  channel<int> c("test", 1);
  auto a = c.pop();
  auto b = c.pop();
  c.close();
  EXPECT_EQ(co_await std::move(a), std::nullopt);
  EXPECT_EQ(co_await std::move(b), std::nullopt);
}

ATOLL_TEST(channel, that_fails_ends_both_sides_with_the_first_reason) {
  channel<int> full("full", 1);
  co_await full.push(1);
  auto pushing = full.push(2);
  channel<int> empty("empty", 1);
  auto popping = empty.pop();
  for (auto* c : {&full, &empty}) {
    c->fail(error(status_code::data_loss, "first"));
    c->fail(error(status_code::aborted, "second"));
  }
  const auto pushed = co_await as_result(std::move(pushing));
  const auto popped = co_await as_result(std::move(popping));
  ATOLL_REQUIRE(!pushed && !popped);
  EXPECT_EQ(pushed.error(), error(status_code::data_loss, "first: in channel full"));
  EXPECT_EQ(popped.error(), error(status_code::data_loss, "first: in channel empty"));
  const auto later = co_await as_result(full.pop());
  ATOLL_REQUIRE(!later);
  EXPECT_EQ(later.error().code(), status_code::data_loss);
  EXPECT_EQ(full.size(), 0U);
  const auto push_later = co_await as_result(full.push(3));
  ATOLL_REQUIRE(!push_later);
  EXPECT_EQ(push_later.error().code(), status_code::data_loss);
}

ATOLL_TEST(channel, that_goes_fails_who_waits) {
  std::optional<channel<int>> c(std::in_place, "test", 0);
  auto pushing = c->push(1);
  c.reset();
  const auto pushed = co_await as_result(std::move(pushing));
  ATOLL_REQUIRE(!pushed);
  EXPECT_EQ(pushed.error(), error(status_code::cancelled, "destroyed: in channel test"));
  c.emplace("test", 0U);
  auto popping = c->pop();
  c.reset();
  const auto popped = co_await as_result(std::move(popping));
  ATOLL_REQUIRE(!popped);
  EXPECT_EQ(popped.error().code(), status_code::cancelled);
}

ATOLL_TEST(channel, a_cancelled_push_leaves_nothing_inside_and_a_cancelled_pop_takes_nothing) {
  channel<int> c("test", 1);
  co_await c.push(1);
  auto before = c.push(2);
  cancel_source source;
  auto cancelled = source.run([&c] { return c.push(3); });
  auto after = c.push(4);
  source.cancel();
  const auto r = co_await as_result(std::move(cancelled));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::cancelled, "in channel test"));
  EXPECT_EQ(co_await c.pop(), 1);
  EXPECT_EQ(co_await c.pop(), 2);
  EXPECT_EQ(co_await c.pop(), 4);
  co_await std::move(before);
  co_await std::move(after);

  const auto timed_out = co_await as_result(atoll::with_timeout(1ms, [&c] { return c.pop(); }));
  ATOLL_REQUIRE(!timed_out);
  EXPECT_EQ(timed_out.error().code(), status_code::deadline_exceeded);
  EXPECT_NE(timed_out.error().message().find("channel test"), std::string_view::npos);
  auto first = c.pop();
  cancel_source again;
  auto second = again.run([&c] { return c.pop(); });
  auto third = c.pop();
  again.cancel();
  co_await c.push(5);
  co_await c.push(6);
  EXPECT_FALSE(co_await as_result(std::move(second)));
  EXPECT_EQ(co_await std::move(first), 5);
  EXPECT_EQ(co_await std::move(third), 6);
}

ATOLL_TEST(channel, carries_all_between_many) {
  channel<int> c("test", 3);
  struct ends {
    static future<> produce(channel<int>& to, int from, int count) {
      for (int i = 0; i < count; ++i) co_await to.push(from + i);
    }
    static future<> consume(channel<int>& from, std::vector<int>& got) {
      while (const auto v = co_await from.pop()) got.push_back(*v);
    }
  };
  std::vector<int> got;
  std::vector<future<>> producers;
  std::vector<future<>> consumers;
  for (int i = 0; i < 5; ++i) {
    producers.push_back(ends::produce(c, i * 1'000, 1'000));
    consumers.push_back(ends::consume(c, got));
  }
  for (auto& p : producers) co_await std::move(p);
  c.close();
  for (auto& p : consumers) co_await std::move(p);
  std::sort(got.begin(), got.end());
  ATOLL_REQUIRE(got.size() == 5'000);
  for (int i = 0; i < 5'000; ++i) EXPECT_EQ(got[static_cast<std::size_t>(i)], i);
}

struct throws_when_moved {
  explicit throws_when_moved(int n) : left(n) {}
  throws_when_moved(throws_when_moved&& o) : left(o.left - 1) {
    if (left < 0) throw std::runtime_error("moved once too often");
  }
  throws_when_moved& operator=(throws_when_moved&&) = default;
  int left;
};

ATOLL_TEST(channel, a_value_that_throws_on_its_way_ends_no_process_and_hangs_nobody) {
  // Wherever the throw strikes, somebody learns of it, and the channel goes on.
  for (int moves = 1; moves < 8; ++moves) {
    for (const std::size_t capacity : {0U, 1U}) {
      channel<throws_when_moved> c("test", capacity);
      auto popped = c.pop();
      try {
        static_cast<void>(co_await as_result(c.push(throws_when_moved(moves))));
      } catch (const std::runtime_error&) {
        EXPECT_LE(c.size(), 1U);
      }
      c.close();
      try {
        static_cast<void>(co_await as_result(std::move(popped)));
      } catch (const std::runtime_error&) {
        continue;
      }
    }
  }
}

}  // namespace
