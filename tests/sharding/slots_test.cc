// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Slots: who has which keys, and moves of slots under calls.
#include <algorithm>
#include <map>
#include <numeric>

#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/service_life.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::shard_id;
using atoll::sharded;
using atoll::slot_id;
using atoll::status_code;

/// What a slot had: for each key the numbers that came.
using rows = std::map<std::string, std::vector<int>>;

/// How the next export or import behaves.
struct behaviour {
  std::atomic<int> export_fails = 0;
  std::atomic<int> import_fails = 0;
  std::atomic<int> exports = 0;
  std::atomic<int> imports = 0;
  std::atomic<int> rows_at_stop = 0;
  void reset() { export_fails = import_fails = exports = imports = rows_at_stop = 0; }
};
behaviour moves;

class journal : public atoll::peering<journal> {
 public:
  static constexpr atoll::service_options options{.slots = 64};

  future<> append(std::string key, int number) {
    rows_[key].push_back(number);
    return atoll::make_ready_future();
  }
  future<> append_slowly(std::string key, int number) {
    co_await atoll::sleep(2ms);
    rows_[key].push_back(number);
  }
  /// By another call for the same key.
  future<> append_twice(std::string key, int number);
  /// The same when it has ended already.
  future<> append_later(std::string key, int number);
  future<> wait(std::string /*key*/) { return never_.wait(); }
  future<std::vector<int>> read(std::string key) const {
    const auto at = rows_.find(key);
    return atoll::make_ready_future<std::vector<int>>(at == rows_.end() ? std::vector<int>() : at->second);
  }
  future<shard_id> where(std::string /*key*/) const {
    return atoll::make_ready_future<shard_id>(atoll::this_shard_id());
  }
  atoll::stream<int> watch(std::string key, int how_many) {
    for (int i = 0; i < how_many; ++i) {
      co_await atoll::yield();
      co_yield static_cast<int>(rows_[key].size()) + i;
    }
  }

  future<rows> export_slot(slot_id slot) {
    ++moves.exports;
    co_await atoll::yield();
    if (moves.export_fails-- > 0) co_await atoll::fail(status_code::data_loss, "not now");
    rows gone;
    std::erase_if(rows_, [&](auto& row) {
      if (atoll::slot_of<journal>(row.first) != slot) return false;
      gone.emplace(row.first, std::move(row.second));
      return true;
    });
    co_return gone;
  }
  future<> import_slot(slot_id slot, rows what) {
    ++moves.imports;
    co_await atoll::yield();
    if (moves.import_fails-- > 0) co_await atoll::fail(status_code::resource_exhausted, "no room");
    for (auto& [key, numbers] : what) {
      EXPECT_EQ(atoll::slot_of<journal>(key), slot);
      EXPECT_FALSE(rows_.contains(key));
      rows_[key] = std::move(numbers);
    }
  }
  std::size_t size() const { return rows_.size(); }
  future<> stop() {
    moves.rows_at_stop += static_cast<int>(rows_.size());
    return background_.stop();
  }

 private:
  rows rows_;
  atoll::event never_;
  atoll::scope background_{"later"};
};
ATOLL_SERVICE(journal, "test.Journal", ATOLL_METHOD(append, key(key), number),
              ATOLL_METHOD(append_slowly, key(key), number), ATOLL_METHOD(append_twice, key(key), number),
              ATOLL_METHOD(append_later, key(key), number), ATOLL_METHOD(wait, key(key)), ATOLL_METHOD(read, key(key)),
              ATOLL_METHOD(where, key(key)), ATOLL_METHOD(watch, key(key), how_many));

future<> journal::append_twice(std::string key, int number) {
  co_await atoll::sleep(500us);
  co_await peers().append(key, number);
  co_await peers().append(key, number);
}
future<> journal::append_later(std::string key, int number) {
  const auto later = [this](std::string to, int what) { return peers().append_twice(std::move(to), what); };
  background_.spawn(later, std::move(key), number);
  return atoll::make_ready_future();
}

