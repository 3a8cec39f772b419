// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/foreign_object.hh>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/testing/atoll_test.hh>

namespace foreign_objects {

/// Says where it is used and destroyed.
class notes {
 public:
  static inline std::atomic<int> destroyed_on = -1;
  static inline std::atomic<int> alive = 0;

  notes() : home_(atoll::this_shard_id()) { ++alive; }
  notes(const notes&) = delete;
  notes& operator=(const notes&) = delete;
  ~notes() {
    destroyed_on = atoll::on_shard() ? static_cast<int>(atoll::this_shard_id()) : 1'000;
    --alive;  // last: who sees none alive reads the shard
  }

  std::size_t add(std::string text) {
    EXPECT_EQ(atoll::this_shard_id(), home_);
    all_.push_back(std::move(text));
    return all_.size();
  }
  atoll::future<std::string> read_later(std::size_t i) {
    co_await may_read_.wait();
    co_return all_.at(i);
  }
  void let_read() { may_read_.set(); }
  atoll::future<> slow() {
    for (int i = 0; i < 20; ++i) co_await atoll::yield();
    EXPECT_GT(alive, 0);
    EXPECT_EQ(home_, atoll::this_shard_id());
  }

 private:
  atoll::shard_id home_;
  std::vector<std::string> all_;
  atoll::event may_read_;
};

class keeper {
 public:
  atoll::future<atoll::foreign<notes>> give() {
    return atoll::make_ready_future<atoll::foreign<notes>>(atoll::make_foreign<notes>());
  }
  atoll::future<std::size_t> use_and_drop(atoll::foreign<notes> given) {
    co_await given.call(&notes::add, std::string("one"));
    co_return co_await given.call(&notes::add, std::string("two"));
  }
};
ATOLL_SERVICE(keeper, "test.v1.Keeper", ATOLL_METHOD(give), ATOLL_METHOD(use_and_drop, given));

}  // namespace foreign_objects

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::foreign;
using atoll::future;
using atoll::status_code;
using foreign_objects::keeper;
using foreign_objects::notes;

/// Until the object is gone, for a while.
future<bool> all_are_gone() {
  for (int i = 0; i < 10'000 && notes::alive > 0; ++i) co_await atoll::sleep(1ms);
  co_return notes::alive == 0;
}

future<foreign<notes>> made_on(atoll::shard_id shard) {
  return atoll::submit_to(shard, [] { return atoll::make_foreign<notes>(); });
}

ATOLL_TEST(foreign_object, is_used_and_destroyed_at_home) {
  auto there = co_await made_on(1);
  EXPECT_EQ(there.home(), 1U);
  EXPECT_EQ(co_await there.call(&notes::add, std::string("a")), 1U);
  EXPECT_EQ(co_await there.call(
                [](notes& n, int times) -> std::size_t {
                  return n.add(std::string(3, 'b')) + static_cast<std::size_t>(times);
                },
                5),
            7U);
  notes::destroyed_on = -1;
  there.reset();
  EXPECT_FALSE(there);
  EXPECT_TRUE(co_await all_are_gone());
  EXPECT_EQ(notes::destroyed_on, 1);
}

ATOLL_TEST(foreign_object, on_its_own_shard_is_gone_at_once) {
  auto here = atoll::make_foreign<notes>();
  EXPECT_EQ(co_await here.call(&notes::add, std::string("a")), 1U);
  here.reset();
  EXPECT_EQ(notes::alive, 0);
}

ATOLL_TEST_ON(foreign_object, travels_as_argument_and_result, 3) {
  atoll::sharded<keeper> keepers;
  co_await keepers.start();
  auto given = co_await keepers.at(1).give();
  EXPECT_EQ(given.home(), 1U);
  EXPECT_EQ(co_await keepers.at(2).use_and_drop(std::move(given)), 2U);
  EXPECT_TRUE(co_await all_are_gone());
  EXPECT_EQ(notes::destroyed_on, 1);
  co_await keepers.stop();
}

ATOLL_TEST(foreign_object, stays_until_the_calls_under_way_have_ended) {
  auto there = co_await made_on(1);
  co_await there.call(&notes::add, std::string("kept"));
  auto reads = there.call(&notes::read_later, std::size_t{0});
  auto free_it = [](foreign<notes> f) -> future<> { co_await f.call(&notes::let_read); }(std::move(there));
  co_await std::move(free_it);
  EXPECT_EQ(co_await std::move(reads), "kept");
  EXPECT_TRUE(co_await all_are_gone());
}

// The calls of one shard and the end that another sends come in any order.
ATOLL_TEST_ON(foreign_object, outlives_calls_that_come_after_its_owner_has_gone, 3) {
  for (int i = 0; i < 200; ++i) {
    auto there = co_await made_on(1);
    std::vector<future<>> calls;
    for (int n = 0; n < 10; ++n) calls.push_back(there.call(&notes::slow));
    auto dropped = atoll::submit_to(2, [f = std::move(there)]() mutable { f.reset(); });
    for (auto& each : calls) co_await std::move(each);
    co_await std::move(dropped);
  }
  EXPECT_TRUE(co_await all_are_gone());
}

ATOLL_TEST(foreign_object, that_owns_nothing_can_not_be_called) {
  foreign<notes> none;
  const auto r = co_await as_result(none.call(&notes::add, std::string("a")));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::failed_precondition);
}

