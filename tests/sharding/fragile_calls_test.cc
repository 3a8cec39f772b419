// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Calls whose arguments and results throw where they are copied or moved, and methods that throw anything: each ends in order, nothing
// is left of it, and the service goes on.
#include <atomic>
#include <memory>
#include <stdexcept>

#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::shard_id;
using atoll::sharded;
using atoll::status_code;
using atoll::stream;

/// Breaks at the nth time that it is copied or moved, counted along the line of objects; 0: never.
class glass {
 public:
  explicit glass(int breaks_at = 0) : left_(breaks_at) { ++alive; }
  glass(const glass& other) : left_(one_less(other.left_)) { ++alive; }
  glass(glass&& other) : left_(one_less(other.left_)) { ++alive; }  // NOLINT(performance-noexcept-move-constructor)
  glass& operator=(const glass&) = default;
  ~glass() { --alive; }
  static inline std::atomic<int> alive = 0;

 private:
  static int one_less(int left) {
    if (left == 1) throw std::runtime_error("broken");
    return left == 0 ? 0 : left - 1;
  }
  int left_;
};

}  // namespace

template <>
inline constexpr bool atoll::enable_sendable<glass> = true;

namespace {

class shelf {
 public:
  future<> keep(glass /*given*/) { return atoll::make_ready_future(); }
  /// Not itself a coroutine: docs/compilers.md has what clang makes of one whose parameter breaks.
  future<> keep_later(glass given) { return hold(std::make_unique<glass>(std::move(given))); }
  future<> keep_by_key(int /*key*/, glass /*given*/) { return atoll::make_ready_future(); }
  future<> note(glass /*given*/) { return atoll::make_ready_future(); }
  future<glass> give(int breaks_at) { return atoll::make_ready_future<glass>(breaks_at); }
  future<glass> give_later(int breaks_at) {
    co_await atoll::yield();
    co_return glass(breaks_at);
  }
  stream<glass> give_many(int breaks_at) {
    for (int i = 0; i < 3; ++i) co_yield glass(breaks_at);
  }
  future<int> count(stream<glass> given) {
    int n = 0;
    while (true) {
      const auto next = co_await given.next();
      if (!next) co_return n;
      ++n;
    }
  }
  future<int> fails(int how) {
    if (how == 0) throw 42;  // NOLINT: anything may be thrown
    if (how == 1) throw std::runtime_error("on purpose");
    return fails_later(how);
  }
  future<int> fails_later(int how) {
    co_await atoll::yield();
    if (how == 2) throw "text";  // NOLINT
    co_await atoll::fail(status_code::data_loss, "on purpose");
    co_return 0;
  }
  /// The first shard's breaks, the others' come late.
  future<glass> give_in_turn(int breaks_at) {
    if (atoll::this_shard_id() == 0) co_return glass(breaks_at);
    co_await atoll::sleep(2ms);
    ++came_late;
    co_return glass();
  }
  future<int> answer() { return atoll::make_ready_future<int>(7); }
  static inline std::atomic<int> came_late = 0;

 private:
  static future<> hold(std::unique_ptr<glass> /*taken*/) { co_await atoll::yield(); }
};
ATOLL_SERVICE(shelf, "test.Shelf", ATOLL_METHOD(keep, given), ATOLL_METHOD(keep_later, given),
              ATOLL_METHOD_WITH((.concurrency = 1, .per_key = true), keep_by_key, key(of), given),
              ATOLL_METHOD_WITH((.one_way = true), note, given), ATOLL_METHOD(give, breaks_at),
              ATOLL_METHOD(give_later, breaks_at), ATOLL_METHOD(give_many, breaks_at), ATOLL_METHOD(count, given),
              ATOLL_METHOD(fails, how), ATOLL_METHOD(give_in_turn, breaks_at), ATOLL_METHOD(answer));

class cabinet : public atoll::actor<cabinet, int> {
 public:
  future<> keep(glass /*given*/) { return atoll::make_ready_future(); }
  future<glass> give(int breaks_at) { return atoll::make_ready_future<glass>(breaks_at); }
};
ATOLL_SERVICE(cabinet, "test.Cabinet", ATOLL_METHOD(keep, given), ATOLL_METHOD(give, breaks_at));

/// How calls have ended.
struct ends {
  int well = 0;
  int broken = 0;
};

/// What the call's expression throws, and what taking its result throws, count, too.
template <class Call>
future<> make_call(ends& all, Call call) {
  try {
    const auto outcome = co_await as_result(call());
    EXPECT_TRUE(outcome || outcome.error().message() == "broken") << outcome.error().to_string();
    ++(outcome ? all.well : all.broken);
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "broken");
    ++all.broken;
  }
}

