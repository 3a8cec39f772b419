// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/sleep.hh>

#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::status_code;

ATOLL_TEST(sleep, is_never_short) {
  const auto begin = atoll::mono_now();
  co_await atoll::sleep(3ms);
  EXPECT_GE(atoll::mono_now() - begin, 3ms);
}

ATOLL_TEST(sleep, of_no_time_is_soon_over) {
  co_await atoll::sleep(0s);
  co_await atoll::sleep(-5s);
}

ATOLL_TEST(sleep, ends_at_the_deadline_of_its_context) {
  const auto deadline = atoll::mono_now() + 5ms;
  const auto r = co_await as_result(atoll::with_deadline(deadline, [] { return atoll::sleep(1h); }));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
  EXPECT_GE(atoll::mono_now(), deadline);
}

ATOLL_TEST(context, is_inherited_by_what_a_coroutine_awaits_and_survives_its_suspensions) {
  const auto deadline = atoll::mono_now() + 1h;
  const auto inner = []() -> future<atoll::time_point> {
    co_await atoll::yield();
    co_return atoll::current_deadline();
  };
  EXPECT_EQ(co_await atoll::with_deadline(deadline, inner), deadline);
  EXPECT_EQ(atoll::current_deadline(), atoll::never);
}

ATOLL_TEST(context, keeps_the_earlier_of_two_deadlines) {
  const auto early = atoll::mono_now() + 1h;
  const auto f = [early] { return atoll::with_deadline(early + 1h, [] { return atoll::current_deadline(); }); };
  EXPECT_EQ(co_await atoll::with_deadline(early, f), early);
}

}  // namespace
