// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/combinators.hh>

#include <algorithm>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <ranges>
#include <set>
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
using atoll::make_failed_future;
using atoll::make_ready_future;
using atoll::promise;
using atoll::status_code;

ATOLL_TEST(when_all, gives_each_outcome_in_the_order_given) {
  promise<int> late;
  auto all = atoll::when_all(late.get_future(), make_ready_future(),
                             make_failed_future<std::string>(error(status_code::aborted)),
                             make_ready_future<std::unique_ptr<int>>(std::make_unique<int>(3)));
  EXPECT_FALSE(all.available());
  late.set_value(1);
  auto [a, b, c, d] = co_await std::move(all);
  EXPECT_EQ(*a, 1);
  EXPECT_TRUE(b.has_value());
  EXPECT_FALSE(c.has_value());
  EXPECT_EQ(**d, 3);
  const auto none = co_await atoll::when_all();
  EXPECT_EQ(std::tuple_size_v<std::remove_cvref_t<decltype(none)>>, 0U);
  EXPECT_TRUE((co_await atoll::when_all(std::vector<future<int>>())).empty());
}

ATOLL_TEST(when_all_succeed, waits_for_all_and_gives_the_failure_that_comes_first_in_order) {
  promise<int> a, b, c;
  auto all = atoll::when_all_succeed(a.get_future(), b.get_future(), c.get_future());
  c.set_error(error(status_code::data_loss, "third"));
  b.set_error(error(status_code::aborted, "second"));
  for (int i = 0; i < 50; ++i) co_await atoll::yield();
  EXPECT_FALSE(all.available()) << "left work behind";
  a.set_value(1);
  const auto r = co_await as_result(std::move(all));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().message(), "second");

  std::vector<future<int>> ints;
  for (int i = 0; i < 100; ++i) ints.push_back(atoll::sleep(std::chrono::microseconds(i % 7)).then([i] { return i; }));
  const auto values = co_await atoll::when_all_succeed(std::move(ints));
  for (int i = 0; i < 100; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i);
  std::vector<future<>> voids;
  voids.push_back(make_ready_future());
  voids.push_back(make_failed_future(error(status_code::aborted, "void")));
  voids.push_back(make_failed_future(error(status_code::data_loss, "later")));
  const auto v = co_await as_result(atoll::when_all_succeed(std::move(voids)));
  ATOLL_REQUIRE(!v);
  EXPECT_EQ(v.error().message(), "void");
}

ATOLL_TEST(when_any, takes_the_first_cancels_the_others_and_waits_for_them) {
  std::string log;
  struct runner {
    static future<int> run(atoll::duration longest, std::string name, std::string& log) {
      const auto r = co_await as_result(atoll::sleep(longest));
      if (!r) {
        const auto cleaning = [] { return atoll::sleep(1ms); };
        co_await atoll::shielded(cleaning);
        log += name + " cleaned up, ";
        co_return error(status_code::cancelled);
      }
      log += name + " won, ";
      co_return 1;
    }
  };
  const auto first =
      co_await atoll::when_any([&] { return runner::run(1h, "a", log); }, [&] { return runner::run(1us, "b", log); });
  EXPECT_EQ(first.index, 1U);
  EXPECT_EQ(*first.outcome, 1);
  EXPECT_EQ(log, "b won, a cleaned up, ");
}

ATOLL_TEST(when_any, a_failure_may_be_first_and_what_starts_later_starts_cancelled) {
  bool second_was_cancelled = false;
  const auto fails = [] { return make_failed_future<int>(error(status_code::aborted)); };
  const auto second = [&] {
    second_was_cancelled = atoll::cancellation() != nullptr;
    return 2;
  };
  // A tick may put the first one off: then the second has won.
  for (int tries = 0; tries < 100 && !second_was_cancelled; ++tries) {
    const auto first = co_await atoll::when_any(fails, second);
    EXPECT_EQ(first.index, second_was_cancelled ? 0U : first.index);
    EXPECT_EQ(first.outcome.has_value(), first.index == 1);
  }
  EXPECT_TRUE(second_was_cancelled);
  const auto throws = []() -> int { throw std::runtime_error("x"); };
  EXPECT_EQ((co_await atoll::when_any(throws)).outcome.error().message(), "x");
}