ATOLL_TEST_ON(slots, are_spread_over_the_shards_and_each_key_is_served_where_its_slot_is, 3) {
  sharded<journal> journals;
  co_await journals.start();
  const auto slots = journals.slots();
  EXPECT_EQ(slots.count(), 64U);
  std::array<int, 3> owned{};
  for (slot_id s = 0; s < slots.count(); ++s) ++owned.at(slots.owner(s));
  EXPECT_GE(*std::ranges::min_element(owned), 21);
  for (int i = 0; i < 100; ++i) {
    const auto key = std::to_string(i);
    EXPECT_EQ(co_await journals.where(key), slots.owner(slots.of(key)));
  }
  co_await journals.stop();
}

ATOLL_TEST_ON(slots, a_slot_moves_with_what_its_instance_had_of_it, 3) {
  moves.reset();
  sharded<journal> journals;
  co_await journals.start();
  const auto slots = journals.slots();
  for (int i = 0; i < 200; ++i) co_await journals.append(std::to_string(i), i);
  for (slot_id s = 0; s < slots.count(); ++s) co_await slots.move(s, (slots.owner(s) + 1) % 3);
  EXPECT_EQ(moves.exports, 64);
  EXPECT_EQ(moves.imports, 64);
  for (int i = 0; i < 200; ++i) {
    const auto key = std::to_string(i);
    const std::vector<int> one{i};
    EXPECT_EQ(co_await journals.read(key), one);
    EXPECT_EQ(co_await journals.where(key), slots.owner(slots.of(key)));
  }
  EXPECT_EQ(co_await journals.map_reduce(&journal::size, std::plus<>{}, std::size_t{0}), 200U);
  co_await slots.move(5, slots.owner(5));  // it is there
  EXPECT_EQ(moves.exports, 64);
  // Every shard knows.
  const auto owner_there = [](journal& /*here*/, atoll::slot_table<journal> all) { return all.owner(7); };
  for (const shard_id s : co_await journals.map(owner_there, slots)) EXPECT_EQ(s, slots.owner(7));
  co_await journals.stop();
}

ATOLL_TEST(slots, refuses_what_is_not_there) {
  sharded<journal> journals;
  const auto slots = journals.ref().slots();
  const auto early = co_await as_result(slots.move(0, 1));
  ATOLL_REQUIRE(!early);
  EXPECT_EQ(early.error().code(), status_code::unavailable) << early.error().to_string();
  co_await journals.start();
  const std::vector<std::pair<slot_id, shard_id>> not_there{{64, 0}, {0, 2}, {~0U, ~0U}};
  for (const auto& [slot, shard] : not_there) {
    const auto wrong = co_await as_result(slots.move(slot, shard));
    ATOLL_REQUIRE(!wrong);
    EXPECT_EQ(wrong.error().code(), status_code::out_of_range);
  }
  co_await slots.move(63, 0);
  EXPECT_EQ(slots.owner(63), 0U);
  co_await journals.stop();
}

/// Calls for one key, in order, while others move its slot; waits for all of them in the end.
future<> append_often(atoll::sharded_ref<journal> journals, std::string key, int how_many) {
  std::vector<future<>> calls;
  for (int i = 0; i < how_many; ++i) {
    calls.push_back(i % 7 == 0 ? journals.append_slowly(key, i) : journals.append(key, i));
    if (i % 16 == 15) {
      for (auto& each : calls) co_await std::move(each);
      calls.clear();
    }
    if (i % 5 == 0) co_await atoll::yield();
  }
  for (auto& each : calls) co_await std::move(each);
}
future<> move_often(atoll::slot_table<journal> slots, int how_many, std::uint64_t seed) {
  atoll::rng random(seed);
  for (int i = 0; i < how_many; ++i) {
    const auto slot = static_cast<slot_id>(random.below(slots.count()));
    co_await slots.move(slot, static_cast<shard_id>(random.below(atoll::shard_count())));
  }
}

class driver {
 public:
  future<> drive(atoll::sharded_ref<journal> journals, int calls) {
    std::vector<future<>> all;
    for (int k = 0; k < 20; ++k) {
      all.push_back(append_often(journals, std::to_string(atoll::this_shard_id()) + "/" + std::to_string(k), calls));
    }
    for (auto& each : all) co_await std::move(each);
  }
};
ATOLL_SERVICE(driver, "test.Driver");

