// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/outbox.hh>

#include <atoll/actors/sync/wait_list.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::outbox;

/// Keeps calls to shard 1 unanswered until it is told to let them go.
struct valve {
  atoll::wait_list opened;
  bool open = false;
};

atoll::future<> wait_at(valve& v) {
  while (!v.open) co_await v.opened.wait();
}

ATOLL_TEST(outbox, lets_as_many_calls_out_as_its_bound_and_the_rest_in_their_turn) {
  valve v;  // shard 1's, but for its memory
  std::vector<future<>> calls;
  for (std::uint32_t i = 0; i < outbox::calls_in_flight_max + 10; ++i) {
    calls.push_back(atoll::submit_to(1, [&v] { return wait_at(v); }));
  }
  EXPECT_EQ(atoll::local_sharding().outboxes[1].in_flight(), outbox::calls_in_flight_max);
  // A call made while serving a call passes: its caller holds a place already.
  const auto nested = [] { return atoll::submit_to(1, [] { return 5; }); };
  EXPECT_EQ(co_await atoll::with_context({.depth = 1}, nested), 5);
  const auto open = [&v] {
    v.open = true;
    v.opened.wake_all();
  };
  co_await atoll::with_context({.depth = 1}, [&open] { return atoll::submit_to(1, open); });
  for (auto& c : calls) co_await std::move(c);
  EXPECT_EQ(atoll::local_sharding().outboxes[1].in_flight(), 0U);
}

ATOLL_TEST(outbox, a_call_that_waits_in_it_fails_at_its_deadline) {
  valve v;
  std::vector<future<>> calls;
  for (std::uint32_t i = 0; i < outbox::calls_in_flight_max; ++i) {
    calls.push_back(atoll::submit_to(1, [&v] { return wait_at(v); }));
  }
  bool ran = false;
  const auto late = [&ran] { return atoll::submit_to(1, [&ran] { ran = true; }); };
  const auto r = co_await as_result(atoll::with_deadline(atoll::mono_now() + 5ms, late));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::deadline_exceeded);
  const auto open = [&v] {
    v.open = true;
    v.opened.wake_all();
  };
  co_await atoll::with_context({.depth = 1}, [&open] { return atoll::submit_to(1, open); });
  for (auto& c : calls) co_await std::move(c);
  EXPECT_FALSE(ran) << "a call that had failed was sent all the same";
}

}  // namespace
