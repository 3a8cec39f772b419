// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/scope.hh>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::error;
using atoll::future;
using atoll::status_code;

ATOLL_TEST(scope, close_waits_for_everything_spawned) {
  atoll::scope s("test");
  int done = 0;
  for (int i = 0; i < 3; ++i) {
    s.spawn([&done] { return atoll::sleep(std::chrono::milliseconds(1)).then([&done] { ++done; }); });
  }
  EXPECT_EQ(s.running(), 3U);
  co_await s.close();
  EXPECT_EQ(done, 3);
}

ATOLL_TEST(scope, takes_the_failures_of_its_work) {
  atoll::scope s("test");
  s.spawn([] { return atoll::make_failed_future(atoll::error(atoll::status_code::aborted, "logged, on purpose")); });
  co_await s.close();
  EXPECT_EQ(co_await atoll::testing::take_failures_abandoned(), 0U);
}

/// Its second move throws.
struct hard_to_move {
  hard_to_move() = default;
  hard_to_move(hard_to_move&& other) : moves(other.moves + 1) {  // NOLINT(performance-noexcept-move-constructor)
    if (moves > 1) throw std::length_error("moved too often");
  }
  int moves = 0;
};

// clang's unoptimised code reads the coroutine's frame after it has freed it: docs/compilers.md.
#if !defined(__clang__) || defined(__OPTIMIZE__)
ATOLL_TEST(scope, an_argument_that_can_not_be_moved_is_a_failure) {
  atoll::scope s("test");
  bool called = false;
  EXPECT_FALSE(s.spawn([&called](const hard_to_move&) { called = true; }, hard_to_move()));
  EXPECT_FALSE(called);
  EXPECT_EQ(s.running(), 0U);
  EXPECT_EQ(s.failures(), 1U);
  co_await s.close();
}
#endif

ATOLL_TEST(scope, close_is_not_cut_short_by_a_deadline) {
  atoll::scope s("test");
  bool done = false;
  s.spawn([&done] { return atoll::sleep(std::chrono::milliseconds(5)).then([&done] { done = true; }); });
  const auto close = [&s] { return s.close(); };
  EXPECT_TRUE(co_await atoll::as_result(atoll::with_deadline(atoll::mono_now(), close)));
  EXPECT_TRUE(done);
}

ATOLL_TEST(scope, that_goes_before_its_work_does_not_end_the_process) {
  atoll::promise<> p;
  {
    atoll::scope("test").spawn([&p] { return p.get_future(); });
  }
  p.set_value();
  co_await atoll::yield();
  EXPECT_EQ(co_await atoll::testing::take_scopes_leaked(), 1U);
}

ATOLL_TEST(scope, stop_ends_the_waits_of_its_work_and_waits_for_what_ignores_that) {
  atoll::scope s("test");
  bool slept = true;
  s.spawn([&slept] { return atoll::sleep(1h).then_wrapped([&slept](atoll::result<> r) { slept = r.has_value(); }); });
  atoll::promise<> stubborn;
  s.spawn([&stubborn] { return stubborn.get_future(); });
  auto stopped = s.stop();
  for (int i = 0; i < 100; ++i) co_await atoll::yield();
  EXPECT_FALSE(slept);
  EXPECT_FALSE(stopped.available()) << "stop() left work behind";
  EXPECT_EQ(s.running(), 1U);
  stubborn.set_value();
  co_await std::move(stopped);
  EXPECT_EQ(s.running(), 0U);
  EXPECT_EQ(s.failures(), 0U);
}

ATOLL_TEST(scope, that_is_cancelled_for_a_reason_counts_no_work_that_ended_for_it) {
  std::vector<error> seen;
  const auto note = [&seen](const error& e) { seen.push_back(e); };
  atoll::scope s("aborted", note);
  s.spawn([] { return atoll::sleep(std::chrono::hours(1)); });
  s.spawn([] { return atoll::sleep(std::chrono::hours(1)); });
  s.cancel(error(status_code::aborted, "enough"));
  co_await s.close();
  EXPECT_EQ(s.failures(), 0U);
  EXPECT_TRUE(seen.empty());
  atoll::scope other("other", note);
  other.spawn([] { return atoll::make_failed_future(error(status_code::aborted, "before it was cancelled")); });
  other.cancel(error(status_code::deadline_exceeded, "late"));
  co_await other.close();
  EXPECT_EQ(other.failures(), 1U);
}

ATOLL_TEST(scope, refuses_work_when_closed_or_cancelled) {
  atoll::scope closed("closed");
  co_await closed.close();
  bool ran = false;
  EXPECT_FALSE(closed.spawn([&ran] { ran = true; }));
  atoll::scope cancelled("cancelled");
  cancelled.cancel();
  EXPECT_TRUE(cancelled.cancelled());
  EXPECT_FALSE(cancelled.spawn([&ran] { ran = true; }));
  EXPECT_FALSE(ran);
  co_await cancelled.close();
}

