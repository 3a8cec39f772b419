// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Failures without throws: or_fail, fail, as_result. This binary counts what is thrown.
#include <dlfcn.h>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include <atoll/actors/future/combinators.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/testing/atoll_test.hh>

namespace {
std::atomic<std::uint64_t> throws{0};
}  // namespace

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define ATOLL_TEST_THROWS_ARE_NOT_COUNTED  // the sanitizer has a __cxa_throw of its own, and needs it
#endif
#endif

#ifndef ATOLL_TEST_THROWS_ARE_NOT_COUNTED
// By another name here: compilers declare the real one each in their own way.
extern "C" [[noreturn]] void atoll_test_throw(void* thrown, void* type, void (*destroy)(void*)) __asm__("__cxa_throw");
extern "C" void atoll_test_throw(void* thrown, void* type, void (*destroy)(void*)) {
  throws.fetch_add(1, std::memory_order_relaxed);
  using function = void (*)(void*, void*, void (*)(void*));
  static const auto next = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "__cxa_throw"));
  next(thrown, type, destroy);
  __builtin_unreachable();
}
#endif

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::error;
using atoll::future;
using atoll::or_fail;
using atoll::promise;
using atoll::status_code;

struct counted {
  explicit counted(int& n) : alive(&n) { ++n; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  ~counted() { --*alive; }
  int* alive;
};

/// Each frame has a local; the last one fails, at once or after a wait.
future<int> down(int depth, bool waits, int& alive) {
  const counted local(alive);
  if (depth == 0) {
    if (waits) co_await atoll::yield();
    co_await atoll::fail(status_code::not_found, "at the bottom");
  }
  co_return co_await or_fail(down(depth - 1, waits, alive)) + 1;
}

ATOLL_TEST(or_fail, passes_a_failure_through_many_frames_without_a_throw) {
  for (const bool waits : {false, true}) {
    const auto before = throws.load();
    int alive = 0;
    const auto r = co_await as_result(down(1'000, waits, alive));
    EXPECT_EQ(throws.load(), before);
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error(), error(status_code::not_found, "at the bottom"));
    EXPECT_NE(std::string_view(r.error().origin().file_name()).find("failure_test.cc"), std::string_view::npos);
    EXPECT_EQ(alive, 0);
  }
}

#ifndef ATOLL_TEST_THROWS_ARE_NOT_COUNTED
ATOLL_TEST(or_fail, the_counter_of_throws_counts) {
  const auto before = throws.load();
  try {
    co_await atoll::make_failed_future(error(status_code::aborted));
  } catch (const atoll::status_error&) {
    EXPECT_EQ(throws.load(), before + 1);
  }
  EXPECT_EQ(throws.load(), before + 1);
}
#endif

ATOLL_TEST(or_fail, destroys_the_locals_at_the_time_of_the_failure_even_if_nobody_reads_it_yet) {
  int alive = 0;
  auto at_once = down(10, false, alive);
  EXPECT_EQ(alive, 0);
  EXPECT_TRUE(at_once.failed());
  auto later = down(10, true, alive);
  EXPECT_EQ(alive, 11);
  for (int i = 0; i < 100 && !later.available(); ++i) co_await atoll::yield();
  EXPECT_TRUE(later.failed());
  EXPECT_EQ(alive, 0);
  EXPECT_FALSE(co_await as_result(std::move(at_once)));
  EXPECT_FALSE(co_await as_result(std::move(later)));
}

ATOLL_TEST(or_fail, a_deep_chain_fails_in_a_loop_not_by_recursion) {
  for (const bool waits : {false, true}) {
    int alive = 0;
    const auto r = co_await as_result(down(200'000, waits, alive));
    EXPECT_FALSE(r);
    EXPECT_EQ(alive, 0);
  }
}

future<int> reads(atoll::result<int> r) {
  const int n = co_await or_fail(std::move(r));
  co_return n + 1;
}

ATOLL_TEST(or_fail, takes_results) {
  EXPECT_EQ(co_await reads(4), 5);
  const auto r = co_await as_result(reads(error(status_code::out_of_range, "bad")));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::out_of_range, "bad"));
}

future<std::string> tries(future<int> f, bool& caught) {
  try {
    const int n = co_await or_fail(std::move(f));
    co_return std::to_string(n);
  } catch (...) {
    caught = true;
    co_return "caught";
  }
}

ATOLL_TEST(or_fail, is_seen_by_no_try_block) {
  bool caught = false;
  EXPECT_EQ(co_await tries(atoll::make_ready_future<int>(3), caught), "3");
  const auto r = co_await as_result(tries(atoll::make_failed_future<int>(error(status_code::aborted)), caught));
  EXPECT_FALSE(r);
  EXPECT_FALSE(caught);
}

ATOLL_TEST(or_fail, keeps_the_exception_behind_a_failure) {
  struct frames {
    static future<int> bottom() {
      co_await atoll::yield();
      throw std::out_of_range("the real one");
    }
    static future<int> middle() { co_return co_await or_fail(bottom()); }
  };
  bool right = false;
  try {
    co_await frames::middle();
  } catch (const std::out_of_range& e) {
    right = std::string_view(e.what()) == "the real one";
  }
  EXPECT_TRUE(right);
}

ATOLL_TEST(or_fail, carries_references_and_what_only_moves) {
  struct frames {
    static future<int&> reference(int& n) {
      co_await atoll::yield();
      co_return n;
    }
    static future<int&> through(int& n) { co_return co_await or_fail(reference(n)); }
    static future<std::unique_ptr<int>> moved() { co_return co_await or_fail(inner()); }
    static future<std::unique_ptr<int>> inner() {
      co_await atoll::yield();
      co_return std::make_unique<int>(6);
    }
  };
  int n = 5;
  EXPECT_EQ(&co_await frames::through(n), &n);
  EXPECT_EQ(*co_await frames::moved(), 6);
}

ATOLL_TEST(fail, ends_every_kind_of_coroutine_at_every_place) {
  struct frames {
    static future<> nothing(bool waits) {
      if (waits) co_await atoll::yield();
      co_await atoll::fail(error(status_code::data_loss));
    }
    static future<std::string> text(bool waits) {
      std::string local(100, 'x');
      if (waits) co_await atoll::sleep(1us);
      co_await atoll::fail(error(status_code::data_loss));
      co_return local;
    }
    static future<> in_a_loop() {
      for (int i = 0;; ++i) {
        const std::vector<int> local(10, i);
        if (i == 3) co_await atoll::fail(error(status_code::data_loss));
        co_await atoll::yield();
      }
    }
    static future<int> returned(int n) {
      if (n > 0) co_return error(status_code::data_loss);
      co_return atoll::result<int>(error(status_code::data_loss));
    }
  };
  for (const bool waits : {false, true}) {
    EXPECT_FALSE(co_await as_result(frames::nothing(waits)));
    EXPECT_FALSE(co_await as_result(frames::text(waits)));
  }
  EXPECT_FALSE(co_await as_result(frames::in_a_loop()));
  EXPECT_FALSE(co_await as_result(frames::returned(0)));
  EXPECT_FALSE(co_await as_result(frames::returned(1)));
}

ATOLL_TEST(failures, nothing_is_thrown_on_the_way_of_values) {
  const auto before = throws.load();
  promise<int> p;
  auto f = p.get_future()
               .then([](int n) { return n + 1; })
               .handle_error(status_code::not_found, [](const error&) { return 1; })
               .finally([] {});
  p.set_error(error(status_code::aborted));
  EXPECT_FALSE(co_await as_result(std::move(f)));
  EXPECT_FALSE(co_await as_result(atoll::with_timeout(1us, [] { return atoll::sleep(1h); })));
  std::vector<future<int>> several;
  several.push_back(atoll::make_failed_future<int>(error(status_code::aborted)));
  several.push_back(atoll::make_ready_future<int>(1));
  EXPECT_FALSE(co_await as_result(atoll::when_all_succeed(std::move(several))));
  EXPECT_EQ(throws.load(), before);
}

future<> throws_an_int() {
  co_await atoll::yield();
  throw 42;
}

ATOLL_TEST(failures, of_a_task_that_throws_an_int_pass_through_everything) {
  const auto r = co_await as_result(throws_an_int().then([] { return 1; }).finally([] {}));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::unknown);
  EXPECT_EQ(co_await throws_an_int().handle_error<int>([](const int&) {}).then([] { return 3; }), 3);
}

ATOLL_TEST(failures, dropped_in_each_way_are_counted_once) {
  {
    auto ready = atoll::make_failed_future<int>(error(status_code::aborted, "on purpose"));
  }
  {
    promise<int> p;
    auto f = p.get_future();
    p.set_error(error(status_code::aborted, "on purpose"));
  }
  {
    promise<int> p;
    {
      auto f = p.get_future();
    }
    p.set_error(error(status_code::aborted, "on purpose"));
  }
  {
    promise<int> p;
    {
      auto f = p.get_future();
    }  // a broken promise nobody asks for is no failure
  }
  {
    promise<int> never_asked;
  }
  {
    auto f = throws_an_int();
    for (int i = 0; i < 100 && !f.available(); ++i) co_await atoll::yield();
  }
  EXPECT_EQ(co_await atoll::testing::take_failures_abandoned(), 4U);
}

ATOLL_TEST(failures, that_move_over_others_count_those) {
  auto f = atoll::make_failed_future<int>(error(status_code::aborted, "on purpose"));
  f = atoll::make_ready_future<int>(1);
  EXPECT_EQ(co_await atoll::testing::take_failures_abandoned(), 1U);
  EXPECT_EQ(co_await std::move(f), 1);
}

future<> fails_late(promise<>& told, int& alive) {
  const counted local(alive);
  co_await or_fail(told.get_future());
}

ATOLL_TEST(or_fail, with_nobody_holding_the_future_counts_the_failure_and_frees_all) {
  int alive = 0;
  promise<> told;
  {
    auto dropped = fails_late(told, alive);
  }
  EXPECT_EQ(alive, 1);
  told.set_error(error(status_code::aborted, "nobody listens, on purpose"));
  for (int i = 0; i < 100 && alive > 0; ++i) co_await atoll::yield();
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(co_await atoll::testing::take_failures_abandoned(), 1U);
}

}  // namespace