ATOLL_TEST(when_any, of_a_list) {
  std::vector<std::function<future<>()>> none;
  const auto r = co_await as_result(atoll::when_any(none));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::invalid_argument);
  std::vector<std::function<future<>()>> some(5, [] { return atoll::sleep(1h); });
  some[3] = [] { return atoll::sleep(1us); };
  EXPECT_EQ((co_await atoll::when_any(std::move(some))).index, 3U);
}

ATOLL_TEST(when_any, ends_with_its_context) {
  const auto race = [] { return atoll::when_any([] { return atoll::sleep(1h); }, [] { return atoll::sleep(2h); }); };
  const auto r = co_await as_result(atoll::with_timeout(1ms, race));
  ATOLL_REQUIRE(r.has_value());
  EXPECT_EQ(r->outcome.error().code(), status_code::deadline_exceeded);
}

ATOLL_TEST(parallel_for_each, runs_all_at_once_and_waits_for_all_after_a_failure) {
  std::vector<int> numbers{1, 2, 3, 4};
  int started = 0, ended = 0;
  promise<> hold;
  const auto f = [&](int n) -> future<> {
    ++started;
    if (n == 3) return make_failed_future(error(status_code::aborted, "three"));
    if (n == 2)
      return hold.get_future().finally([&] { ++ended; }).then([] {
        return make_failed_future(error(status_code::data_loss, "two"));
      });
    return make_ready_future();
  };
  auto all = atoll::parallel_for_each(numbers, f);
  for (int i = 0; i < 10'000 && started < 4; ++i) co_await atoll::yield();  // it may give way between them
  EXPECT_EQ(started, 4);
  for (int i = 0; i < 50; ++i) co_await atoll::yield();
  EXPECT_FALSE(all.available()) << "left work behind";
  hold.set_value();
  const auto r = co_await as_result(std::move(all));
  EXPECT_EQ(ended, 1);
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().message(), "two") << "the failure of the first element that failed";
  std::vector<int> empty;
  co_await atoll::parallel_for_each(empty, f);
}

/// A range whose elements throw when they are looked at from some place on.
auto faulty_range(std::vector<int>& numbers, int bad) {
  return std::views::transform(numbers, [bad](int n) {
    if (n == bad) throw std::runtime_error("bad element");
    return n;
  });
}

ATOLL_TEST(combinators, leave_no_work_behind_where_a_range_throws) {
  std::vector<int> numbers{1, 2, 3};
  const auto slow = [](int) { return atoll::sleep(1ms); };
  auto range = faulty_range(numbers, 3);
  int alive = 0;
  const auto counted = [&](int n) {
    ++alive;
    return slow(n).finally([&alive] { --alive; });
  };
  EXPECT_FALSE(co_await as_result(atoll::parallel_for_each(range, counted)));
  EXPECT_EQ(alive, 0);
  EXPECT_FALSE(co_await as_result(atoll::max_concurrent_for_each(range, 2, counted)));
  EXPECT_EQ(alive, 0);
  const auto mapped = [&](int n) { return counted(n).then([] { return 1; }); };
  EXPECT_FALSE(co_await as_result(atoll::map_reduce(range, mapped, 0, std::plus<>())));
  EXPECT_EQ(alive, 0);
}

