// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Services of one node under schedules that nobody would think of: order, turns, slots that move, actors that come and go,
// streams, stops. What must hold is checked by onlookers outside the world.
#include <map>
#include <memory>
#include <set>

#include <atoll/actors/future/cancel.hh>
#include <atoll/actors/future/combinators.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/service_life.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/simulation/testing/sim_test.hh>

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::status_code;
namespace sim = atoll::sim;

namespace {

std::uint64_t draw(std::uint64_t bound) { return atoll::this_shard().random.below(bound); }
atoll::duration some_time(atoll::duration most) {
  return atoll::duration(static_cast<std::int64_t>(draw(static_cast<std::uint64_t>(most.count()) + 1)));
}

/// Runs a main on a node of a few shards, which has to end well.
void run_on_a_node(sim::world& world, atoll::shard_id shards, sim::main_of_node main) {
  const auto n = world.add_node({.shards = shards}, std::move(main));
  world.run_until_ended({n}, 30min);
  const auto outcome = world.outcome(n).value();
  EXPECT_TRUE(outcome.has_value()) << (outcome ? "" : outcome.error().to_string());
}

// --- Order, deadlines and cancellation of calls.

struct order_seen {
  std::map<std::pair<atoll::shard_id, std::uint64_t>, std::uint64_t> last;  // (target, line): the call begun last
  std::map<std::uint64_t, atoll::time_point> given_up;                      // calls whose callers had their end
  std::set<std::uint64_t> begun;
  std::uint64_t running = 0;
};
order_seen* order = nullptr;  // NOLINT: the onlooker, one a process

class orderly {
 public:
  future<std::uint64_t> take(std::uint64_t line, std::uint64_t number, std::uint32_t us) {
    EXPECT_TRUE(order->begun.insert(number).second) << number << " was carried out twice";
    // A note that the caller has given up follows the call.
    const auto gone = order->given_up.find(number);
    EXPECT_TRUE(gone == order->given_up.end() || atoll::mono_now() - gone->second < 1ms)
        << number << " began long after its caller had given it up";
    auto& last = order->last[{atoll::this_shard_id(), line}];
    EXPECT_LT(last, number) << "line " << line;
    last = number;
    ++order->running;
    // Whatever becomes of the wait, it ends here.
    static_cast<void>(co_await as_result(atoll::sleep(std::chrono::microseconds(us))));
    --order->running;
    co_return number * 2;
  }
};
ATOLL_SERVICE(orderly, "test.Orderly", ATOLL_METHOD(take, line, number, us));

/// One call; its outcome is either its own answer or a failure that its caller may expect.
future<> call_once(atoll::shard_ref<orderly> to, std::uint64_t line, std::uint64_t number, atoll::duration timeout) {
  const auto us = static_cast<std::uint32_t>(draw(2000));
  const auto outcome = co_await as_result(to.within(timeout).take(line, number, us));
  if (outcome) {
    EXPECT_EQ(*outcome, number * 2);
    co_return;
  }
  order->given_up.emplace(number, atoll::mono_now());
  const auto code = outcome.error().code();
  EXPECT_TRUE(code == status_code::deadline_exceeded || code == status_code::cancelled ||
              code == status_code::unavailable)
      << outcome.error().to_string();
}

future<> call_in(atoll::cancel_source source, atoll::shard_ref<orderly> to, std::uint64_t line, std::uint64_t number,
                 atoll::duration timeout) {
  const auto call = [&] { return call_once(to, line, number, timeout); };
  co_await source.run(call);
}

future<> call_in_line(atoll::sharded_ref<orderly> all, std::uint64_t line, int calls) {
  atoll::scope calls_under_way("calls");
  atoll::cancel_source some;
  for (int i = 1; i <= calls; ++i) {
    const std::uint64_t number = line * 1'000'000 + static_cast<std::uint64_t>(i);
    const auto to = static_cast<atoll::shard_id>(draw(atoll::shard_count()));
    const atoll::duration timeout = draw(4) == 0 ? 1us + some_time(3ms) : atoll::duration(10s);
    if (draw(8) == 0) {
      calls_under_way.spawn(&call_in, some, all.at(to), line, number, timeout);
    } else {
      calls_under_way.spawn(&call_once, all.at(to), line, number, timeout);
    }
    if (draw(20) == 0) {
      some.cancel();
      some = atoll::cancel_source();
    }
    if (draw(10) == 0) co_await atoll::sleep(some_time(500us));
  }
  co_await calls_under_way.close();
}

future<int> orderly_main() {
  atoll::sharded<orderly> all;
  co_await all.start();
  const auto ref = all.ref();
  co_await atoll::on_all_shards([ref] { return call_in_line(ref, atoll::this_shard_id() + 1, 300); });
  co_await all.stop();
  EXPECT_EQ(order->running, 0U);
  co_return 0;
}

ATOLL_SIM_TEST(calls, begin_in_order_once_and_have_an_outcome) {
  order_seen seen;
  order = &seen;
  run_on_a_node(world, static_cast<atoll::shard_id>(world.random().between(1, 4)), &orderly_main);
}

// --- A stop under load.

future<> call_until_refused(atoll::sharded_ref<orderly> all, std::uint64_t line) {
  for (std::uint64_t i = 1;; ++i) {
    const auto to = static_cast<atoll::shard_id>(draw(atoll::shard_count()));
    const std::uint64_t number = line * 1'000'000 + i;
    const auto outcome = co_await as_result(all.at(to).take(line, number, static_cast<std::uint32_t>(draw(500))));
    if (outcome) continue;
    EXPECT_EQ(outcome.error().code(), status_code::unavailable) << outcome.error().to_string();
    EXPECT_FALSE(order->begun.contains(number)) << "a call that was begun was dropped";
    co_return;
  }
}

future<int> stop_under_load() {
  for (std::uint64_t round = 1; round <= 5; ++round) {
    atoll::sharded<orderly> all;
    co_await all.start();
    const auto ref = all.ref();
    auto callers =
        atoll::on_all_shards([ref, round] { return call_until_refused(ref, round * 100 + atoll::this_shard_id()); });
    co_await atoll::sleep(some_time(5ms));
    co_await all.stop();
    EXPECT_EQ(order->running, 0U) << "stopped while calls were served";
    co_await std::move(callers);
  }
  co_return 0;
}

ATOLL_SIM_TEST(calls, are_served_or_refused_where_a_service_stops) {
  order_seen seen;
  order = &seen;
  run_on_a_node(world, static_cast<atoll::shard_id>(world.random().between(1, 4)), &stop_under_load);
}

// --- Calls in circles, over lanes with room for few.

struct hops_seen {
  std::map<std::uint64_t, int> said;  // one-way messages, by number
};
hops_seen* hops = nullptr;  // NOLINT

class hopper : public atoll::peering<hopper> {
 public:
  /// How many hops were made, this one included.
  future<std::uint64_t> hop(std::uint32_t left);
  future<> say(std::uint64_t number) {
    ++hops->said[number];
    return atoll::make_ready_future();
  }
};
ATOLL_SERVICE(hopper, "test.Hopper", ATOLL_METHOD(hop, left), ATOLL_METHOD_WITH((.one_way = true), say, number));

future<std::uint64_t> hopper::hop(std::uint32_t left) {
  if (draw(4) == 0) co_await atoll::sleep(some_time(200us));
  if (left == 0) co_return 1;
  const auto next = static_cast<atoll::shard_id>(draw(atoll::shard_count()));
  const bool twice = left > 3 && draw(4) == 0;
  auto one = peers().at(next).hop(left - 1);
  std::uint64_t all = 1;
  if (twice) all += co_await peers().at((next + 1) % atoll::shard_count()).hop(left / 2);
  all += co_await std::move(one);
  co_return all;
}

future<> hop_often(atoll::sharded_ref<hopper> all) {
  std::vector<future<std::uint64_t>> under_way;
  for (int i = 0; i < 20; ++i) {
    const auto to = static_cast<atoll::shard_id>(draw(atoll::shard_count()));
    under_way.push_back(all.at(to).hop(static_cast<std::uint32_t>(draw(30))));
    const std::uint64_t number = atoll::this_shard_id() * 1000 + static_cast<std::uint64_t>(i);
    hops->said[number];
    co_await all.at(to).say(number);
  }
  for (auto& each : under_way) EXPECT_GT(co_await std::move(each), 0U);
  // A one-way message is on its way, and begins before what is called later: a stop of the service may overtake it.
  for (atoll::shard_id to = 0; to < atoll::shard_count(); ++to) co_await all.at(to).hop(0);
}

future<int> hops_main() {
  atoll::sharded<hopper> all;
  co_await all.start();
  const auto ref = all.ref();
  co_await atoll::on_all_shards([ref] { return hop_often(ref); });
  co_await all.stop();
  for (const auto& [number, times] : hops->said) EXPECT_EQ(times, 1) << "one-way message " << number;
  co_return 0;
}

ATOLL_SIM_TEST(calls, in_circles_over_full_lanes_go_on) {
  hops_seen seen;
  hops = &seen;
  run_on_a_node(world, static_cast<atoll::shard_id>(world.random().between(2, 4)), &hops_main);
}

// --- One at a time.

struct turn_seen {
  int running = 0;
  std::set<std::uint64_t> begun;
  std::uint64_t last = 0;
};
turn_seen* turn = nullptr;  // NOLINT

class one_by_one {
 public:
  static constexpr atoll::service_options options{.concurrency = 1, .queue = 1000};
  future<std::uint64_t> take(std::uint64_t number, std::uint32_t us) {
    EXPECT_EQ(turn->running, 0) << "two calls have a turn";
    EXPECT_GT(atoll::saturating_add(atoll::current_deadline(), 2ms), atoll::mono_now()) << "begun after its deadline";
    EXPECT_EQ(atoll::cancellation(), nullptr) << "begun after its caller had gone";
    EXPECT_TRUE(turn->begun.insert(number).second);
    EXPECT_LT(turn->last, number);
    turn->last = number;
    ++turn->running;
    static_cast<void>(co_await as_result(atoll::sleep(std::chrono::microseconds(us))));
    --turn->running;
    co_return number;
  }
};
ATOLL_SERVICE(one_by_one, "test.OneByOne", ATOLL_METHOD(take, number, us));

future<> take_a_turn(atoll::shard_ref<one_by_one> to, std::uint64_t number, atoll::duration timeout) {
  const auto us = static_cast<std::uint32_t>(draw(300));
  const auto outcome = co_await as_result(to.within(timeout).take(number, us));
  EXPECT_TRUE(outcome ? *outcome == number : outcome.error().code() == status_code::deadline_exceeded)
      << (outcome ? "" : outcome.error().to_string());
}

future<> take_turns(atoll::shard_ref<one_by_one> to) {
  atoll::scope under_way("turns");
  for (std::uint64_t i = 1; i <= 200; ++i) {
    const atoll::duration timeout = draw(3) == 0 ? 1us + some_time(20ms) : atoll::duration(10min);
    under_way.spawn(&take_a_turn, to, i, timeout);
    if (draw(20) == 0) co_await atoll::sleep(some_time(1ms));
  }
  co_await under_way.close();
}

future<int> turns_main() {
  atoll::sharded<one_by_one> all;
  co_await all.start();
  const auto to = all.at(0);
  co_await atoll::submit_to(atoll::shard_count() - 1, [to] { return take_turns(to); });
  co_await all.stop();
  EXPECT_EQ(turn->running, 0);
  co_return 0;
}

ATOLL_SIM_TEST(turns, one_call_at_a_time_in_order) {
  turn_seen seen;
  turn = &seen;
  run_on_a_node(world, static_cast<atoll::shard_id>(world.random().between(1, 2)), &turns_main);
}

// --- Slots that move.

using rows = std::map<std::string, std::vector<std::uint64_t>>;

class register_of : public atoll::peering<register_of> {
 public:
  static constexpr atoll::service_options options{.slots = 16};

