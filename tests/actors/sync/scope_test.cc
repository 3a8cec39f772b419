// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/scope.hh>

#include <atoll/testing/atoll_test.hh>

namespace {

using atoll::future;

ATOLL_TEST(scope, close_waits_for_everything_spawned) {
  atoll::scope s("test");
  int done = 0;
  for (int i = 0; i < 3; ++i) {
    s.spawn([](int& n) -> future<> {
      co_await atoll::yield();
      ++n;
    }(done));
  }
  EXPECT_EQ(s.running(), 3U);
  co_await s.close();
  EXPECT_EQ(done, 3);
}

ATOLL_TEST(scope, takes_the_failures_of_its_work) {
  atoll::scope s("test");
  s.spawn(atoll::make_failed_future(atoll::error(atoll::status_code::aborted, "logged, on purpose")));
  co_await s.close();
  EXPECT_EQ(co_await atoll::testing::take_failures_abandoned(), 0U);
}

}  // namespace
