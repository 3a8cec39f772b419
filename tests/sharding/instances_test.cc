// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Calls to several instances at once, arguments of start(), singletons, and stopping under load.
#include <array>
#include <atomic>
#include <memory>
#include <ranges>

#include <atoll/actors/memory/buffer.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/singleton.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using atoll::as_result;
using atoll::future;
using atoll::shard_id;
using atoll::sharded;
using atoll::status_code;

class tally {
 public:
  future<> add(int n) {
    total_ += n;
    return atoll::make_ready_future();
  }
  int total() const { return total_; }
  shard_id where() const { return atoll::this_shard_id(); }
  future<std::unique_ptr<int>> later(std::unique_ptr<int> n, const std::vector<int>& more) {
    co_await atoll::yield();
    for (const int each : more) *n += each;
    co_return n;
  }
  void refuse(shard_id shard) const {
    if (atoll::this_shard_id() >= shard) {
      throw std::runtime_error("refused by " + std::to_string(atoll::this_shard_id()));
    }
  }

 private:
  int total_ = 0;
};
ATOLL_SERVICE(tally, "test.Tally", ATOLL_METHOD(add, n));

ATOLL_TEST_ON(instances, are_called_all_at_once_or_some_of_them, 3) {
  sharded<tally> tallies;
  co_await tallies.start();
  co_await tallies.on_all(&tally::add, 1);
  co_await tallies.on_others(&tally::add, 10);
  const std::vector<shard_id> some{2, 0};
  co_await tallies.on(some, &tally::add, 100);
  co_await tallies.on(std::views::iota(1U, 3U), &tally::add, 1000);
  co_await tallies.on(std::array{1U, 2U}, &tally::add, 10'000);
  const auto totals = co_await tallies.map(&tally::total);
  EXPECT_EQ(totals, (std::vector<int>{101, 11'011, 11'111}));
  EXPECT_EQ(co_await tallies.invoke_on(1, &tally::total), 11'011);
  const auto places = co_await tallies.map(&tally::where);
  EXPECT_EQ(places, (std::vector<shard_id>{0, 1, 2}));
  EXPECT_EQ(co_await tallies.map_reduce(&tally::total, std::plus<>{}, 0), 101 + 11'011 + 11'111);
  co_await tallies.stop();
}

ATOLL_TEST_ON(instances, may_be_called_one_by_one_with_what_can_only_be_moved, 3) {
  sharded<tally> tallies;
  EXPECT_FALSE(tallies.has_local());
  co_await tallies.start();
  EXPECT_TRUE(tallies.has_local());
  const auto add = [](tally& t, std::unique_ptr<int> n) { return t.add(*n); };
  co_await tallies.invoke_on(2, add, std::make_unique<int>(7));
  EXPECT_EQ(co_await tallies.invoke_on(2, &tally::total), 7);
  EXPECT_EQ(co_await tallies.invoke_on(0, [](tally& t, int factor) { return t.total() * factor; }, 2), 0);
  const auto none = co_await as_result(tallies.invoke_on(3, &tally::total));
  ATOLL_REQUIRE(!none);
  EXPECT_EQ(none.error().code(), status_code::out_of_range);
  const auto page = atoll::buffer::copy_of("page");
  const auto is_own = [](tally& /*of*/, atoll::buffer b) { return b.sole_owner(); };
  EXPECT_TRUE(co_await tallies.invoke_on(1, is_own, page.share()));
  co_await tallies.stop();
  EXPECT_FALSE(tallies.has_local());
}

ATOLL_TEST_ON(instances, run_functions_without_captures, 2) {
  sharded<tally> tallies;
  co_await tallies.start();
  co_await tallies.on_all([](tally& t, const std::string& word) { return t.add(static_cast<int>(word.size())); },
                          std::string("five!"));
  const auto twice = co_await tallies.map([](tally& t, int factor) { return t.total() * factor; }, 2);
  EXPECT_EQ(twice, (std::vector<int>{10, 10}));
  const auto add = [](tally& t, int from, const std::vector<int>& more) {
    return t.later(std::make_unique<int>(from), more);
  };
  const std::vector<int> more{1, 2};
  const auto numbers = co_await tallies.map(add, 10, more);
  EXPECT_EQ(*numbers[0] + *numbers[1], 26);
  co_await tallies.stop();
}

ATOLL_TEST_ON(instances, all_are_called_and_the_first_failure_is_told, 3) {
  sharded<tally> tallies;
  co_await tallies.start();
  const auto r = co_await as_result(tallies.on_all(&tally::refuse, shard_id{1}));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().message(), "refused by 1");
  const std::vector<shard_id> beyond{0, 3};
  const auto none = co_await as_result(tallies.on(beyond, &tally::add, 1));
  ATOLL_REQUIRE(!none);
  EXPECT_EQ(none.error().code(), status_code::out_of_range);
  const auto totals = co_await tallies.map(&tally::total);
  EXPECT_EQ(totals, (std::vector<int>{1, 0, 0}));
  co_await tallies.stop();
}

ATOLL_TEST_ON(instances, may_have_no_others, 1) {
  sharded<tally> tallies;
  co_await tallies.start();
  co_await tallies.on_others(&tally::add, 10);
  const auto totals = co_await tallies.map(&tally::total);
  EXPECT_EQ(totals, std::vector<int>{0});
  co_await tallies.stop();
}

/// Something that can't travel.
struct pinned {
  explicit pinned(int n) : number(n), made_on(atoll::this_shard_id()) {}
  pinned(const pinned&) = delete;
  pinned& operator=(const pinned&) = delete;
  int number;
  shard_id made_on;
};

class user {
 public:
  user(std::unique_ptr<pinned> own, tally& near, atoll::sharded_ref<tally> far)
      : own_(std::move(own)), near_(near), far_(far) {}
  future<int> look() {
    co_await far_.on_all(&tally::add, 1);
    co_return near_.total() * 1000 + own_->number + static_cast<int>(own_->made_on);
  }

 private:
  std::unique_ptr<pinned> own_;
  tally& near_;
  atoll::sharded_ref<tally> far_;
};
ATOLL_SERVICE(user, "test.User", ATOLL_METHOD(look));

std::unique_ptr<pinned> make_pinned(int n) { return std::make_unique<pinned>(n); }

ATOLL_TEST(start, gives_what_is_made_on_the_shard_and_other_services) {
  sharded<tally> tallies;
  sharded<user> users;
  const auto early = co_await as_result(users.start(atoll::per_shard(&make_pinned, 5), tallies.ref(), tallies.ref()));
  ATOLL_REQUIRE(!early);
  EXPECT_EQ(early.error().code(), status_code::unavailable);
  EXPECT_NE(early.error().message().find("test.Tally"), std::string_view::npos) << early.error().message();
  co_await tallies.start();
  co_await users.start(atoll::per_shard(&make_pinned, 5), tallies.ref(), tallies.ref());
  EXPECT_EQ(co_await users.at(0).look(), 1005);
  EXPECT_EQ(co_await users.at(1).look(), 2006);
  co_await users.stop();
  co_await tallies.stop();
}

class counted {
 public:
  explicit counted(int first) : next_(first) { ++alive; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  ~counted() { --alive; }
  future<int> next() { return atoll::make_ready_future<int>(next_++); }
  future<shard_id> where() { return atoll::make_ready_future<shard_id>(atoll::this_shard_id()); }
  static inline std::atomic<int> alive = 0;

 private:
  int next_;
};
ATOLL_SERVICE(counted, "test.Counted", ATOLL_METHOD(next), ATOLL_METHOD(where));

ATOLL_TEST_ON(singleton, has_one_instance_that_every_shard_may_call, 3) {
  atoll::singleton<counted> one;
  const auto before = co_await as_result(one.ref().next());
  ATOLL_REQUIRE(!before);
  EXPECT_EQ(before.error().code(), status_code::unavailable);
  co_await one.start(7);
  EXPECT_EQ(counted::alive, 1);
  for (shard_id s = 0; s < 3; ++s) {
    auto call = [ref = one.ref()] { return ref.next(); };
    EXPECT_EQ(co_await atoll::submit_to(s, call), 7 + static_cast<int>(s));
  }
  co_await one.stop();
  EXPECT_EQ(counted::alive, 0);
  co_await one.start_on(2, 1);
  EXPECT_EQ(co_await one.ref().where(), 2U);
  co_await one.stop();
  EXPECT_EQ((co_await as_result(one.start_on(3, 1))).error().code(), status_code::out_of_range);
  EXPECT_EQ(counted::alive, 0);
}

ATOLL_TEST(sharded, starts_and_stops_a_thousand_times) {
  sharded<counted> services;
  for (int i = 0; i < 1000; ++i) {
    co_await services.start(i);
    EXPECT_EQ(co_await services.at(1).next(), i);
    co_await services.stop();
  }
  EXPECT_EQ(counted::alive, 0);
}

struct load {
  int answered = 0;
  int refused = 0;
};

/// Calls all shards from this one until the service refuses.
future<load> call_until_refused(atoll::sharded_ref<counted> ref) {
  load l;
  for (std::uint32_t i = 0; l.refused == 0; ++i) {
    const auto r = co_await as_result(ref.at(i % atoll::shard_count()).next());
    EXPECT_TRUE(r || r.error().code() == status_code::unavailable) << r.error().to_string();
    EXPECT_TRUE(r || r.error().message().find("test.Counted") != std::string_view::npos) << r.error().to_string();
    ++(r ? l.answered : l.refused);
  }
  co_return l;
}

ATOLL_TEST_ON(sharded, stops_under_full_load_from_every_shard, 3) {
  for (int round = 0; round < 10; ++round) {
    sharded<counted> services;
    co_await services.start(0);
    std::atomic<int> ended = 0;
    std::atomic<int> answered = 0;
    atoll::scope callers("callers");
    for (shard_id s = 0; s < 3; ++s) {
      for (int i = 0; i < 50; ++i) {
        callers.spawn([&, s, ref = services.ref()] {
          return atoll::submit_to(s, [&, ref] {
            return call_until_refused(ref).then([&](const load& l) {
              answered += l.answered;
              ++ended;
            });
          });
        });
      }
    }
    while (answered + ended < 1 && co_await services.at(0).next() < 2000) co_await atoll::yield();
    co_await services.stop();
    co_await callers.close();
    EXPECT_EQ(ended, 150);
    EXPECT_EQ(counted::alive, 0);
  }
}

}  // namespace
