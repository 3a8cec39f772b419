// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/sharded.hh>

#include <atomic>
#include <memory>
#include <numeric>

#include <gmock/gmock.h>

#include <atoll/sharding/outbox.hh>
#include <atoll/testing/atoll_test.hh>

#include "counter.hh"

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::sharded;
using atoll::status_code;
using demo::counter;

ATOLL_TEST(sharded, has_an_instance_on_each_shard) {
  sharded<counter> counters;
  co_await counters.start();
  for (atoll::shard_id s = 0; s < atoll::shard_count(); ++s) EXPECT_EQ(co_await counters.at(s).where(), s);
  EXPECT_EQ(co_await counters.at(0).add("x", 1), 1);
  EXPECT_EQ(co_await counters.at(1).add("x", 5), 5) << "the shards share a counter";
  co_await counters.stop();
}

ATOLL_TEST(sharded, routes_keys_to_the_shard_that_owns_them) {
  sharded<counter> counters;
  co_await counters.start();
  for (int i = 0; i < 100; ++i) co_await counters.add(std::to_string(i), 1);
  for (int i = 0; i < 100; ++i) {
    const auto name = std::to_string(i);
    const auto owner = atoll::shard_of_hash(atoll::key_hash(name), atoll::shard_count());
    EXPECT_EQ((co_await counters.at(owner).read(name)).total, 1);
    EXPECT_EQ((co_await counters.read(name)).total, 1);
  }
  EXPECT_EQ(co_await counters.map_reduce(&counter::size, std::plus<>{}, std::size_t{0}), 100U);
  co_await counters.stop();
}

class half_broken {
 public:
  atoll::future<int> value() const {
    if (atoll::this_shard_id() == 1) co_return atoll::error(status_code::data_loss, "on shard 1");
    co_return 1;
  }
};
ATOLL_SERVICE(half_broken, "test.HalfBroken", ATOLL_METHOD(value));

ATOLL_TEST(sharded, map_reduce_gives_the_first_failure) {
  sharded<half_broken> service;
  co_await service.start();
  const auto r = co_await as_result(service.map_reduce(&half_broken::value, std::plus<>{}, 0));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), atoll::error(status_code::data_loss, "on shard 1"));
  co_await service.stop();
}

ATOLL_TEST(sharded, calls_that_fail_keep_code_and_message) {
  sharded<counter> counters;
  co_await counters.start();
  for (const std::uint32_t code : {1U, 5U, 14U, 16U}) {
    const auto r = co_await as_result(counters.at(1).refuse(code, "because"));
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error(), atoll::error(static_cast<status_code>(code), "because"));
  }
  const auto thrown = co_await as_result(counters.at(1).throw_it("oops"));
  ATOLL_REQUIRE(!thrown);
  EXPECT_EQ(thrown.error(), atoll::error(status_code::unknown, "oops"));
  co_await counters.stop();
}

ATOLL_TEST(sharded, calls_to_a_shard_that_does_not_exist_are_out_of_range) {
  sharded<counter> counters;
  co_await counters.start();
  EXPECT_TRUE(co_await as_result(counters.at(atoll::shard_count() - 1).where()));
  const auto r = co_await as_result(counters.at(atoll::shard_count()).where());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::out_of_range);
  co_await counters.stop();
}

ATOLL_TEST(sharded, a_deadline_ends_the_wait_on_both_sides) {
  sharded<counter> counters;
  co_await counters.start();
  const auto r = co_await as_result(counters.at(1).within(20ms).nap(3'600'000));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
  while (co_await counters.at(1).naps_cut_short() == 0) co_await atoll::sleep(1ms);
  co_await counters.stop();
}

ATOLL_TEST(sharded, a_callee_sees_the_deadline_of_its_caller) {
  sharded<counter> counters;
  co_await counters.start();
  EXPECT_EQ(co_await counters.at(1).nap(0), -1);
  const auto nap = [&counters] { return counters.at(1).nap(0); };
  const auto left = co_await atoll::with_deadline(atoll::mono_now() + 1h, nap);
  EXPECT_GT(left, 3'500'000);
  EXPECT_LE(left, 3'600'000);
  co_await counters.stop();
}

ATOLL_TEST(sharded, is_unavailable_by_name_before_and_after_it_runs) {
  sharded<counter> counters;
  const auto handle = counters.ref();
  auto r = co_await as_result(handle.at(1).where());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::unavailable);
  EXPECT_NE(r.error().message().find("demo.v1.Counter"), std::string::npos);
  co_await counters.start();
  EXPECT_EQ(co_await handle.at(1).where(), 1U);
  co_await counters.stop();
  r = co_await as_result(handle.at(1).where());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::unavailable);
  EXPECT_NE(r.error().message().find("demo.v1.Counter"), std::string::npos);
  co_await counters.start();
  EXPECT_EQ(co_await handle.at(1).where(), 1U) << "a service can start again";
  co_await counters.stop();
}