ATOLL_TEST(scope, counts_failures_but_not_those_of_its_own_cancelling) {
  std::vector<atoll::error> seen;
  atoll::scope s("test", [&seen](const atoll::error& e) { seen.push_back(e); });
  s.spawn([] { return atoll::sleep(1h); });
  s.spawn([] { return atoll::make_failed_future(atoll::error(status_code::cancelled, "of its own")); });
  s.spawn([] { throw std::runtime_error("thrown"); });
  while (s.failures() < 2) co_await atoll::yield();  // a tick may have put one off
  co_await s.stop();
  EXPECT_EQ(s.failures(), 2U);
  ATOLL_REQUIRE(seen.size() == 2);
  EXPECT_EQ(std::ranges::count(seen, "of its own", &atoll::error::message), 1);
  EXPECT_EQ(std::ranges::count(seen, "thrown", &atoll::error::message), 1);
}

ATOLL_TEST(scope, survives_an_error_handler_that_throws) {
  atoll::scope s("test", [](const atoll::error&) { throw std::runtime_error("handler"); });
  s.spawn([] { throw std::runtime_error("work"); });
  co_await s.close();
  EXPECT_EQ(s.failures(), 1U);
}

ATOLL_TEST(scope, keeps_the_arguments_of_its_work_until_that_has_ended) {
  atoll::scope s("test");
  struct server {
    int served = 0;
    future<> serve(std::unique_ptr<int> n) {
      co_await atoll::sleep(1us);
      served += *n;
    }
    static future<> add(int& to, std::shared_ptr<int> n) {
      co_await atoll::yield();
      to += *n;
    }
  } it;
  s.spawn(&server::serve, &it, std::make_unique<int>(5));
  int sum = 0;
  s.spawn(&server::add, std::ref(sum), std::make_shared<int>(7));
  co_await s.close();
  EXPECT_EQ(it.served, 5);
  EXPECT_EQ(sum, 7);
}

ATOLL_TEST(scope, work_runs_below_the_context_the_scope_was_made_in) {
  struct handler {
    static future<> run(std::optional<atoll::result<>>& outcome) {
      atoll::scope s("handler");
      s.spawn([&outcome] { return atoll::sleep(1h).then_wrapped([&outcome](atoll::result<> r) { outcome = r; }); });
      co_await s.close();
    }
  };
  std::optional<atoll::result<>> outcome;
  EXPECT_TRUE(co_await as_result(atoll::with_timeout(1ms, [&] { return handler::run(outcome); })));
  ATOLL_REQUIRE(outcome && !*outcome);
  EXPECT_EQ(outcome->error().code(), status_code::deadline_exceeded);
}

ATOLL_TEST(scope, work_may_spawn_more_while_it_closes_only_before) {
  atoll::scope s("test");
  struct generations {
    static future<> run(atoll::scope& of, int left, int& ran) {
      ++ran;
      co_await atoll::yield();
      if (left > 0) of.spawn(&run, std::ref(of), left - 1, std::ref(ran));
    }
  };
  int ran = 0;
  s.spawn(&generations::run, std::ref(s), 3, std::ref(ran));
  while (s.running() > 0) co_await atoll::yield();
  EXPECT_EQ(ran, 4);
  s.spawn(&generations::run, std::ref(s), 3, std::ref(ran));
  co_await s.close();
  EXPECT_EQ(ran, 5);
}

ATOLL_TEST(with_scope, waits_for_all_and_gives_what_f_gives) {
  int done = 0;
  const auto f = [&done](atoll::scope& s) {
    for (int i = 0; i < 3; ++i) s.spawn([&done] { return atoll::sleep(1ms).then([&done] { ++done; }); });
    return 7;
  };
  EXPECT_EQ(co_await atoll::with_scope("fan-out", f), 7);
  EXPECT_EQ(done, 3);
}

ATOLL_TEST(with_scope, cancels_the_rest_where_f_fails_and_still_waits) {
  std::optional<atoll::result<>> outcome;
  const auto f = [&outcome](atoll::scope& s) {
    s.spawn([&outcome] { return atoll::sleep(1h).then_wrapped([&outcome](atoll::result<> r) { outcome = r; }); });
    return atoll::make_failed_future<int>(atoll::error(status_code::not_found, "f failed"));
  };
  const auto r = co_await as_result(atoll::with_scope("fan-out", f));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), atoll::error(status_code::not_found, "f failed"));
  ATOLL_REQUIRE(outcome && !*outcome);
  EXPECT_EQ(outcome->error().code(), status_code::cancelled);
  const auto throws = [](atoll::scope&) { throw std::runtime_error("thrown"); };
  EXPECT_FALSE(co_await as_result(atoll::with_scope("throws", throws)));
}

ATOLL_TEST(scope, that_goes_cancels_its_work_and_is_counted) {
  std::optional<atoll::result<>> outcome;
  {
    atoll::scope s("leaks on purpose");
    s.spawn([&outcome] { return atoll::sleep(1h).then_wrapped([&outcome](atoll::result<> r) { outcome = r; }); });
  }
  EXPECT_EQ(co_await atoll::testing::take_scopes_leaked(), 1U);
  for (int i = 0; i < 100 && !outcome; ++i) co_await atoll::yield();
  ATOLL_REQUIRE(outcome && !*outcome);
  EXPECT_EQ(outcome->error().code(), status_code::cancelled);
}

}  // namespace