stream<glass> many(int breaks_at) {
  for (int i = 0; i < 3; ++i) co_yield glass(breaks_at);
}
future<> read_all(stream<glass> values) {
  bool more = true;
  while (more) more = (co_await atoll::or_fail(values.next())).has_value();
}

ATOLL_TEST(fragile_calls, end_in_order_wherever_what_they_carry_breaks) {
  sharded<shelf> shelves;
  atoll::keyed<cabinet> cabinets;
  co_await shelves.start();
  co_await cabinets.start();
  ends all;
  for (int n = 1; n <= 16; ++n) {
    for (const shard_id to : {0U, 1U}) {
      const auto there = shelves.at(to);
      co_await make_call(all, [&] { return there.keep(glass(n)); });
      co_await make_call(all, [&] { return there.within(1h).keep(glass(n)); });
      co_await make_call(all, [&] { return there.keep_later(glass(n)); });
      co_await make_call(all, [&] { return there.keep_by_key(n, glass(n)); });
      co_await make_call(all, [&] { return there.note(glass(n)); });
      co_await make_call(all, [&] { return there.give(n); });
      co_await make_call(all, [&] { return there.give_later(n); });
      co_await make_call(all, [&] { return read_all(there.give_many(n)); });
      co_await make_call(all, [&] { return there.count(many(n)); });
      co_await make_call(all, [&] { return cabinets.at(static_cast<int>(to)).keep(glass(n)); });
      co_await make_call(all, [&] { return cabinets.at(static_cast<int>(to)).give(n); });
    }
    co_await make_call(all, [&] { return shelves.on_all(&shelf::keep, glass(n)); });
    co_await make_call(all, [&] { return shelves.map(&shelf::give, n); });
  }
  EXPECT_GT(all.well, 100);
  EXPECT_GT(all.broken, 50);
  for (const shard_id each : {0U, 1U}) EXPECT_EQ(co_await shelves.at(each).answer(), 7);
  co_await shelves.stop();
  co_await cabinets.stop();
  EXPECT_EQ(glass::alive, 0);
}

ATOLL_TEST_ON(fragile_calls, all_instances_are_waited_for_though_the_result_of_one_breaks, 3) {
  sharded<shelf> shelves;
  co_await shelves.start();
  bool broke = false;
  for (int n = 1; n <= 12; ++n) {
    shelf::came_late = 0;
    ends all;
    co_await make_call(all, [&] { return shelves.map(&shelf::give_in_turn, n); });
    EXPECT_EQ(shelf::came_late, 2) << n;
    broke = broke || all.broken > 0;
    shelf::came_late = 0;
    co_await make_call(all, [&] { return shelves.on_all(&shelf::give_in_turn, n); });
    EXPECT_EQ(shelf::came_late, 2) << n;
  }
  EXPECT_TRUE(broke);
  co_await shelves.stop();
  EXPECT_EQ(glass::alive, 0);
}

ATOLL_TEST(fragile_calls, methods_may_throw_anything) {
  sharded<shelf> shelves;
  co_await shelves.start();
  for (const shard_id to : {0U, 1U}) {
    for (const int how : {0, 1, 2, 3}) {
      const auto outcome = co_await as_result(shelves.at(to).fails(how));
      ATOLL_REQUIRE(!outcome);
      EXPECT_EQ(outcome.error().code(), how == 3 ? status_code::data_loss : status_code::unknown)
          << outcome.error().to_string();
      EXPECT_TRUE(how % 2 == 0 || outcome.error().message() == "on purpose") << outcome.error().to_string();
    }
    EXPECT_EQ(co_await shelves.at(to).answer(), 7);
  }
  co_await shelves.stop();
}

}  // namespace