ATOLL_TEST(sharded, that_nobody_has_started_is_unavailable_in_each_way_of_calling_it) {
  sharded<counter> counters;
  EXPECT_EQ((co_await as_result(counters.at(1).where())).error().code(), status_code::unavailable);
  EXPECT_EQ((co_await as_result(counters.within(1s).at(0).where())).error().code(), status_code::unavailable);
  EXPECT_EQ((co_await as_result(counters.add("hits", 1))).error().code(), status_code::unavailable);
  EXPECT_EQ((co_await as_result(counters.map(&counter::where))).error().code(), status_code::unavailable);
  EXPECT_EQ((co_await as_result(counters.on_all(&counter::where))).error().code(), status_code::unavailable);
}

atoll::sharded<counter> made_before_any_runtime;

ATOLL_TEST(sharded, that_was_made_before_the_runtime_is_unavailable_until_it_has_started) {
  auto& counters = made_before_any_runtime;
  const auto expect_refused = [](const auto& outcome) {
    const std::string why = outcome ? "" : outcome.error().to_string();
    EXPECT_THAT(why, ::testing::AllOf(::testing::HasSubstr("unavailable"), ::testing::HasSubstr("demo.v1.Counter")));
  };
  expect_refused(co_await as_result(counters.at(1).where()));
  expect_refused(co_await as_result(counters.add("hits", 1)));
  expect_refused(co_await as_result(counters.map(&counter::where)));
  co_await counters.start();
  EXPECT_EQ(co_await counters.at(1).where(), 1U);
  co_await counters.stop();
}

ATOLL_TEST(sharded, refs_to_nothing_are_unavailable) {
  const atoll::sharded_ref<counter> of_all;
  EXPECT_EQ((co_await as_result(of_all.at(1).where())).error().code(), status_code::unavailable);
  EXPECT_EQ((co_await as_result(of_all.add("hits", 1))).error().code(), status_code::unavailable);
  EXPECT_EQ((co_await as_result(of_all.on_all(&counter::where))).error().code(), status_code::unavailable);
  EXPECT_EQ((co_await as_result(atoll::shard_ref<counter>().where())).error().code(), status_code::unavailable);
}

ATOLL_TEST(sharded, can_not_be_started_twice) {
  sharded<counter> counters;
  auto first = counters.start();
  const auto meanwhile = co_await as_result(counters.start());
  co_await std::move(first);
  const auto afterwards = co_await as_result(counters.start());
  for (const auto* second : {&meanwhile, &afterwards}) {
    ATOLL_REQUIRE(!*second);
    EXPECT_EQ(second->error().code(), status_code::failed_precondition);
    EXPECT_NE(second->error().message().find("demo.v1.Counter"), std::string::npos);
  }
  EXPECT_EQ(co_await counters.at(1).where(), 1U) << "it goes on";
  co_await counters.stop();
}