  future<> append(std::string key, std::uint64_t number) {
    if (number % 4 == 0) co_await atoll::sleep(std::chrono::microseconds(number % 700));
    rows_[key].push_back(number);
  }
  /// By way of another shard, which goes on when the caller has given up.
  future<> append_from(std::string key, std::uint64_t number, std::uint32_t shard);
  future<std::vector<std::uint64_t>> read(std::string key) const {
    const auto at = rows_.find(key);
    return atoll::make_ready_future<std::vector<std::uint64_t>>(at == rows_.end() ? std::vector<std::uint64_t>()
                                                                                  : at->second);
  }
  future<rows> export_slot(atoll::slot_id slot) {
    rows gone;
    co_await atoll::sleep(100us);
    std::erase_if(rows_, [&](auto& row) {
      if (atoll::slot_of<register_of>(row.first) != slot) return false;
      gone.emplace(row.first, std::move(row.second));
      return true;
    });
    co_return gone;
  }
  future<> import_slot(atoll::slot_id slot, rows what) {
    co_await atoll::sleep(100us);
    for (auto& [key, numbers] : what) {
      EXPECT_EQ(atoll::slot_of<register_of>(key), slot);
      EXPECT_FALSE(rows_.contains(key)) << "rows came before those that were moved";
      rows_[key] = std::move(numbers);
    }
  }

