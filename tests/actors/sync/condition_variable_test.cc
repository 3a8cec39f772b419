// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/condition_variable.hh>

#include <optional>
#include <vector>

#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
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
  EXPECT_EQ(order, (std::vector{0, 1, 2}));
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

}  // namespace
