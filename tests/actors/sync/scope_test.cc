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
}

}  // namespace
