// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Compiled without tail calls, as compilers do when they don't optimise: chains of coroutines must not use up the stack.
#include <atoll/actors/future/sleep.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::or_fail;

#if defined(__has_feature)
constexpr int depth = __has_feature(thread_sanitizer) ? 50'000 : 1'000'000;  // a minute and a half under it
#else
constexpr int depth = 1'000'000;
#endif

future<int> down(int n, bool failing) {
  if (n == 0) {
    co_await atoll::sleep(1us);
    if (failing) co_await atoll::fail(atoll::status_code::not_found, "the last");
    co_return 0;
  }
  co_return 1 + co_await down(n - 1, failing);
}

future<int> down_or_fail(int n) {
  if (n == 0) co_return co_await or_fail(down(0, true));
  co_return 1 + co_await or_fail(down_or_fail(n - 1));
}

ATOLL_TEST(without_tail_calls, a_million_coroutines_end_one_after_the_other) {
  EXPECT_EQ(co_await down(depth, false), depth);
}

ATOLL_TEST(without_tail_calls, a_failure_passes_a_million_coroutines) {
  const auto r = co_await as_result(down_or_fail(depth));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().message(), "the last");
}

}  // namespace
