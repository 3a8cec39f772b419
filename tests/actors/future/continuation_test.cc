// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/future.hh>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <atoll/actors/future/sleep.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::error;
using atoll::future;
using atoll::make_failed_future;
using atoll::make_ready_future;
using atoll::promise;
using atoll::status_code;

/// The same test for futures that are ready and for those that are not yet.
future<int> value(bool ready, int n) {
  if (ready) return make_ready_future<int>(n);
  return atoll::sleep(1us).then([n] { return n; });
}
future<int> failure(bool ready, status_code code = status_code::aborted) {
  if (ready) return make_failed_future<int>(error(code));
  return atoll::sleep(1us).then([code] { return make_failed_future<int>(error(code)); });
}
future<int> exception(bool ready) {
  return value(ready, 0).then([](int) -> int { throw std::out_of_range("thrown"); });
}

ATOLL_TEST(then, passes_values_voids_and_futures) {
  for (const bool ready : {true, false}) {
    EXPECT_EQ(co_await value(ready, 1).then([](int n) { return n + 1; }), 2);
    EXPECT_EQ(co_await value(ready, 1).then([ready](int n) { return value(!ready, n + 2); }), 3);
    int seen = 0;
    co_await value(ready, 4).then([&seen](int n) { seen = n; });
    EXPECT_EQ(seen, 4);
    EXPECT_EQ(co_await value(ready, 4).discard_value().then([] { return 5; }), 5);
  }
}

ATOLL_TEST(then, turns_a_throw_into_a_failure) {
  for (const bool ready : {true, false}) {
    const auto r = co_await as_result(exception(ready));
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error().message(), "thrown");
    const auto void_one =
        co_await as_result(value(ready, 1).discard_value().then([] { throw std::out_of_range("void"); }));
    EXPECT_FALSE(void_one);
  }
}

/// Tells by `alive` whether the function that has it still lives.
struct keeper {
  explicit keeper(bool& flag) noexcept : alive(&flag) { *alive = true; }
  keeper(keeper&& other) noexcept : alive(std::exchange(other.alive, nullptr)) {}
  keeper& operator=(keeper&&) = delete;
  ~keeper() {
    if (alive != nullptr) *alive = false;
  }
  bool* alive;
};

ATOLL_TEST(then, a_function_lives_as_long_as_the_future_it_gave) {
  for (const bool ready : {true, false}) {
    bool alive = false;
    promise<> goes_on;
    promise<> begun;
    const auto wait = [&goes_on, &begun](auto&&...) {
      begun.set_value();
      return goes_on.get_future();
    };
    const auto check = [&](future<> all) -> future<> {
      return [](future<> f, promise<>& go, promise<>& start, bool& lives) -> future<> {
        co_await start.get_future();
        EXPECT_TRUE(lives);
        go.set_value();
        co_await std::move(f);
        EXPECT_FALSE(lives);
        start = promise<>();
        go = promise<>();
      }(std::move(all), goes_on, begun, alive);
    };
    auto with_value = [wait, k = keeper(alive)](int n) { return wait(n); };
    co_await check(value(ready, 1).then(std::move(with_value)));
    auto without = [wait, k = keeper(alive)] { return wait(); };
    co_await check(value(ready, 1).discard_value().then(std::move(without)));
    auto wrapped = [wait, k = keeper(alive)](auto r) { return wait(r); };
    co_await check(value(ready, 1).then_wrapped(std::move(wrapped)));
    auto at_last = [wait, k = keeper(alive)] { return wait(); };
    co_await check(value(ready, 1).finally(std::move(at_last)).discard_value());
    auto any_error = [wait, k = keeper(alive)](error) { return wait(); };
    co_await check(failure(ready).discard_value().handle_error(std::move(any_error)));
    auto by_code = [wait, k = keeper(alive)](error) { return wait(); };
    co_await check(failure(ready).discard_value().handle_error(status_code::aborted, std::move(by_code)));
    auto by_type = [wait, k = keeper(alive)](const std::out_of_range&) { return wait(); };
    co_await check(exception(ready).discard_value().handle_error<std::out_of_range>(std::move(by_type)));
  }
}

ATOLL_TEST(then_wrapped, sees_each_outcome) {
  for (const bool ready : {true, false}) {
    const auto code = [](const atoll::result<int>& r) { return r ? status_code::ok : r.error().code(); };
    EXPECT_EQ(co_await value(ready, 1).then_wrapped(code), status_code::ok);
    EXPECT_EQ(co_await failure(ready).then_wrapped(code), status_code::aborted);
    EXPECT_EQ(co_await exception(ready).then_wrapped(code), status_code::unknown);
  }
}