ATOLL_TEST(max_concurrent_for_each, never_exceeds_its_number_and_visits_all) {
  for (const std::size_t concurrent : {1U, 3U, 8U, 1'000U}) {
    std::vector<int> numbers(50);
    for (int i = 0; i < 50; ++i) numbers[static_cast<std::size_t>(i)] = i;
    std::size_t now = 0, most = 0;
    std::set<int> seen;
    const auto f = [&](int n) {
      most = std::max(most, ++now);
      seen.insert(n);
      return atoll::sleep(std::chrono::microseconds(n % 5)).finally([&now] { --now; });
    };
    co_await atoll::max_concurrent_for_each(numbers, concurrent, f);
    EXPECT_EQ(seen.size(), 50U);
    EXPECT_EQ(now, 0U);
    EXPECT_EQ(most, std::min<std::size_t>(concurrent, 50));
  }
}

ATOLL_TEST(max_concurrent_for_each, starts_none_after_a_failure) {
  std::list<int> numbers{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  int started = 0, ended = 0;
  const auto f = [&](int n) {
    ++started;
    return atoll::sleep(n == 1 ? 1us : 2ms).then([&ended, n] {
      ++ended;
      return n == 1 ? make_failed_future(error(status_code::aborted)) : make_ready_future();
    });
  };
  const auto r = co_await as_result(atoll::max_concurrent_for_each(numbers, 3, f));
  EXPECT_FALSE(r);
  EXPECT_EQ(started, 3);
  EXPECT_EQ(ended, 3) << "waits for those under way";
  const auto none = co_await as_result(atoll::max_concurrent_for_each(numbers, 0, f));
  ATOLL_REQUIRE(!none);
  EXPECT_EQ(none.error().code(), status_code::invalid_argument);
  // One that fails at once.
  started = 0;
  const auto fails = [&](int) {
    ++started;
    return make_failed_future(error(status_code::aborted));
  };
  EXPECT_FALSE(co_await as_result(atoll::max_concurrent_for_each(numbers, 3, fails)));
  EXPECT_LE(started, 3) << "one, unless a tick puts its end off";
}

ATOLL_TEST(repeat, until_told_to_stop_or_a_failure) {
  int n = 0;
  co_await atoll::repeat([&n] { return ++n == 5 ? atoll::stop_iteration::yes : atoll::stop_iteration::no; });
  EXPECT_EQ(n, 5);
  const auto fails = [&n] {
    ++n;
    return make_failed_future<atoll::stop_iteration>(error(status_code::aborted));
  };
  EXPECT_FALSE(co_await as_result(atoll::repeat(fails)));
  EXPECT_EQ(n, 6);
  co_await atoll::do_until([&n] { return n == 10; }, [&n] { ++n; });
  EXPECT_EQ(n, 10);
  co_await atoll::do_until([] { return true; }, [&n] { ++n; });
  EXPECT_EQ(n, 10);
}

ATOLL_TEST(repeat, of_what_is_always_ready_gives_way) {
  bool stop = false;
  auto other = atoll::sleep(1ms).then([&stop] { stop = true; });
  co_await atoll::do_until([&stop] { return stop; }, [] {});
  co_await std::move(other);
}

ATOLL_TEST(parallel_for_each, of_what_is_always_ready_gives_way_while_it_starts) {
  constexpr int many = 20'000'000;  // some seconds of starts, if nothing else had a turn
  const auto all = std::views::iota(0, many);
  bool stop = false;
  int started = 0;
  auto other = atoll::sleep(1ms).then([&stop] { stop = true; });
  const auto count = [&started](int) { ++started; };
  // The range ends where the other task had its turn.
  const auto until_stop = all | std::views::take_while([&stop](int) { return !stop; });
  co_await atoll::parallel_for_each(until_stop, count);
  EXPECT_LT(started, many);
  stop = false;
  started = 0;
  auto another = atoll::sleep(1ms).then([&stop] { stop = true; });
  const auto one = [&started](int) { return ++started > 0 ? 1 : 0; };
  const int sum = co_await atoll::map_reduce(until_stop, one, 0, std::plus<>());
  EXPECT_EQ(sum, started);
  EXPECT_LT(started, many);
  co_await std::move(other);
  co_await std::move(another);
}

ATOLL_TEST(map_reduce, folds_in_the_order_of_the_elements) {
  std::vector<int> numbers{5, 1, 4, 2, 3};
  const auto map = [](int n) {
    return atoll::sleep(std::chrono::microseconds(n * 100)).then([n] { return std::to_string(n); });
  };
  EXPECT_EQ(co_await atoll::map_reduce(numbers, map, std::string(">"), std::plus<>()), ">51423");
  std::vector<int> none;
  EXPECT_EQ(co_await atoll::map_reduce(none, map, std::string(">"), std::plus<>()), ">");
  const auto fails = [](int n) {
    return n == 4 ? make_failed_future<int>(error(status_code::aborted)) : make_ready_future<int>(n);
  };
  EXPECT_FALSE(co_await as_result(atoll::map_reduce(numbers, fails, 0, std::plus<>())));
}

ATOLL_TEST(retry, pauses_between_half_and_all_of_what_grows_to_a_limit) {
  const atoll::retry_policy policy{.attempts_max = 100, .first_pause = 10ms, .longest_pause = 65ms, .factor = 2};
  const std::vector<atoll::duration> full{10ms, 20ms, 40ms, 65ms, 65ms, 65ms};
  for (std::uint32_t i = 0; i < full.size(); ++i) {
    atoll::duration least = 1h, most{};
    for (int draw = 0; draw < 2'000; ++draw) {
      const auto pause = atoll::detail::retry_pause(policy, i + 2);
      least = std::min(least, pause);
      most = std::max(most, pause);
    }
    EXPECT_GE(least, full[i] / 2);
    EXPECT_LE(most, full[i]);
    EXPECT_LT(least, full[i] * 55 / 100) << "the whole range is drawn from";
    EXPECT_GT(most, full[i] * 95 / 100);
  }
  // Odd policies end.
  for (const auto& odd : {atoll::retry_policy{.first_pause = 0ms}, atoll::retry_policy{.first_pause = -1s},
                          atoll::retry_policy{.longest_pause = 0ms}, atoll::retry_policy{.factor = 0},
                          atoll::retry_policy{.first_pause = 10ms, .factor = 1},
                          atoll::retry_policy{.longest_pause = atoll::duration::max(), .factor = 4'000'000'000U}}) {
    for (const std::uint32_t attempt : {2U, 3U, 100U, 4'000'000'000U}) {
      EXPECT_GT(atoll::detail::retry_pause(odd, attempt), 0ns);
    }
  }
  co_return;
}

ATOLL_TEST(retry, tries_again_what_may_pass_and_nothing_else) {
  struct attempts {
    static future<int> run(status_code code, int fail_first, std::uint32_t max, int& tried) {
      const atoll::retry_policy policy{.attempts_max = max, .first_pause = 1us, .longest_pause = 2us};
      const auto f = [&tried, code, fail_first] {
        return tried++ < fail_first ? make_failed_future<int>(error(code)) : make_ready_future<int>(tried);
      };
      return atoll::retry(policy, f);
    }
  };
  for (const auto code : {status_code::unavailable, status_code::resource_exhausted, status_code::aborted}) {
    int tried = 0;
    EXPECT_EQ(co_await attempts::run(code, 2, 3, tried), 3);
    tried = 0;
    EXPECT_FALSE(co_await as_result(attempts::run(code, 3, 3, tried)));
    EXPECT_EQ(tried, 3);
    tried = 0;
    EXPECT_EQ(co_await attempts::run(code, 50, 0, tried), 51);
  }
  for (const auto code : {status_code::not_found, status_code::cancelled, status_code::deadline_exceeded,
                          status_code::internal, status_code::unknown}) {
    int tried = 0;
    const auto r = co_await as_result(attempts::run(code, 1, 5, tried));
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error().code(), code);
    EXPECT_EQ(tried, 1);
  }
  int tried = 0;
  const auto throws = [&tried]() -> int {
    if (++tried < 3) throw atoll::status_error(error(status_code::unavailable));
    return tried;
  };
  EXPECT_EQ(co_await atoll::retry({.attempts_max = 5, .first_pause = 1us}, throws), 3);
}

ATOLL_TEST(retry, ends_with_the_context_between_attempts) {
  int tried = 0;
  const auto f = [&tried] {
    ++tried;
    return make_failed_future<int>(error(status_code::unavailable));
  };
  const auto patient = [&f] { return atoll::retry({.attempts_max = 0, .first_pause = 1h, .longest_pause = 1h}, f); };
  const auto r = co_await as_result(atoll::with_timeout(2ms, patient));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
  EXPECT_EQ(tried, 1);
}

}  // namespace