ATOLL_TEST_ON(slots, moves_under_load_lose_and_double_no_call, 3) {
  moves.reset();
  constexpr int calls = 400;
  sharded<journal> journals;
  sharded<driver> drivers;
  co_await journals.start();
  co_await drivers.start();
  auto moving = move_often(journals.slots(), 150, atoll::this_shard().random());
  co_await drivers.on_all(&driver::drive, journals.ref(), calls);
  co_await std::move(moving);
  EXPECT_GT(moves.exports, 50);
  for (int s = 0; s < 3; ++s) {
    for (int k = 0; k < 20; ++k) {
      auto numbers = co_await journals.read(std::to_string(s) + "/" + std::to_string(k));
      ATOLL_REQUIRE(numbers.size() == calls);
      std::ranges::sort(numbers);
      for (int i = 0; i < calls; ++i) EXPECT_EQ(numbers[static_cast<std::size_t>(i)], i);
    }
  }
  co_await drivers.stop();
  co_await journals.stop();
}

/// append() alone is served at once, so what comes is in the order that calls start in.
ATOLL_TEST_ON(slots, calls_for_a_key_start_in_order_before_while_and_after_a_move, 3) {
  sharded<journal> journals;
  co_await journals.start();
  const auto slots = journals.slots();
  const std::string key = "in order";
  const auto slot = slots.of(key);
  std::vector<future<>> calls;
  int next = 0;
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 20; ++i) calls.push_back(journals.append(key, next++));
    auto moved = slots.move(slot, (slots.owner(slot) + 1) % 3);
    for (int i = 0; i < 200; ++i) {
      calls.push_back(journals.append(key, next++));
      if (i % 3 == 0) co_await atoll::yield();
    }
    co_await std::move(moved);
  }
  for (auto& each : calls) co_await std::move(each);
  std::vector<int> expected(static_cast<std::size_t>(next));
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(co_await journals.read(key), expected);
  co_await journals.stop();
}

ATOLL_TEST_ON(slots, a_call_made_to_serve_one_of_the_same_slot_does_not_wait_for_the_move, 3) {
  sharded<journal> journals;
  co_await journals.start();
  const auto slots = journals.slots();
  const std::string key = "nested";
  const auto slot = slots.of(key);
  for (int round = 0; round < 20; ++round) {
    std::vector<future<>> calls;
    for (int i = 0; i < 5; ++i) calls.push_back(journals.append_twice(key, i));
    co_await atoll::sleep(std::chrono::microseconds(round * 50));
    co_await slots.move(slot, (slots.owner(slot) + 1) % 3, 5s);
    for (auto& each : calls) co_await std::move(each);
  }
  EXPECT_EQ((co_await journals.read(key)).size(), 200U);
  co_await journals.stop();
}

ATOLL_TEST_ON(slots, calls_that_background_work_of_a_slot_makes_are_neither_lost_nor_in_the_way, 3) {
  sharded<journal> journals;
  co_await journals.start();
  const auto slots = journals.slots();
  const std::string key = "later";
  const auto slot = slots.of(key);
  for (int round = 0; round < 30; ++round) {
    for (int i = 0; i < 5; ++i) co_await journals.append_later(key, i);
    co_await atoll::sleep(std::chrono::microseconds(300 + round * 20));
    co_await slots.move(slot, (slots.owner(slot) + 1) % 3, 5s);
  }
  while ((co_await journals.read(key)).size() < 300U) co_await atoll::sleep(1ms);
  co_await journals.stop();
}

future<> expect_that_it_is_at(atoll::sharded_ref<journal> journals, std::string key, shard_id where) {
  const std::vector<int> one{1};
  EXPECT_EQ(journals.slots().owner(journals.slots().of(key)), where);
  EXPECT_EQ(co_await journals.where(key), where);
  EXPECT_EQ(co_await journals.read(key), one);
}