ATOLL_TEST(finally, runs_in_each_case_and_gives_the_outcome) {
  for (const bool ready : {true, false}) {
    int ran = 0;
    EXPECT_EQ(co_await value(ready, 7).finally([&ran] { ++ran; }), 7);
    const auto failed = co_await as_result(failure(ready).finally([&ran] { ++ran; }));
    ATOLL_REQUIRE(!failed);
    EXPECT_EQ(failed.error().code(), status_code::aborted);
    EXPECT_EQ(co_await value(ready, 8).finally([&ran, ready] { return value(ready, 1).then([&](int) { ++ran; }); }), 8);
    EXPECT_EQ(ran, 3);
  }
}

ATOLL_TEST(finally, a_failure_of_its_own_counts_only_where_there_was_none) {
  for (const bool ready : {true, false}) {
    const auto own = [] { return make_failed_future(error(status_code::data_loss)); };
    const auto after_value = co_await as_result(value(ready, 7).finally(own));
    ATOLL_REQUIRE(!after_value);
    EXPECT_EQ(after_value.error().code(), status_code::data_loss);
    const auto after_failure = co_await as_result(failure(ready).finally(own));
    ATOLL_REQUIRE(!after_failure);
    EXPECT_EQ(after_failure.error().code(), status_code::aborted);
    const auto throws = [] { throw std::runtime_error("own"); };
    const auto thrown = co_await as_result(value(ready, 7).finally(throws));
    ATOLL_REQUIRE(!thrown);
    EXPECT_EQ(thrown.error().message(), "own");
  }
}

ATOLL_TEST(handle_error, handles_all_or_by_code_or_by_type) {
  for (const bool ready : {true, false}) {
    const auto minus = [](const error&) { return -1; };
    EXPECT_EQ(co_await value(ready, 1).handle_error(minus), 1);
    EXPECT_EQ(co_await failure(ready).handle_error(minus), -1);
    EXPECT_EQ(co_await exception(ready).handle_error(minus), -1);
    EXPECT_EQ(co_await failure(ready).handle_error([ready](const error&) { return value(ready, -2); }), -2);

    EXPECT_EQ(co_await value(ready, 1).handle_error(status_code::aborted, minus), 1);
    EXPECT_EQ(co_await failure(ready).handle_error(status_code::aborted, minus), -1);
    const auto other = co_await as_result(failure(ready).handle_error(status_code::not_found, minus));
    ATOLL_REQUIRE(!other);
    EXPECT_EQ(other.error().code(), status_code::aborted);

    const auto by_type = [](const std::out_of_range& e) { return static_cast<int>(std::string(e.what()).size()); };
    EXPECT_EQ(co_await value(ready, 1).handle_error<std::out_of_range>(by_type), 1);
    EXPECT_EQ(co_await exception(ready).handle_error<std::out_of_range>(by_type), 6);
    const auto by_base = [](const std::logic_error&) { return -4; };
    EXPECT_EQ(co_await exception(ready).handle_error<std::logic_error>(by_base), -4);
    const auto by_other = [](const std::bad_alloc&) { return -5; };
    const auto passed = co_await as_result(exception(ready).handle_error<std::bad_alloc>(by_other));
    ATOLL_REQUIRE(!passed);
    EXPECT_EQ(passed.error().message(), "thrown");
    const auto by_status = [](const atoll::status_error& e) { return static_cast<int>(e.code()); };
    EXPECT_EQ(co_await failure(ready).handle_error<atoll::status_error>(by_status), 10);
  }
}

ATOLL_TEST(handle_error, of_a_handler_that_throws_is_a_failure) {
  for (const bool ready : {true, false}) {
    const auto throws = [](const error&) -> int { throw std::runtime_error("handler"); };
    const auto r = co_await as_result(failure(ready).handle_error(throws));
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error().message(), "handler");
  }
}

