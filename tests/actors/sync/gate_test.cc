// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/gate.hh>

#include <optional>
#include <stdexcept>

#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::cancel_source;
using atoll::error;
using atoll::future;
using atoll::gate;
using atoll::status_code;

ATOLL_TEST(gate, closes_when_all_have_left) {
  gate g("requests");
  auto a = g.enter().value();
  auto b = g.enter().value();
  EXPECT_EQ(g.inside(), 2U);
  auto closed = g.close();
  auto closed_too = g.close();
  EXPECT_TRUE(g.closed());
  const auto refused = g.enter();
  ATOLL_REQUIRE(!refused);
  EXPECT_EQ(refused.error(), error(status_code::unavailable, "closed: in gate requests"));
  a = {};
  EXPECT_FALSE(closed.available());
  atoll::gate_hold moved(std::move(b));
  moved = {};
  EXPECT_TRUE(closed.available());
  co_await std::move(closed);
  co_await std::move(closed_too);
  co_await g.close();
}

ATOLL_TEST(gate, run_enters_and_leaves_in_every_case) {
  gate g;
  atoll::promise<int> p;
  auto running = g.run([&p] { return p.get_future(); });
  EXPECT_EQ(g.inside(), 1U);
  auto closed = g.close();
  bool ran = false;
  const auto refused = co_await as_result(g.run([&ran] { ran = true; }));
  EXPECT_FALSE(refused);
  EXPECT_FALSE(ran);
  p.set_error(error(status_code::aborted));
  EXPECT_FALSE(co_await as_result(std::move(running)));
  co_await std::move(closed);
  EXPECT_EQ(g.inside(), 0U);
  gate open;
  const auto throws = []() -> int { throw std::runtime_error("x"); };
  EXPECT_FALSE(co_await as_result(open.run(throws)));
  EXPECT_EQ(open.inside(), 0U);
}

ATOLL_TEST(gate, close_ends_with_its_context_and_the_gate_stays_closed) {
  gate g("requests");
  auto hold = g.enter().value();
  const auto r = co_await as_result(atoll::with_timeout(1ms, [&g] { return g.close(); }));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::deadline_exceeded, "deadline exceeded: in gate requests"));
  cancel_source source;
  auto cancelled = source.run([&g] { return g.close(); });
  source.cancel();
  const auto c = co_await as_result(std::move(cancelled));
  ATOLL_REQUIRE(!c);
  EXPECT_EQ(c.error(), error(status_code::cancelled, "in gate requests"));
  EXPECT_FALSE(g.enter());
  auto closed = g.close();
  hold = {};
  co_await std::move(closed);
}

ATOLL_TEST(gate, may_go_before_those_inside) {
  std::optional<gate> g(std::in_place, "test");
  auto hold = g->enter().value();
  auto closed = g->close();
  g.reset();
  const auto r = co_await as_result(std::move(closed));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::cancelled);
  hold = {};
}

}  // namespace