ATOLL_TEST(foreign_object, that_is_assigned_lets_go_of_what_it_owned) {
  auto first = co_await made_on(1);
  auto second = co_await made_on(1);
  first = std::move(second);
  for (int i = 0; i < 10'000 && notes::alive > 1; ++i) co_await atoll::sleep(1ms);
  EXPECT_EQ(notes::alive, 1) << "the one before, though `second` is still there";
  EXPECT_EQ(co_await first.call(&notes::add, std::string("a")), 1U);
  first.reset();
  EXPECT_TRUE(co_await all_are_gone());
}

ATOLL_TEST(foreign_object, is_assigned_and_moved_like_a_pointer) {
  auto first = co_await made_on(1);
  auto second = co_await made_on(1);
  EXPECT_EQ(notes::alive, 2);
  first = std::move(second);
  second.reset();
  EXPECT_EQ(co_await first.call(&notes::add, std::string("a")), 1U);
  auto third = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move)
  third.reset();
  EXPECT_TRUE(co_await all_are_gone());
}

ATOLL_TEST(foreign_object, ends_a_call_at_its_deadline_and_tells_the_object) {
  auto there = co_await made_on(1);
  const auto r =
      co_await as_result(atoll::with_timeout(5ms, [&there] { return there.call(&notes::read_later, std::size_t{0}); }));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
  there.reset();
  EXPECT_TRUE(co_await all_are_gone()) << "the wait at home ended, too";
}

ATOLL_TEST(foreign_object, refuses_calls_past_the_bound) {
  auto there = co_await made_on(1);
  std::vector<future<>> calls;
  for (std::uint32_t i = 0; i < atoll::outbox::calls_in_flight_max; ++i) calls.push_back(there.call(&notes::slow));
  EXPECT_FALSE(calls.back().available());
  const auto r = co_await as_result(there.call(&notes::let_read));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::resource_exhausted);
  for (auto& each : calls) co_await std::move(each);
  co_await there.call(&notes::let_read);
  there.reset();
  EXPECT_TRUE(co_await all_are_gone());
}

ATOLL_TEST(foreign_object, of_a_thread_is_destroyed_at_home) {
  notes::destroyed_on = -1;
  auto there = co_await made_on(1);
  std::thread([f = std::move(there)]() mutable { f.reset(); }).detach();
  EXPECT_TRUE(co_await all_are_gone());
  EXPECT_EQ(notes::destroyed_on, 1);
}

TEST(foreign_object, that_outlives_its_runtime_goes_where_it_is_dropped) {
  foreign<notes> kept;
  const auto ended = atoll::runtime::run({.shards = 2}, [&kept] {
    return made_on(1).then([&kept](foreign<notes> f) {
      kept = std::move(f);
      return 0;
    });
  });
  EXPECT_TRUE(ended);
  EXPECT_EQ(notes::alive, 1);
  kept.reset();
  EXPECT_EQ(notes::alive, 0);
  EXPECT_EQ(notes::destroyed_on, 1'000);
}

future<int> use_what_is_of_another_runtime(foreign<notes>& kept) {
  const auto outcome = co_await as_result(kept.call(&notes::add, std::string("a")));
  EXPECT_EQ(outcome ? status_code::ok : outcome.error().code(), status_code::unavailable);
  kept.reset();
  EXPECT_EQ(notes::alive, 0);
  co_return 0;
}

TEST(foreign_object, of_an_earlier_runtime_can_not_be_called_and_goes_where_it_is_dropped) {
  for (const atoll::shard_id shards : {1U, 2U}) {
    foreign<notes> kept;
    const auto make = [&kept] {
      return made_on(1).then([&kept](foreign<notes> f) {
        kept = std::move(f);
        return 0;
      });
    };
    EXPECT_TRUE(atoll::runtime::run({.shards = 2}, make));
    EXPECT_EQ(notes::alive, 1);
    EXPECT_TRUE(atoll::runtime::run({.shards = shards}, [&kept] { return use_what_is_of_another_runtime(kept); }));
  }
}

}  // namespace