ATOLL_TEST_ON(slots, a_move_that_fails_leaves_the_slot_where_it_was, 2) {
  moves.reset();
  sharded<journal> journals({.stop_within = 5ms});
  co_await journals.start();
  const auto slots = journals.slots();
  const std::string key = "kept";
  const auto slot = slots.of(key);
  const shard_id old = slots.owner(slot);
  co_await journals.append(key, 1);
  moves.export_fails = 1;
  auto moved = co_await as_result(slots.move(slot, 1 - old));
  ATOLL_REQUIRE(!moved);
  EXPECT_EQ(moved.error().code(), status_code::data_loss);
  co_await expect_that_it_is_at(journals.ref(), key, old);
  moves.export_fails = 0;
  moves.import_fails = 1;
  moved = co_await as_result(slots.move(slot, 1 - old));
  ATOLL_REQUIRE(!moved);
  EXPECT_EQ(moved.error().message(), "no room");
  EXPECT_EQ(moves.imports, 2);  // the second took it back
  co_await expect_that_it_is_at(journals.ref(), key, old);
  moves.import_fails = 0;
  auto stuck = journals.wait(key);
  moved = co_await as_result(slots.move(slot, 1 - old, 5ms));
  ATOLL_REQUIRE(!moved);
  EXPECT_EQ(moved.error().code(), status_code::deadline_exceeded) << moved.error().to_string();
  co_await expect_that_it_is_at(journals.ref(), key, old);
  co_await slots.move((slot + 1) % 64, 1 - slots.owner((slot + 1) % 64));  // others move
  co_await journals.stop();
  const auto ended = co_await as_result(std::move(stuck));
  EXPECT_FALSE(ended);
}

ATOLL_TEST_ON(slots, calls_that_wait_for_a_move_end_by_deadline_and_cancellation, 2) {
  sharded<journal> journals({.stop_within = 5ms});
  co_await journals.start();
  const auto slots = journals.slots();
  const std::string key = "held";
  const auto slot = slots.of(key);
  auto stuck = journals.wait(key);
  atoll::cancel_source mover;
  auto moved = mover.run([&] { return slots.move(slot, 1 - slots.owner(slot), 1h); });
  // Until the move keeps calls: one that is not answered for so long is kept.
  auto kept = journals.read(key);
  for (int looks = 0; looks < 1'000; ++looks) {
    for (int ms = 0; ms < 100 && !kept.available(); ++ms) co_await atoll::sleep(1ms);
    if (!kept.available()) break;
    co_await std::move(kept);
    kept = journals.read(key);
  }
  ATOLL_REQUIRE(!kept.available());
  std::vector<future<>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(journals.append(key, i));
  atoll::cancel_source gives_up;
  auto cancelled = gives_up.run([&] { return journals.append(key, 1000); });
  const auto late = co_await as_result(journals.within(1ms).append(key, 1001));
  ATOLL_REQUIRE(!late);
  EXPECT_EQ(late.error().code(), status_code::deadline_exceeded);
  gives_up.cancel();
  const auto given_up = co_await as_result(std::move(cancelled));
  ATOLL_REQUIRE(!given_up);
  EXPECT_EQ(given_up.error().code(), status_code::cancelled);
  EXPECT_FALSE(calls.front().available());
  mover.cancel();
  EXPECT_FALSE(co_await as_result(std::move(moved)));
  co_await std::move(kept);  // the slot goes on where it is, though one call is still under way
  for (auto& each : calls) co_await std::move(each);
  EXPECT_EQ((co_await journals.read(key)).size(), 100U);
  co_await journals.stop();
  EXPECT_FALSE(co_await as_result(std::move(stuck)));
}

ATOLL_TEST_ON(slots, a_service_may_be_stopped_while_a_slot_moves, 2) {
  for (int i = 0; i < 30; ++i) {
    moves.reset();
    sharded<journal> journals;
    co_await journals.start();
    const auto slots = journals.slots();
    co_await journals.append("x", 1);
    auto moved = slots.move(slots.of("x"), 1 - slots.owner(slots.of("x")));
    auto call = journals.append_slowly("x", 2);
    co_await atoll::sleep(std::chrono::microseconds(i * 20));
    co_await journals.stop();
    static_cast<void>(co_await as_result(std::move(moved)));
    static_cast<void>(co_await as_result(std::move(call)));
    const auto after = co_await as_result(journals.append("x", 3));
    EXPECT_FALSE(after);
    EXPECT_EQ(moves.rows_at_stop, 1);  // whichever instance had the slot, one had it
  }
}

