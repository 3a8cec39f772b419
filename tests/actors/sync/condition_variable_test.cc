// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/condition_variable.hh>

#include <optional>
#include <vector>

#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::error;
using atoll::future;
using atoll::status_code;

ATOLL_TEST(condition_variable, wakes_all_in_the_order_they_came) {
  atoll::condition_variable list;
  std::vector<int> order;
  std::vector<future<>> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back([](atoll::condition_variable& l, std::vector<int>& o, int n) -> future<> {
      co_await l.wait();
      o.push_back(n);
    }(list, order, i));
  }
  list.notify_all();
  EXPECT_TRUE(order.empty());
  for (auto& w : waiting) co_await std::move(w);
  if (!atoll::testing::shuffled()) {
    EXPECT_EQ(order, (std::vector{0, 1, 2}));
  }
  EXPECT_EQ(order.size(), 3U);
}

ATOLL_TEST(condition_variable, ends_a_bounded_wait_as_an_outcome) {
  atoll::condition_variable list;
  EXPECT_FALSE(co_await list.wait_for(2ms));
  auto woken = list.wait_for(1h);
  list.notify_all();
  EXPECT_TRUE(co_await std::move(woken));
}

ATOLL_TEST(condition_variable, ends_a_wait_at_the_deadline_of_its_context) {
  atoll::condition_variable list;
  const auto wait = [&list] { return list.wait(); };
  const auto r = co_await as_result(atoll::with_deadline(atoll::mono_now() + 2ms, wait));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
  EXPECT_EQ(list.waiting(), 0U);
}

ATOLL_TEST(condition_variable, fails_who_waits_when_it_goes) {
  std::optional<atoll::condition_variable> list(std::in_place);
  auto waiting = list->wait();
  list.reset();
  const auto r = co_await as_result(std::move(waiting));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::cancelled);
}

ATOLL_TEST(condition_variable, waits_until_the_predicate_holds) {
  atoll::condition_variable changed("test");
  int value = 0, asked = 0;
  const auto holds = [&] { return ++asked, value == 2; };
  auto waiting = changed.wait(holds);
  EXPECT_EQ(asked, 1);
  for (value = 1; value <= 2; ++value) {
    EXPECT_EQ(changed.waiting(), 1U);
    changed.notify_all();
    for (int i = 0; i < 100 && asked <= value; ++i) co_await atoll::yield();
    EXPECT_EQ(asked, value + 1);
    if (value == 2) break;
  }
  EXPECT_TRUE(waiting.available());
  co_await std::move(waiting);
  asked = 0;
  co_await changed.wait(holds);  // holds already: no wait
  EXPECT_EQ(asked, 1);
}

ATOLL_TEST(condition_variable, notify_one_wakes_the_first_only) {
  atoll::condition_variable changed("test");
  EXPECT_FALSE(changed.notify_one());
  auto a = changed.wait();
  auto b = changed.wait();
  EXPECT_TRUE(changed.notify_one());
  EXPECT_TRUE(a.available());
  EXPECT_FALSE(b.available());
  EXPECT_TRUE(changed.notify_one());
  EXPECT_TRUE(b.available());
  co_await std::move(a);
  co_await std::move(b);
}

ATOLL_TEST(condition_variable, who_waits_again_when_woken_is_not_woken_twice) {
  atoll::condition_variable changed("test");
  struct greedy {
    static future<> run(atoll::condition_variable& c, int& woken) {
      while (true) {
        co_await atoll::or_fail(c.wait());
        ++woken;
        c.notify_all();  // during a notify, and with nobody but the others
      }
    }
  };
  int woken = 0;
  auto one = greedy::run(changed, woken);
  changed.notify_all();
  changed.notify_all();
  for (int i = 0; i < 100; ++i) co_await atoll::yield();
  EXPECT_EQ(woken, 1);
  changed.close(error(status_code::aborted, "enough"));
  const auto r = co_await as_result(std::move(one));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::aborted, "enough: in condition_variable test"));
  EXPECT_FALSE(co_await as_result(changed.wait()));
  EXPECT_FALSE(co_await as_result(changed.wait_for(1h)));
}

ATOLL_CLOCK_TEST(condition_variable, tells_its_own_time_from_the_callers_deadline, clock) {
  atoll::condition_variable changed("test");
  // The caller's comes first.
  auto outer = as_result(atoll::with_timeout(1s, [&] { return changed.wait_for(2s); }));
  co_await clock.advance(1s);
  const auto r = co_await std::move(outer);
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
  EXPECT_NE(r.error().message().find("condition_variable test"), std::string_view::npos);
  // Its own comes first.
  auto own = as_result(atoll::with_timeout(2s, [&] { return changed.wait_for(1s); }));
  co_await clock.advance(1s);
  const auto passed = co_await std::move(own);
  ATOLL_REQUIRE(passed.has_value());
  EXPECT_FALSE(*passed);
  EXPECT_EQ(changed.waiting(), 0U);
  // Cancelled by the caller.
  atoll::cancel_source source;
  auto cancelled = source.run([&] { return changed.wait_for(1s); });
  source.cancel();
  const auto c = co_await as_result(std::move(cancelled));
  ATOLL_REQUIRE(!c);
  EXPECT_EQ(c.error().code(), status_code::cancelled);
}

ATOLL_TEST(event, stays_set_until_it_is_reset) {
  atoll::event started("started");
  auto a = started.wait();
  auto b = started.wait();
  EXPECT_EQ(started.waiting(), 2U);
  started.set();
  EXPECT_TRUE(a.available() && b.available());
  EXPECT_TRUE(started.wait().available());
  started.reset();
  auto c = started.wait();
  EXPECT_FALSE(c.available());
  const auto late = co_await as_result(atoll::with_timeout(1ms, [&] { return started.wait(); }));
  ATOLL_REQUIRE(!late);
  EXPECT_EQ(late.error().message(), "deadline exceeded: in event started");
  started.set();
  co_await std::move(a);
  co_await std::move(b);
  co_await std::move(c);
}

ATOLL_TEST(event, that_is_closed_fails_who_waits_and_who_comes_while_it_is_not_set) {
  atoll::event started("started");
  auto before = started.wait();
  started.close(error(status_code::aborted, "no"));
  started.close(error(status_code::internal, "a later reason"));
  const auto r = co_await as_result(std::move(before));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::aborted, "no: in event started"));
  const auto after = co_await as_result(started.wait());
  ATOLL_REQUIRE(!after);
  EXPECT_EQ(after.error(), error(status_code::aborted, "no: in event started"));
  started.set();
  co_await started.wait();
}

ATOLL_TEST(event, that_goes_fails_who_waits) {
  std::optional<atoll::event> started("started");
  auto waits = started->wait();
  started.reset();
  const auto r = co_await as_result(std::move(waits));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::cancelled, "destroyed: in event started"));
}

ATOLL_TEST(event, wakes_ten_thousand) {
  atoll::event started("started");
  struct waiter {
    static future<> run(atoll::event& e, int& woken) {
      co_await e.wait();
      ++woken;
    }
  };
  int woken = 0;
  std::vector<future<>> all;
  for (int i = 0; i < 10'000; ++i) all.push_back(waiter::run(started, woken));
  started.set();
  EXPECT_EQ(woken, 0);
  for (auto& f : all) co_await std::move(f);
  EXPECT_EQ(woken, 10'000);
}

}  // namespace