ATOLL_TEST(future, carries_references) {
  int n = 1;
  EXPECT_EQ(&co_await make_ready_future<int&>(n), &n);
  promise<int&> p;
  auto f = p.get_future().then([](int& m) -> int& { return ++m; });
  p.set_value(n);
  EXPECT_EQ(&co_await std::move(f), &n);
  EXPECT_EQ(n, 2);
  const auto r = co_await as_result(make_ready_future<int&>(n));
  ATOLL_REQUIRE(r.has_value());
  EXPECT_EQ(&(*r).get(), &n);
  co_await make_ready_future<int&>(n).discard_value();
  EXPECT_EQ(&co_await make_ready_future<int&>(n).finally([] {}), &n);
  EXPECT_EQ(&co_await make_failed_future<int&>(error(status_code::aborted)).handle_error([&n](const error&) -> int& {
    return n;
  }),
            &n);
}

struct fixed {
  explicit fixed(int v) : value(v) {}
  fixed(fixed&&) = default;
  fixed& operator=(fixed&&) = delete;
  const int value;
};

ATOLL_TEST(future, carries_what_can_be_neither_assigned_nor_made_from_nothing) {
  for (const bool ready : {true, false}) {
    const auto make = [](int n) { return fixed(n); };
    EXPECT_EQ((co_await value(ready, 1).then(make)).value, 1);
    const auto r = co_await as_result(value(ready, 3).then(make).handle_error([](const error&) { return fixed(0); }));
    ATOLL_REQUIRE(r.has_value());
    EXPECT_EQ((*r).value, 3);
  }
}

ATOLL_TEST(promise, dropped_unused_does_nothing) {
  {
    promise<int> p;
    EXPECT_TRUE(p.pending());
  }
  promise<int> moved_from;
  promise<int> moved_to(std::move(moved_from));
  EXPECT_FALSE(moved_from.pending());  // NOLINT(bugprone-use-after-move)
  auto f = moved_to.get_future();
  moved_to = promise<int>();
  EXPECT_EQ((co_await as_result(std::move(f))).error().message(), "broken promise");
}

future<int> ready_recursion(int n) {
  if (n == 0) co_return 0;
  co_return 1 + co_await ready_recursion(n - 1);
}

ATOLL_TEST(coroutine, calls_itself_a_million_deep) {
#if defined(__has_feature)
  constexpr int depth = __has_feature(thread_sanitizer) ? 50'000 : 1'000'000;  // a minute and a half under it
#else
  constexpr int depth = 1'000'000;
#endif
  EXPECT_EQ(co_await ready_recursion(depth), depth);
}

ATOLL_TEST(coroutine, a_million_are_ready_at_once) {
  struct one {
    static future<> run(int& done) {
      co_await atoll::yield();
      ++done;
    }
  };
  int done = 0;
  std::vector<future<>> all;
  all.reserve(1'000'000);
  for (int i = 0; i < 1'000'000; ++i) all.push_back(one::run(done));
  EXPECT_EQ(done, 0);
  for (auto& f : all) co_await std::move(f);
  EXPECT_EQ(done, 1'000'000);
}

ATOLL_TEST(then, a_chain_of_a_hundred_thousand_resolves) {
  promise<int> p;
  auto f = p.get_future();
  for (int i = 0; i < 100'000; ++i) f = std::move(f).then([](int n) { return n + 1; });
  p.set_value(0);
  EXPECT_EQ(co_await std::move(f), 100'000);
}

ATOLL_TEST(then, a_million_on_ready_futures_in_a_loop) {
  int sum = 0;
  for (int i = 0; i < 1'000'000; ++i) sum += co_await make_ready_future<int>(1).then([](int n) { return n; });
  EXPECT_EQ(sum, 1'000'000);
}

ATOLL_TEST(then, may_give_the_future_it_continues_a_new_value) {
  const std::string longer_than_any_inline_buffer(100, 'x');
  bool ran_at_once = false;
  for (int attempts = 0; !ran_at_once && attempts < 1'000; ++attempts) {  // not at once where the shard should give way
    co_await atoll::yield();
    auto next = make_ready_future<std::string>(longer_than_any_inline_buffer);
    promise<std::string> p;
    bool ran = false;
    auto continued = std::move(next).then([&](const std::string& text) {
      next = p.get_future();
      ran = true;
      return text.size();
    });
    ran_at_once = ran;
    EXPECT_EQ(next.valid(), ran_at_once);
    EXPECT_EQ(co_await std::move(continued), 100U);
    EXPECT_TRUE(next.valid());
    EXPECT_FALSE(next.available());
    p.set_value("second");
    EXPECT_EQ(co_await std::move(next), "second");
  }
  EXPECT_TRUE(ran_at_once);
}

}  // namespace