 private:
  rows rows_;
};
ATOLL_SERVICE(register_of, "test.Register", ATOLL_METHOD(append, key(key), number), ATOLL_METHOD(read, key(key)),
              ATOLL_METHOD(append_from, key(key), number, shard));

future<> append_after_a_while(atoll::sharded_ref<register_of> all, std::string key, std::uint64_t number) {
  co_await atoll::sleep(some_time(300us));
  co_await all.append(key, number);
}

future<> append_in_any_case(atoll::sharded_ref<register_of> all, std::string key, std::uint64_t number) {
  const auto append = [&] { return append_after_a_while(all, key, number); };
  co_await atoll::shielded(append);
}

future<> register_of::append_from(std::string key, std::uint64_t number, std::uint32_t shard) {
  const auto all = peers();
  const auto append_there = [all, key, number] { return append_in_any_case(all, key, number); };
  co_await atoll::submit_to(shard, append_there);
}

future<> write_rows(atoll::sharded_ref<register_of> all, std::string key) {
  // One after the other for some keys, many at a time for others: a key's own are never reordered where they need no wait.
  const bool in_turn = draw(2) == 0;
  std::vector<future<>> under_way;
  for (std::uint64_t i = 1; i <= 100; ++i) {
    const std::uint64_t number = in_turn ? i : i * 4 + 1;
    auto call = all.append(key, number);
    if (in_turn) {
      co_await std::move(call);
    } else {
      under_way.push_back(std::move(call));
      if (draw(5) == 0) co_await atoll::sleep(some_time(200us));
    }
  }
  for (auto& each : under_way) co_await std::move(each);
  const auto got = co_await all.read(key);
  EXPECT_EQ(got.size(), 100U) << key;
  EXPECT_TRUE(std::is_sorted(got.begin(), got.end())) << key;
  EXPECT_EQ(std::set<std::uint64_t>(got.begin(), got.end()).size(), got.size()) << key;
}

future<> write_by_way_of_others(atoll::sharded_ref<register_of> all, std::string key) {
  std::vector<future<>> under_way;
  for (std::uint64_t i = 1; i <= 40; ++i) {
    const auto way = static_cast<std::uint32_t>(draw(atoll::shard_count()));
    under_way.push_back(all.within(1us + some_time(1ms)).append_from(key, i, way));
    if (draw(2) == 0) co_await atoll::sleep(some_time(200us));
  }
  std::set<std::uint64_t> done;
  for (std::uint64_t i = 1; i <= under_way.size(); ++i) {
    const auto outcome = co_await as_result(std::move(under_way[i - 1]));
    if (outcome) done.insert(i);
    EXPECT_TRUE(outcome || outcome.error().code() == status_code::deadline_exceeded)
        << (outcome ? "" : outcome.error().to_string());
  }
  // Those that were given up may have been carried out, too, or are still to be.
  const auto got = co_await all.read(key);
  const std::set<std::uint64_t> different(got.begin(), got.end());
  EXPECT_EQ(different.size(), got.size()) << key;
  EXPECT_TRUE(std::ranges::includes(different, done)) << key;
}

future<> move_slots(atoll::slot_table<register_of> slots, int times) {
  for (int i = 0; i < times; ++i) {
    const auto slot = static_cast<atoll::slot_id>(draw(16));
    const auto to = static_cast<atoll::shard_id>(draw(atoll::shard_count()));
    const auto moved = co_await as_result(slots.move(slot, to, 1ms + some_time(50ms)));
    EXPECT_TRUE(moved || moved.error().code() == status_code::deadline_exceeded)
        << (moved ? "" : moved.error().to_string());
  }
}

future<> write_some_keys(atoll::sharded_ref<register_of> all) {
  std::vector<future<>> writers;
  for (int k = 0; k < 3; ++k) {
    writers.push_back(write_rows(all, "key " + std::to_string(atoll::this_shard_id()) + "." + std::to_string(k)));
  }
  writers.push_back(write_by_way_of_others(all, "way " + std::to_string(atoll::this_shard_id())));
  for (auto& each : writers) co_await std::move(each);
}

future<int> slots_main() {
  atoll::sharded<register_of> all;
  co_await all.start();
  const auto ref = all.ref();
  auto writing = atoll::on_all_shards([ref] { return write_some_keys(ref); });
  auto moving = move_slots(all.slots(), 30);
  co_await std::move(writing);
  co_await std::move(moving);
  co_await all.stop();
  co_return 0;
}

ATOLL_SIM_TEST(slots, nothing_is_lost_doubled_or_reordered_while_they_move) {
  run_on_a_node(world, static_cast<atoll::shard_id>(world.random().between(2, 4)), &slots_main);
}

// --- Actors that come and go.

struct vault {
  std::map<std::uint64_t, std::int64_t> stored;    // by key: what on_deactivate() wrote
  std::map<std::uint64_t, std::int64_t> expected;  // what messages added
  std::map<std::uint64_t, int> alive;
  std::map<std::uint64_t, int> busy;
};
vault* money = nullptr;  // NOLINT

class purse : public atoll::actor<purse, std::uint64_t> {
 public:
  purse() = default;
  purse(const purse&) = delete;
  purse& operator=(const purse&) = delete;
  ~purse() {
    if (loaded_) --money->alive[key_];
  }

