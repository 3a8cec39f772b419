// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/shared_future.hh>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::cancel_source;
using atoll::error;
using atoll::future;
using atoll::promise;
using atoll::shared_future;
using atoll::shared_work;
using atoll::status_code;

ATOLL_TEST(shared_future, gives_its_outcome_to_all_before_and_after) {
  promise<std::string> p;
  shared_future<std::string> shared(p.get_future());
  auto copy = shared;
  auto a = shared.get();
  auto b = copy.get();
  EXPECT_FALSE(shared.available());
  p.set_value("value");
  EXPECT_EQ(co_await std::move(a), "value");
  EXPECT_EQ(co_await std::move(b), "value");
  EXPECT_TRUE(copy.available());
  EXPECT_EQ(co_await copy.get(), "value");
  shared_future<> nothing(atoll::make_ready_future());
  co_await nothing.get();
}

ATOLL_TEST(shared_future, wakes_ten_thousand) {
  promise<int> p;
  shared_future<int> shared(p.get_future());
  struct waiter {
    static future<> run(shared_future<int> s, int& sum) { sum += co_await s.get(); }
  };
  int sum = 0;
  std::vector<future<>> all;
  for (int i = 0; i < 10'000; ++i) all.push_back(waiter::run(shared, sum));
  p.set_value(2);
  for (auto& f : all) co_await std::move(f);
  EXPECT_EQ(sum, 20'000);
}

ATOLL_TEST(shared_future, shares_a_failure_and_reports_one_that_nobody_asked_for) {
  {
    shared_future<int> asked(atoll::make_failed_future<int>(error(status_code::aborted, "shared")));
    for (int i = 0; i < 2; ++i) {
      const auto r = co_await as_result(asked.get());
      ATOLL_REQUIRE(!r);
      EXPECT_EQ(r.error().message(), "shared");
    }
    EXPECT_TRUE(asked.failed());
  }
  EXPECT_EQ(co_await atoll::testing::take_failures_abandoned(), 0U);
  {
    shared_future<int> unasked(atoll::make_failed_future<int>(error(status_code::aborted, "on purpose")));
    while (!unasked.available()) co_await atoll::yield();  // a tick may have put it off
  }
  EXPECT_EQ(co_await atoll::testing::take_failures_abandoned(), 1U);
}

ATOLL_TEST(shared_future, may_go_before_its_waiters) {
  promise<int> p;
  std::optional<shared_future<int>> shared(p.get_future());
  auto waiting = shared->get();
  shared.reset();
  p.set_value(4);
  EXPECT_EQ(co_await std::move(waiting), 4);
}

struct throws_when_copied {
  throws_when_copied() = default;
  throws_when_copied(const throws_when_copied&) { throw std::runtime_error("no copy"); }
  throws_when_copied(throws_when_copied&&) noexcept = default;
  throws_when_copied& operator=(throws_when_copied&&) noexcept = default;
};

ATOLL_TEST(shared_future, a_copy_that_throws_is_the_failure_of_who_wanted_it) {
  promise<throws_when_copied> p;
  shared_future<throws_when_copied> shared(p.get_future());
  auto a = shared.get();
  auto b = shared.get();
  p.set_value();
  for (auto* f : {&a, &b}) {
    const auto r = co_await as_result(std::move(*f));
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error().message(), "no copy");
  }
}

ATOLL_TEST(shared_work, runs_once_for_all_who_wait) {
  int runs = 0;
  shared_work<int> work("table", 0s, [&runs] { return atoll::sleep(1ms).then([&runs] { return ++runs; }); });
  auto a = work.get();
  auto b = work.get();
  EXPECT_EQ(co_await std::move(a), 1);
  EXPECT_EQ(co_await std::move(b), 1);
  EXPECT_EQ(co_await work.get(), 2);
}

ATOLL_TEST(shared_work, that_is_ready_at_once_is_no_wait) {
  int runs = 0;
  for (const auto good_for : {atoll::duration(0), atoll::duration(1h)}) {
    runs = 0;
    shared_work<int> work("table", good_for, [&runs] { return atoll::make_ready_future<int>(++runs); });
    EXPECT_EQ(co_await work.get(), 1);
    EXPECT_EQ(co_await work.get(), good_for > 0s ? 1 : 2);
    work.forget();
    EXPECT_EQ(co_await work.get(), good_for > 0s ? 2 : 3);
  }
  shared_work<int> fails("table", 1h, [&runs] {
    ++runs;
    return atoll::make_failed_future<int>(error(status_code::aborted));
  });
  runs = 0;
  EXPECT_FALSE(co_await as_result(fails.get()));
  EXPECT_FALSE(co_await as_result(fails.get()));
  EXPECT_EQ(runs, 2) << "failures are not kept";
  shared_work<int> throws("table", 1h, []() -> future<int> { throw std::runtime_error("work"); });
  const auto r = co_await as_result(throws.get());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().message(), "work");
}