ATOLL_TEST_ON(slots, a_move_that_waits_for_long_calls_does_not_keep_its_service_from_stopping, 2) {
  sharded<journal> journals({.stop_within = 5ms});
  co_await journals.start();
  const auto slots = journals.slots();
  auto stuck = journals.wait("x");
  auto moved = slots.move(slots.of("x"), 1 - slots.owner(slots.of("x")), 10min);
  auto waits = slots.move(0, 1 - slots.owner(0));
  co_await atoll::sleep(1ms);
  co_await journals.stop();
  for (auto* each : {&moved, &waits, &stuck}) {
    const auto outcome = co_await as_result(std::move(*each));
    ATOLL_REQUIRE(!outcome);
    EXPECT_EQ(outcome.error().code(), status_code::unavailable) << outcome.error().to_string();
  }
  co_await journals.start();
  co_await slots.move(0, 1 - slots.owner(0));
  co_await journals.stop();
}

/// One call at a time, some of which call others by key; and one whose export does.
class serial_store : public atoll::peering<serial_store> {
 public:
  static constexpr atoll::service_options options{.concurrency = 1, .slots = 8};
  future<> put(int /*key*/) {
    ++puts;
    return atoll::make_ready_future();
  }
  future<> put_by_call(int key, int other);
  future<int> export_slot(atoll::slot_id slot);
  future<> import_slot(atoll::slot_id /*slot*/, int /*nothing*/) { return atoll::make_ready_future(); }

  static inline std::atomic<int> puts = 0;
  static inline std::atomic<int> refused = 0;
  static inline int key_of_export = -1;
};
ATOLL_SERVICE(serial_store, "test.SerialStore", ATOLL_METHOD(put, key(key)),
              ATOLL_METHOD(put_by_call, key(key), other));

future<> serial_store::put_by_call(int /*key*/, int other) {
  co_await atoll::sleep(1ms);
  co_await peers().put(other);
}
future<int> serial_store::export_slot(atoll::slot_id slot) {
  if (key_of_export >= 0 && atoll::slot_of<serial_store>(key_of_export) == slot) {
    const auto outcome = co_await as_result(peers().put(key_of_export));
    if (!outcome && outcome.error().code() == status_code::failed_precondition) ++refused;
  }
  co_return 0;
}

/// A key of a slot that this shard has, the n-th.
int key_of_shard(const atoll::slot_table<serial_store>& slots, shard_id shard, int n) {
  int key = 0;
  while (slots.owner(slots.of(key)) != shard || n-- > 0) ++key;
  return key;
}

ATOLL_TEST_ON(slots, a_move_takes_no_turn_of_a_service_whose_calls_wait_for_it, 2) {
  serial_store::puts = serial_store::refused = 0;
  serial_store::key_of_export = -1;
  sharded<serial_store> stores;
  co_await stores.start();
  const auto slots = stores.slots();
  const int moving = key_of_shard(slots, 0, 0);
  const int there = key_of_shard(slots, 1, 0);
  auto holds_the_turn = stores.put_by_call(there, moving);  // on shard 1, whose turn it keeps until the move is done
  auto moved = slots.move(slots.of(moving), 1);
  // Its call comes while the slot is held; then on shard 1, whose one turn the caller has: that is found.
  static_cast<void>(co_await as_result(std::move(holds_the_turn)));
  co_await std::move(moved);
  EXPECT_EQ(slots.owner(slots.of(moving)), 1U);
  co_await stores.stop();
}

ATOLL_TEST_ON(slots, what_a_move_waits_for_can_not_call_into_the_slot, 2) {
  serial_store::refused = 0;
  sharded<serial_store> stores;
  co_await stores.start();
  const auto slots = stores.slots();
  serial_store::key_of_export = key_of_shard(slots, 0, 0);
  co_await slots.move(slots.of(serial_store::key_of_export), 1);
  EXPECT_EQ(serial_store::refused, 1);
  serial_store::key_of_export = -1;
  co_await stores.stop();
}