ATOLL_TEST(sharded, its_timeout_holds_for_refs_to_one_shard_too) {
  sharded<counter> counters;
  co_await counters.start();
  const auto soon = counters.within(1ms);
  EXPECT_EQ((co_await as_result(soon.at(1).nap(60'000))).error().code(), status_code::deadline_exceeded);
  EXPECT_TRUE(co_await as_result(soon.within(1h).at(1).nap(10))) << "the last one said";
  co_await counters.stop();
}

ATOLL_TEST(sharded, stop_waits_for_the_calls_being_served) {
  sharded<counter> counters;
  co_await counters.start();
  auto served = counters.at(1).nap(20);
  while (co_await counters.map_reduce(&counter::napping, std::plus<>{}, std::int64_t{0}) == 0) {
    co_await atoll::yield();
  }
  co_await counters.stop();
  EXPECT_TRUE(co_await as_result(std::move(served)));
}

class fragile {
 public:
  explicit fragile(std::uint32_t fails_on) {
    if (atoll::this_shard_id() == fails_on) throw std::runtime_error("no disk");
    ++alive();
  }
  ~fragile() { --alive(); }
  atoll::future<> noop() { return atoll::make_ready_future(); }
  static std::atomic<int>& alive() {
    static std::atomic<int> n{0};
    return n;
  }
};
ATOLL_SERVICE(fragile, "test.Fragile", ATOLL_METHOD(noop));

ATOLL_TEST(sharded, a_constructor_that_throws_unwinds_the_others) {
  sharded<fragile> service;
  const auto r = co_await as_result(service.start(1U));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().message(), "no disk");
  EXPECT_EQ(fragile::alive(), 0);
  co_await service.start(99U);
  EXPECT_EQ(fragile::alive(), 2);
  co_await service.stop();
  EXPECT_EQ(fragile::alive(), 0);
}

TEST(sharded, that_is_dropped_while_started_is_stopped_by_the_runtime) {
  atoll::testing::run_test([]() -> future<> {
    auto dropped = std::make_unique<sharded<fragile>>();
    co_await dropped->start(99U);
    dropped.reset();
    EXPECT_EQ(fragile::alive(), 2);
  });
  EXPECT_EQ(fragile::alive(), 0);
}

class recorder {
 public:
  atoll::future<> note(std::uint32_t n) {
    seen_.push_back(n);
    return atoll::make_ready_future();
  }
  atoll::future<std::vector<std::uint32_t>> seen() const { co_return seen_; }

 private:
  std::vector<std::uint32_t> seen_;
};
ATOLL_SERVICE(recorder, "test.Recorder", ATOLL_METHOD(note, n), ATOLL_METHOD(seen));

ATOLL_TEST(sharded, calls_start_in_the_order_made_also_beyond_every_bound) {
  constexpr std::uint32_t count = 3 * atoll::outbox::calls_in_flight_max;
  sharded<recorder> service;
  co_await service.start();
  std::vector<future<>> sent;
  for (std::uint32_t i = 0; i < count; ++i) sent.push_back(service.at(1).note(i));
  for (auto& each : sent) co_await std::move(each);
  std::vector<std::uint32_t> expected(count);
  std::iota(expected.begin(), expected.end(), 0U);
  EXPECT_EQ(co_await service.at(1).seen(), expected);
  co_await service.stop();
}

/// Calls itself on the other shard, down to depth 0.
class ping_pong : public atoll::peering<ping_pong> {
 public:
  atoll::future<std::uint32_t> down(std::uint32_t n);
};
ATOLL_SERVICE(ping_pong, "test.PingPong", ATOLL_METHOD(down, n));

atoll::future<std::uint32_t> ping_pong::down(std::uint32_t n) {
  if (n == 0) co_return 0;
  co_return 1 + co_await peers().at(1 - atoll::this_shard_id()).down(n - 1);
}

ATOLL_TEST(sharded, calls_in_a_circle_make_progress_when_every_lane_is_full) {
  sharded<ping_pong> service;
  co_await service.start();
  std::vector<future<std::uint32_t>> sent;
  for (std::uint32_t i = 0; i < 2 * atoll::outbox::calls_in_flight_max; ++i) sent.push_back(service.at(1).down(5));
  for (auto& each : sent) EXPECT_EQ(co_await std::move(each), 5U);
  co_await service.stop();
}

ATOLL_TEST(sharded, calls_whose_futures_are_dropped_are_carried_out_all_the_same) {
  sharded<counter> counters;
  co_await counters.start();
  for (int i = 0; i < 1'000; ++i) static_cast<void>(counters.at(1).add("x", 1));
  EXPECT_EQ(co_await counters.at(1).add("x", 0), 1'000);
  co_await counters.stop();
}

class mover {
 public:
  atoll::future<std::unique_ptr<std::string>> pass(std::unique_ptr<std::string> p) { co_return std::move(p); }
};
ATOLL_SERVICE(mover, "test.Mover", ATOLL_METHOD(pass, p));

ATOLL_TEST(sharded, arguments_and_results_may_be_move_only) {
  sharded<mover> service;
  co_await service.start();
  auto text = std::make_unique<std::string>("once");
  const auto* address = text.get();
  const auto back = co_await service.at(1).pass(std::move(text));
  EXPECT_EQ(back.get(), address);
  co_await service.stop();
}

class slow_to_start {
 public:
  slow_to_start() {
    // Longer than the caller's deadline; a constructor can't wait any other way.
    const auto until = atoll::mono_now() + 10ms;
    while (atoll::mono_now() < until) continue;
  }
  atoll::future<> noop() { return atoll::make_ready_future(); }
};
ATOLL_SERVICE(slow_to_start, "test.SlowToStart", ATOLL_METHOD(noop));

ATOLL_TEST(sharded, start_and_stop_are_not_cut_short_by_the_callers_deadline) {
  sharded<slow_to_start> service;
  const auto deadline = atoll::mono_now() + 1ms;
  const auto start = [&service] { return service.start(); };
  EXPECT_TRUE(co_await as_result(atoll::with_deadline(deadline, start)));
  EXPECT_TRUE(co_await as_result(service.at(1).noop()));
  const auto stop = [&service] { return service.stop(); };
  EXPECT_TRUE(co_await as_result(atoll::with_deadline(deadline, stop)));
  EXPECT_FALSE(co_await as_result(service.at(1).noop()));
}

future<> start_and_stop(sharded<counter>& counters) {
  co_await counters.start();
  EXPECT_EQ(co_await counters.map_reduce(&counter::size, std::plus<>{}, std::size_t{0}), 0U);
  co_await counters.stop();
}

TEST(sharded, may_be_declared_outside_the_runtime_and_started_in_one_after_the_other) {
  sharded<counter> counters;
  for (const atoll::shard_id shards : {2U, 3U}) {
    atoll::testing::run_test([&counters] { return start_and_stop(counters); }, shards);
  }
}

}  // namespace