ATOLL_CLOCK_TEST(shared_work, keeps_a_value_for_its_time, clock) {
  int runs = 0;
  shared_work<int> work("table", 5s, [&runs] { return atoll::sleep(1s).then([&runs] { return ++runs; }); });
  auto first = work.get();
  co_await clock.advance(1s);
  EXPECT_EQ(co_await std::move(first), 1);
  clock.set_forward(5s - 1ns);
  EXPECT_EQ(co_await work.get(), 1);
  clock.set_forward(1ns);
  auto second = work.get();
  EXPECT_FALSE(second.available());
  co_await clock.advance(1s);
  EXPECT_EQ(co_await std::move(second), 2);
}

ATOLL_TEST(shared_work, is_cancelled_when_the_last_who_waits_has_left) {
  int started = 0, cancelled = 0;
  shared_work<int> work("table", 0s, [&] {
    ++started;
    return atoll::sleep(1h).then_wrapped([&cancelled](const atoll::result<>& r) {
      cancelled += !r;
      return 1;
    });
  });
  cancel_source a, b;
  auto in_a = a.run([&] { return work.get(); });
  auto in_b = b.run([&] { return work.get(); });
  a.cancel();
  EXPECT_FALSE(co_await as_result(std::move(in_a)));
  for (int i = 0; i < 50; ++i) co_await atoll::yield();
  EXPECT_EQ(cancelled, 0);
  b.cancel();
  EXPECT_FALSE(co_await as_result(std::move(in_b)));
  for (int i = 0; i < 50; ++i) co_await atoll::yield();
  EXPECT_EQ(cancelled, 1);
  // The next one runs anew; no caller's deadline reaches the work itself.
  cancel_source c;
  auto in_c = c.run([&] { return work.get(); });
  EXPECT_EQ(started, 2);
  c.cancel();
  EXPECT_FALSE(co_await as_result(std::move(in_c)));
  for (int i = 0; i < 50; ++i) co_await atoll::yield();
  EXPECT_EQ(cancelled, 2);
}

ATOLL_TEST(shared_work, runs_in_no_callers_context) {
  promise<> go;
  auto shared_go = std::make_shared<shared_future<>>(go.get_future());
  shared_work<atoll::time_point> work("table", 0s, [shared_go] {
    const auto deadline = atoll::current_deadline();
    return shared_go->get().then([deadline] { return deadline; });
  });
  auto bounded = atoll::with_timeout(1ms, [&work] { return work.get(); });
  auto patient = work.get();
  EXPECT_FALSE(co_await as_result(std::move(bounded)));
  go.set_value();
  EXPECT_EQ(co_await std::move(patient), atoll::never);
}

ATOLL_TEST(shared_work, that_goes_fails_who_waits) {
  std::optional<shared_work<int>> work(std::in_place, "table", 0s,
                                       [] { return atoll::sleep(1h).then([] { return 1; }); });
  auto waiting = work->get();
  work.reset();
  const auto r = co_await as_result(std::move(waiting));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::cancelled, "destroyed: in shared_work table"));
}

ATOLL_TEST(shared_work, without_a_value_is_done_once_for_all_who_want_it) {
  int runs = 0;
  shared_work<> flush("flush", 1h, [&runs]() -> future<> {
    ++runs;
    return atoll::sleep(1ms);
  });
  auto a = flush.get();
  auto b = flush.get();
  co_await std::move(a);
  co_await std::move(b);
  co_await flush.get();
  EXPECT_EQ(runs, 1);
  flush.forget();
  co_await flush.get();
  EXPECT_EQ(runs, 2);
}

}  // namespace