/// An actor that greets another of its slot when it leaves.
class greeter : public atoll::actor<greeter, int> {
 public:
  static constexpr atoll::service_options options{.slots = 1};
  future<> on_deactivate();
  future<> greet() { return atoll::make_ready_future(); }
  static inline std::atomic<int> refused = 0;
};
ATOLL_SERVICE(greeter, "test.Greeter", ATOLL_METHOD(greet));
future<> greeter::on_deactivate() {
  const auto outcome = co_await as_result(peers().at(key() + 1).greet());
  if (!outcome && outcome.error().code() == status_code::failed_precondition) ++refused;
}

ATOLL_TEST_ON(slots, an_actor_that_leaves_with_its_slot_can_not_call_into_it, 2) {
  greeter::refused = 0;
  atoll::keyed<greeter> greeters;
  co_await greeters.start();
  for (int i = 0; i < 10; ++i) co_await greeters.at(i).greet();
  co_await greeters.slots().move(0, 1);
  EXPECT_EQ(greeter::refused, 10);
  co_await greeters.stop();
}

ATOLL_TEST_ON(slots, streams_are_calls_under_way, 2) {
  sharded<journal> journals;
  co_await journals.start();
  const auto slots = journals.slots();
  const std::string key = "watched";
  const auto slot = slots.of(key);
  for (int round = 0; round < 10; ++round) {
    auto before = journals.watch(key, 300);
    auto moved = slots.move(slot, 1 - slots.owner(slot));
    co_await atoll::yield();
    auto meanwhile = journals.watch(key, 300);  // waits for the move
    int seen = 0;
    while (co_await before.next()) ++seen;
    while (co_await meanwhile.next()) ++seen;
    EXPECT_EQ(seen, 600);
    co_await std::move(moved);
  }
  auto open = journals.watch(key, 1'000'000);
  ATOLL_REQUIRE(co_await open.next());
  const auto moved = co_await as_result(slots.move(slot, 1 - slots.owner(slot), 5ms));
  EXPECT_FALSE(moved);
  co_await journals.stop();
}

/// Without anything to export: only the calls move.
class forgetful {
 public:
  static constexpr atoll::service_options options{.slots = 8};
  future<shard_id> where(int /*key*/) { return atoll::make_ready_future<shard_id>(atoll::this_shard_id()); }
};
ATOLL_SERVICE(forgetful, "test.Forgetful", ATOLL_METHOD(where, key(key)));

ATOLL_TEST_ON(slots, a_service_without_export_moves_its_calls, 2) {
  sharded<forgetful> services;
  co_await services.start();
  const auto slots = services.slots();
  for (slot_id s = 0; s < 8; ++s) co_await slots.move(s, 1);
  for (int key = 0; key < 100; ++key) EXPECT_EQ(co_await services.where(key), 1U);
  co_await services.stop();
}

std::atomic<int> left = 0;

class tally : public atoll::actor<tally, std::string> {
 public:
  static constexpr atoll::service_options options{.slots = 16};
  explicit tally(int first) : count_(first) {}
  future<> on_deactivate() {
    ++left;
    return atoll::sleep(100us);
  }
  future<int> add() { return atoll::make_ready_future<int>(++count_); }
  future<shard_id> where() { return atoll::make_ready_future<shard_id>(atoll::this_shard_id()); }

 private:
  int count_;
};
ATOLL_SERVICE(tally, "test.Tally", ATOLL_METHOD(add), ATOLL_METHOD(where));

ATOLL_TEST_ON(slots, the_actors_of_a_slot_leave_and_are_activated_anew_where_it_went, 2) {
  left = 0;
  atoll::keyed<tally> tallies;
  co_await tallies.start({}, 10);
  const auto slots = tallies.slots();
  for (int i = 0; i < 500; ++i) EXPECT_EQ(co_await tallies.at(std::to_string(i)).add(), 11);
  const auto slot = slots.of(std::string("7"));
  const shard_id old = slots.owner(slot);
  EXPECT_EQ(tallies.at("7").shard(), old);
  co_await slots.move(slot, 1 - old);
  const int gone = left;
  EXPECT_GT(gone, 5);
  EXPECT_LT(gone, 100);
  int anew = 0;
  for (int i = 0; i < 500; ++i) {
    const auto key = std::to_string(i);
    const bool moved = slots.of(key) == slot;
    anew += moved ? 1 : 0;
    EXPECT_EQ(co_await tallies.at(key).add(), moved ? 11 : 12);
    EXPECT_EQ(co_await tallies.at(key).where(), slots.owner(slots.of(key)));
  }
  EXPECT_EQ(anew, gone);
  co_await tallies.stop();
}