  future<> on_activate() {
    co_await atoll::sleep(some_time(300us));
    key_ = key();
    loaded_ = true;
    EXPECT_EQ(++money->alive[key_], 1) << "two actors of one key";
    sum_ = money->stored[key_];
    EXPECT_EQ(sum_, money->expected[key_]) << "activated with something else than was stored";
  }
  future<> on_deactivate() {
    EXPECT_EQ(money->busy[key_], 0) << "asked to leave while it serves a message";
    co_await atoll::sleep(some_time(300us));
    EXPECT_EQ(money->busy[key_], 0) << "a message while it leaves";
    money->stored[key_] = sum_;
  }
  future<std::int64_t> add(std::int64_t by) {
    EXPECT_EQ(money->busy[key_]++, 0) << "two messages at a time";
    if (by % 3 == 0) static_cast<void>(co_await as_result(atoll::sleep(some_time(200us))));
    sum_ += by;
    money->expected[key_] += by;
    --money->busy[key_];
    co_return sum_;
  }

 private:
  std::uint64_t key_ = 0;
  bool loaded_ = false;
  std::int64_t sum_ = 0;
};
ATOLL_SERVICE(purse, "test.Purse", ATOLL_METHOD(add, by));

future<> pay_often(atoll::keyed_ref<purse> all, int times) {
  for (int i = 0; i < times; ++i) {
    const std::uint64_t key = draw(12);
    const auto by = static_cast<std::int64_t>(draw(100));
    const atoll::duration timeout = draw(5) == 0 ? 1us + some_time(1ms) : atoll::duration(1min);
    const auto paid = co_await as_result(all.at(key).within(timeout).add(by));
    EXPECT_TRUE(paid || paid.error().code() == status_code::deadline_exceeded)
        << (paid ? "" : paid.error().to_string());
    if (draw(4) == 0) co_await atoll::sleep(some_time(3ms));
  }
}

future<int> actors_main() {
  atoll::keyed<purse> purses;
  co_await purses.start({.idle_after = 1ms + some_time(3ms), .active_max = 2 + draw(4)});
  const auto ref = purses.ref();
  co_await atoll::on_all_shards([ref] { return pay_often(ref, 150); });
  co_await purses.stop();
  for (const auto& [key, alive] : money->alive) EXPECT_EQ(alive, 0) << key;
  for (const auto& [key, sum] : money->expected) EXPECT_EQ(money->stored[key], sum) << key;
  co_return 0;
}

ATOLL_SIM_TEST(actors, keep_what_they_have_while_they_come_and_go) {
  vault all;
  money = &all;
  run_on_a_node(world, static_cast<atoll::shard_id>(world.random().between(1, 3)), &actors_main);
}

// --- Streams.

class numbers {
 public:
  atoll::stream<std::uint64_t> count(std::uint64_t to) {
    ++open;
    const struct closes {
      ~closes() { --open; }
    } mark;
    for (std::uint64_t i = 1; i <= to; ++i) {
      if (i % 16 == 0) co_await atoll::sleep(std::chrono::microseconds(i % 50));
      co_yield i;
    }
  }
  static inline int open = 0;
};
ATOLL_SERVICE(numbers, "test.Numbers", ATOLL_METHOD(count, to));

future<> read_numbers(atoll::shard_ref<numbers> from) {
  for (int round = 0; round < 5; ++round) {
    const std::uint64_t to = draw(300);
    const std::uint64_t leave_after = draw(3) == 0 ? draw(to + 1) : to;
    auto all = from.count(to);
    std::uint64_t expected = 0;
    while (expected < leave_after) {
      const auto value = co_await all.next();
      EXPECT_TRUE(value.has_value());
      if (!value) break;
      EXPECT_EQ(*value, ++expected);
      if (draw(30) == 0) co_await atoll::sleep(some_time(300us));
    }
    if (leave_after == to) {
      const auto last = co_await all.next();
      EXPECT_FALSE(last.has_value());
    }
    co_await all.close();
  }
}

future<int> streams_main() {
  atoll::sharded<numbers> all;
  co_await all.start();
  const auto to = all.at(atoll::shard_count() - 1);
  co_await atoll::on_all_shards([to] { return read_numbers(to); });
  co_await all.stop();
  EXPECT_EQ(numbers::open, 0);
  co_return 0;
}

ATOLL_SIM_TEST(streams, give_all_in_order_and_end_with_their_reader) {
  run_on_a_node(world, static_cast<atoll::shard_id>(world.random().between(1, 3)), &streams_main);
}

}  // namespace