/// Has one-way calls made for the slot that come between the drain and the seal.
class noter : public atoll::peering<noter> {
 public:
  static constexpr atoll::service_options options{.slots = 4};
  future<> put(int key);
  future<> note(int /*key*/) { return atoll::sleep(std::chrono::microseconds(100)); }
};
ATOLL_SERVICE(noter, "test.Noter", ATOLL_METHOD(put, key(key)), ATOLL_METHOD_WITH((.one_way = true), note, key(key)));

future<> noter::put(int key) {
  co_await atoll::sleep(std::chrono::microseconds(20));
  co_await peers().note(key);
}

future<> put_until(atoll::sharded_ref<noter> noters, int key, const bool& over) {
  while (!over) {
    static_cast<void>(co_await as_result(noters.put(key)));
    co_await atoll::yield();
  }
}

ATOLL_TEST_ON(slots, a_move_that_is_given_up_at_any_moment_ends, 2) {
  for (int round = 0; round < 200; ++round) {
    bool over = false;
    sharded<noter> noters;
    co_await noters.start();
    const auto slots = noters.slots();
    int key = 0;
    while (slots.owner(slots.of(key)) != 1) ++key;
    std::vector<future<>> putting;
    for (int i = 0; i < 3; ++i) putting.push_back(put_until(noters.ref(), key, over));
    atoll::cancel_source mover;
    auto moved = mover.run([&] { return slots.move(slots.of(key), 0); });
    co_await atoll::sleep(std::chrono::microseconds(atoll::this_shard().random.below(400)));
    if (round % 2 == 0) {
      mover.cancel();
      static_cast<void>(co_await as_result(std::move(moved)));
      co_await noters.put(key);  // it is served
      co_await noters.stop();
    } else {
      co_await noters.stop();
      static_cast<void>(co_await as_result(std::move(moved)));
    }
    over = true;
    for (auto& each : putting) co_await std::move(each);
  }
}

/// Moves slots from within moves, and from calls for them.
class restless : public atoll::peering<restless> {
 public:
  static constexpr atoll::service_options options{.slots = 8};
  future<int> export_slot(slot_id slot);
  future<> import_slot(slot_id /*slot*/, int /*nothing*/) { return atoll::make_ready_future(); }
  future<> move_own(int key);
  future<> move_another(int key);

  static inline std::atomic<int> refused = 0;

 private:
  [[nodiscard]] future<> move_away(slot_id slot) const;
};
ATOLL_SERVICE(restless, "test.Restless", ATOLL_METHOD(move_own, key(key)), ATOLL_METHOD(move_another, key(key)));

future<> restless::move_away(slot_id slot) const {
  const auto slots = peers().slots();
  return slots.move(slot, 1 - slots.owner(slot));
}
future<int> restless::export_slot(slot_id slot) {
  const auto moved = co_await as_result(move_away((slot + 1) % 8));
  if (!moved && moved.error().code() == status_code::failed_precondition) ++refused;
  co_return 0;
}
future<> restless::move_own(int key) { return move_away(atoll::slot_of<restless>(key)); }
future<> restless::move_another(int key) { return move_away((atoll::slot_of<restless>(key) + 1) % 8); }

ATOLL_TEST_ON(slots, a_move_that_would_wait_for_itself_is_refused, 2) {
  restless::refused = 0;
  sharded<restless> all;
  co_await all.start();
  const auto own = co_await as_result(all.move_own(1));
  ATOLL_REQUIRE(!own);
  EXPECT_EQ(own.error().code(), status_code::failed_precondition) << own.error().to_string();
  EXPECT_EQ(restless::refused, 0);
  const auto slots = all.slots();
  co_await slots.move(0, 1 - slots.owner(0));
  EXPECT_EQ(restless::refused, 1);
  co_await all.move_another(1);
  EXPECT_EQ(restless::refused, 2);
  co_await all.stop();
}

}  // namespace
