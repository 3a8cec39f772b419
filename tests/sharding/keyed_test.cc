// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/keyed.hh>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/sharding/diagnostics.hh>
#include <atoll/sharding/service_life.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

#include "documented_metrics.hh"
#include "stderr_capture.hh"

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::status_code;

/// What actors store, and what has happened to them; of all shards.
struct archive {
  std::mutex guard;
  std::map<std::string, std::int64_t> stored;
  std::map<std::string, int> activations;
  std::map<std::string, int> deactivations;
  std::map<std::string, atoll::shard_id> where;

  void clear() {
    const std::lock_guard lock(guard);
    stored.clear();
    activations.clear();
    deactivations.clear();
    where.clear();
  }
  int count(std::map<std::string, int> archive::* of, const std::string& key) {
    const std::lock_guard lock(guard);
    return (this->*of)[key];
  }
  int sum(std::map<std::string, int> archive::* of) {
    const std::lock_guard lock(guard);
    int all = 0;
    for (const auto& [key, n] : this->*of) all += n;
    return all;
  }
};
archive& records() {
  static auto& one = *new archive;
  return one;
}

class account : public atoll::actor<account, std::string> {
 public:
  explicit account(std::int64_t first = 0) : balance_(first) {}

  future<> on_activate() {
    co_await atoll::yield();
    if (key() == "never") co_await atoll::fail(atoll::error(status_code::not_found, "no such account"));
    if (key() == "second time" && records().count(&archive::activations, key()) == 0) {
      ++records().activations[key()];
      throw 42;  // NOLINT: anything may be thrown
    }
    const std::lock_guard lock(records().guard);
    ++records().activations[key()];
    records().where[key()] = atoll::this_shard_id();
    if (const auto at = records().stored.find(key()); at != records().stored.end()) balance_ = at->second;
  }
  future<> on_deactivate() {
    co_await atoll::yield();
    const std::lock_guard lock(records().guard);
    ++records().deactivations[key()];
    records().stored[key()] = balance_;
    if (key() == "burns") throw 42;  // NOLINT
  }

  future<std::int64_t> deposit(std::int64_t amount) {
    EXPECT_FALSE(std::exchange(busy_, true)) << key() << " serves two messages at a time";
    const auto before = balance_;
    co_await atoll::yield();
    balance_ = before + amount;
    busy_ = false;
    co_return balance_;
  }
  future<std::int64_t> read() const { return atoll::make_ready_future<std::int64_t>(balance_); }
  future<std::string> name() const { return atoll::make_ready_future<std::string>(key()); }
  future<> transfer(std::string to, std::int64_t amount);
  future<> wait_for_long() { co_await atoll::sleep(1h); }

 private:
  std::int64_t balance_;
  bool busy_ = false;
};
ATOLL_SERVICE(account, "test.Account", ATOLL_METHOD(deposit, amount), ATOLL_METHOD(read), ATOLL_METHOD(name),
              ATOLL_METHOD(transfer, to, amount), ATOLL_METHOD(wait_for_long));

future<> account::transfer(std::string to, std::int64_t amount) {
  balance_ -= amount;
  const auto arrived = co_await as_result(peers().at(to).deposit(amount));
  if (arrived) co_return;
  balance_ += amount;
  co_await atoll::fail(arrived.error());
}

/// Of integers, without hooks, that must not be moved.
class tally : public atoll::actor<tally, std::uint64_t> {
 public:
  static constexpr atoll::service_options options{.queue = 10};
  static inline std::atomic<int> alive = 0;
  tally() { ++alive; }
  ~tally() { --alive; }
  future<int> count() { return atoll::make_ready_future<int>(++n_); }
  future<> hold() {
    held = true;
    while (!released) co_await atoll::yield();
  }
  static inline std::atomic<bool> held = false;
  static inline std::atomic<bool> released = false;

 private:
  int n_ = 0;
};
ATOLL_SERVICE(tally, "test.Tally", ATOLL_METHOD(count), ATOLL_METHOD(hold));

template <class Condition>
future<> until(Condition holds) {
  for (int i = 0; i < 5'000 && !holds(); ++i) co_await atoll::sleep(1ms);
  EXPECT_TRUE(holds());
}

constexpr int accounts_in_all = 20;

future<> deposit_often(atoll::keyed_ref<account> accounts) {
  std::vector<future<std::int64_t>> calls;
  for (int i = 0; i < 200; ++i) calls.push_back(accounts.at(i % 2 == 0 ? "even" : "odd").deposit(1));
  for (auto& each : calls) static_cast<void>(co_await std::move(each));
}

/// By the caller: actors that called each other crosswise would wait for each other.
future<> move(atoll::keyed_ref<account> accounts, std::uint64_t from, std::uint64_t to) {
  static_cast<void>(co_await accounts.at(std::to_string(from)).deposit(-7));
  static_cast<void>(co_await accounts.at(std::to_string(to)).deposit(7));
}

future<> move_often(atoll::keyed_ref<account> accounts) {
  std::vector<future<>> moves;
  for (int i = 0; i < 500; ++i) {
    const auto from = atoll::this_shard().random.below(accounts_in_all);
    const auto to = atoll::this_shard().random.below(accounts_in_all);
    moves.push_back(move(accounts, from, to));
    if (i % 50 == 0) co_await atoll::sleep(2ms);  // some leave meanwhile
  }
  for (auto& each : moves) co_await std::move(each);
}

ATOLL_TEST(keyed, an_actor_is_there_when_its_first_message_comes) {
  records().clear();
  atoll::keyed<account> accounts;
  co_await accounts.start({}, std::int64_t{100});
  EXPECT_EQ(co_await accounts.at("alice").deposit(5), 105);
  EXPECT_EQ(co_await accounts.at("alice").deposit(5), 110);
  EXPECT_EQ(co_await accounts.at("bob").read(), 100);
  EXPECT_EQ(co_await accounts.at("bob").name(), "bob");
  EXPECT_EQ(records().count(&archive::activations, "alice"), 1);
  EXPECT_EQ(records().where["alice"], accounts.at("alice").shard());
  co_await accounts.stop();
  EXPECT_EQ(records().stored["alice"], 110);
  EXPECT_EQ(records().sum(&archive::deactivations), 2);
}

ATOLL_TEST(keyed, an_actor_serves_one_message_at_a_time_of_all_shards) {
  records().clear();
  atoll::keyed<account> accounts;
  co_await accounts.start();
  const auto ref = accounts.ref();
  co_await atoll::on_all_shards([ref] { return deposit_often(ref); });
  EXPECT_EQ(co_await accounts.at("even").read(), 100 * atoll::shard_count());
  EXPECT_EQ(co_await accounts.at("odd").read(), 100 * atoll::shard_count());
  co_await accounts.stop();
}

ATOLL_TEST(keyed, what_moves_between_actors_that_come_and_go_is_not_lost) {
  records().clear();
  atoll::keyed<account> accounts;
  co_await accounts.start({.idle_after = 1ms, .active_max = 4}, std::int64_t{1000});
  const auto ref = accounts.ref();
  co_await atoll::on_all_shards([ref] { return move_often(ref); });
  std::int64_t total = 0;
  for (int i = 0; i < accounts_in_all; ++i) total += co_await accounts.at(std::to_string(i)).read();
  EXPECT_EQ(total, 1000 * accounts_in_all);
  EXPECT_GT(records().sum(&archive::deactivations), 0) << "they came and went meanwhile";
  co_await accounts.stop();
  EXPECT_EQ(records().sum(&archive::deactivations), records().sum(&archive::activations));
}

ATOLL_TEST(keyed, an_activation_that_fails_fails_its_message_and_the_next_one_tries_again) {
  records().clear();
  atoll::keyed<account> accounts;
  co_await accounts.start();
  for (int i = 0; i < 2; ++i) {
    const auto none = co_await as_result(accounts.at("never").read());
    EXPECT_EQ(none.error().code(), status_code::not_found);
  }
  const auto first = co_await as_result(accounts.at("second time").deposit(1));
  EXPECT_EQ(first.error().code(), status_code::unknown) << first.error().to_string();
  EXPECT_EQ(co_await accounts.at("second time").deposit(1), 1);
  co_await accounts.stop();
  EXPECT_EQ(records().sum(&archive::deactivations), 1) << "who never was is not asked to leave";
}

ATOLL_TEST(keyed, idle_actors_leave_and_come_back_with_what_they_stored) {
  records().clear();
  atoll::keyed<account> accounts;
  co_await accounts.start({.idle_after = 5ms});
  EXPECT_EQ(co_await accounts.at("alice").deposit(5), 5);
  co_await until([] { return records().count(&archive::deactivations, "alice") == 1; });
  EXPECT_EQ(co_await accounts.at("alice").deposit(5), 10);
  EXPECT_EQ(records().count(&archive::activations, "alice"), 2);
  co_await accounts.stop();
}

ATOLL_TEST(keyed, above_the_bound_the_longest_unused_leave) {
  atoll::keyed<tally> tallies;
  co_await tallies.start({.active_max = 10});
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    EXPECT_EQ(co_await tallies.at(i).count(), 1);
    EXPECT_GE(co_await tallies.at(7'000).count(), 1) << "used all the time";
  }
  co_await until([] { return tally::alive <= static_cast<int>(10 * atoll::shard_count()); });
  EXPECT_EQ(co_await tallies.at(7'000).count(), 1'001) << "it never left";
  co_await tallies.stop();
  EXPECT_EQ(tally::alive, 0);
}

/// Has 100 KB.
class hoard : public atoll::actor<hoard, std::uint64_t> {
 public:
  future<> touch() {
    kept_.assign(100'000, 'x');
    return atoll::make_ready_future();
  }
  future<> on_deactivate() {
    ++left;
    return atoll::make_ready_future();
  }
  static inline std::atomic<int> left = 0;

 private:
  std::vector<char> kept_;
};
ATOLL_SERVICE(hoard, "test.Hoard", ATOLL_METHOD(touch));

/// Twenty times what the budget holds.
future<int> touch_many() {
  hoard::left = 0;
  atoll::keyed<hoard> all;
  co_await all.start({.memory_share = 0.5});
  for (std::uint64_t i = 0; i < 10'000; ++i) co_await all.at(i).touch();
  EXPECT_GT(hoard::left, 9'000);
  co_await all.stop();
  EXPECT_EQ(hoard::left, 10'000);
  co_return 0;
}

TEST(keyed, where_memory_is_short_the_longest_unused_leave) {
  if (!atoll::allocator_keeps_budgets()) GTEST_SKIP() << "the system's allocator bounds nothing";
  const atoll::runtime_options options{.shards = 1, .memory_bytes = 64 << 20};
  const auto outcome = atoll::runtime::run(options, [] { return touch_many(); });
  EXPECT_TRUE(outcome) << outcome.error().to_string();
}

ATOLL_TEST(keyed, a_message_that_could_only_wait_for_itself_fails) {
  records().clear();
  atoll::keyed<account> accounts;
  co_await accounts.start();
  const auto moved = co_await as_result(accounts.at("alice").transfer("alice", 1));
  EXPECT_EQ(moved.error().code(), status_code::failed_precondition) << moved.error().to_string();
  EXPECT_EQ(co_await accounts.at("alice").read(), 0);
  co_await accounts.stop();
}

ATOLL_TEST(keyed, a_call_ends_at_its_deadline_and_the_actor_goes_on) {
  records().clear();
  atoll::keyed<account> accounts;
  co_await accounts.start();
  const auto late = co_await as_result(accounts.at("alice").within(5ms).wait_for_long());
  EXPECT_EQ(late.error().code(), status_code::deadline_exceeded);
  EXPECT_EQ(co_await accounts.at("alice").deposit(5), 5) << "its turn has ended, too";
  co_await accounts.stop();
}

ATOLL_TEST(keyed, no_more_messages_wait_for_an_actor_than_its_queue_holds) {
  atoll::keyed<tally> tallies;
  co_await tallies.start();
  tally::held = false;
  tally::released = false;
  auto holding = tallies.at(1).hold();
  while (!tally::held) co_await atoll::yield();
  std::vector<future<int>> calls;
  for (int i = 0; i < 11; ++i) calls.push_back(tallies.at(1).count());
  const auto refused = co_await as_result(std::move(calls.back()));
  EXPECT_EQ(refused.error().code(), status_code::resource_exhausted);
  calls.pop_back();
  tally::released = true;
  co_await std::move(holding);
  for (auto& each : calls) EXPECT_GT(co_await std::move(each), 0);
  co_await tallies.stop();
}

ATOLL_TEST(keyed, stop_waits_for_messages_and_has_every_actor_leave) {
  records().clear();
  atoll::keyed<account> accounts;
  co_await accounts.start();
  EXPECT_EQ(co_await accounts.at("x").read(), 0);
  std::vector<future<std::int64_t>> calls;
  for (int i = 0; i < 1'000; ++i) calls.push_back(accounts.at(std::to_string(i % 300)).deposit(1));
  static_cast<void>(co_await accounts.at("0").read());  // behind the deposits to that one at least
  auto stopping = accounts.stop();
  int served = 0;
  for (auto& each : calls) {
    const auto outcome = co_await as_result(std::move(each));
    served += outcome ? 1 : 0;
    if (outcome) continue;
    EXPECT_EQ(outcome.error().code(), status_code::unavailable) << outcome.error().to_string();
  }
  co_await std::move(stopping);
  EXPECT_EQ(records().sum(&archive::deactivations), records().sum(&archive::activations));
  EXPECT_GT(served, 0);
  std::int64_t stored = 0;
  for (const auto& [key, balance] : records().stored) stored += balance;
  EXPECT_EQ(stored, served) << "what was deposited is what was stored";
  const auto late = co_await as_result(accounts.at("x").read());
  EXPECT_EQ(late.error().code(), status_code::unavailable);
  EXPECT_NE(late.error().message().find("test.Account"), std::string_view::npos) << late.error().to_string();
  co_await accounts.start();  // again
  EXPECT_EQ(co_await accounts.at("x").read(), 0);
  co_await accounts.stop();
}

ATOLL_TEST(keyed, a_stop_that_is_late_says_nothing_of_actors_that_it_asks_again) {
  // Of each actor one message is served and others wait; a request to leave stands behind them when the stop is late.
  const stderr_capture log;
  atoll::keyed<account> accounts(atoll::life_options{.stop_within = 5ms});
  co_await accounts.start();
  std::vector<future<>> calls;
  for (int i = 0; i < 100; ++i) {
    const auto one = accounts.at(std::to_string(i % 20));
    calls.push_back(one.deposit(1).discard_value());
    calls.push_back(one.wait_for_long());
    calls.push_back(one.deposit(1).discard_value());
  }
  co_await accounts.at("0").within(1ms).read().then_wrapped([](const auto& /*late*/) {});
  co_await accounts.stop();
  for (auto& each : calls) {
    const auto outcome = co_await as_result(std::move(each));
    if (outcome) continue;
    EXPECT_EQ(outcome.error().code(), status_code::unavailable);
    EXPECT_NE(outcome.error().message().find("test.Account is stopping"), std::string_view::npos)
        << outcome.error().to_string();
  }
  EXPECT_EQ(log.text(), "");
}

ATOLL_TEST(keyed, refs_to_nothing_are_unavailable) {
  const auto by_all = co_await as_result(atoll::keyed_ref<tally>().at(1).count());
  EXPECT_EQ(by_all.error().code(), status_code::unavailable);
  EXPECT_NE(by_all.error().message().find("test.Tally"), std::string_view::npos);
  EXPECT_EQ((co_await as_result(atoll::actor_ref<tally>().count())).error().code(), status_code::unavailable);
}

/// Calls others while it comes and goes.
class busybody : public atoll::actor<busybody, std::string> {
 public:
  future<> on_activate();
  future<> on_deactivate();
  future<> ask(std::string other);
  future<> poke() { return atoll::make_ready_future(); }
  static inline std::atomic<int> circles = 0;  // found at the end
};
ATOLL_SERVICE(busybody, "test.Busybody", ATOLL_METHOD(ask, other), ATOLL_METHOD(poke));

future<> busybody::on_activate() {
  if (key() == "calls itself") co_await peers().at(key()).poke();
  if (key() == "calls through") co_await peers().at("through").ask(key());
}
future<> busybody::on_deactivate() {
  if (key() != "asks at the end") co_return;
  const auto outcome = co_await as_result(peers().at("through").ask(key()));
  if (!outcome && outcome.error().code() == status_code::failed_precondition) ++circles;
}
future<> busybody::ask(std::string other) { return peers().at(other).poke(); }

ATOLL_TEST(keyed, circles_of_calls_are_found_in_hooks_too) {
  atoll::keyed<busybody> all;
  co_await all.start({.idle_after = 5ms});
  for (const char* key : {"calls itself", "calls through"}) {
    const auto outcome = co_await as_result(all.at(key).poke());
    EXPECT_EQ(outcome.error().code(), status_code::failed_precondition) << outcome.error().to_string();
  }
  // An actor that serves a message is called by one that its message activates.
  const auto outcome = co_await as_result(all.at("through").ask("calls through"));
  EXPECT_EQ(outcome.error().code(), status_code::failed_precondition) << outcome.error().to_string();
  busybody::circles = 0;
  co_await all.at("asks at the end").poke();
  co_await until([] { return busybody::circles == 1; });
  co_await all.stop();
}

ATOLL_TEST(keyed, an_actor_that_is_never_idle_for_long_enough_stays) {
  atoll::keyed<tally> tallies;
  co_await tallies.start({.idle_after = atoll::duration::max()});
  for (int i = 1; i <= 20; ++i) {
    EXPECT_EQ(co_await tallies.at(1).count(), i);
    co_await atoll::sleep(1ms);
  }
  co_await tallies.stop();
}

ATOLL_TEST(keyed, an_actor_that_serves_a_long_message_is_not_asked_to_leave) {
  atoll::keyed<tally> tallies;
  co_await tallies.start({.idle_after = 1ms, .active_max = 1});
  tally::held = false;
  tally::released = false;
  auto holding = tallies.at(1).hold();
  while (!tally::held) co_await atoll::yield();
  for (std::uint64_t i = 2; i < 500; ++i) EXPECT_EQ(co_await tallies.at(i).count(), 1);
  co_await until([] { return tally::alive == 1; });
  tally::released = true;
  co_await std::move(holding);
  co_await tallies.stop();
  EXPECT_EQ(tally::alive, 0);
}

ATOLL_TEST(keyed, a_deactivation_that_fails_ends_the_actor_all_the_same) {
  records().clear();
  atoll::keyed<account> accounts;
  co_await accounts.start({.idle_after = 5ms});
  EXPECT_EQ(co_await accounts.at("burns").deposit(1), 1);
  co_await until([] { return records().count(&archive::deactivations, "burns") == 1; });
  EXPECT_EQ(co_await accounts.at("burns").deposit(1), 2);
  co_await accounts.stop();
}

ATOLL_TEST(keyed, metrics_tell_about_actors) {
  records().clear();
  atoll::keyed<account> accounts;
  co_await accounts.start();
  static_cast<void>(co_await accounts.at("alice").read());
  static_cast<void>(co_await as_result(accounts.at("never").read()));
  const auto all = co_await atoll::collect_metrics();
  EXPECT_EQ(demo::exported_metrics(all),
            demo::documented_metrics({"A shard", "Shards of a process", "Lanes", "Services", "Keyed actors"}));
  std::map<std::string, double> sums;
  const auto number = []<class T>(const T& value) {
    if constexpr (std::is_arithmetic_v<T>) return static_cast<double>(value);
    return 0.0;
  };
  for (const auto& shard : all) {
    for (const auto& family : shard.families) {
      if (!family.name.starts_with("atoll_actors_")) continue;
      for (const auto& each : family.samples) {
        EXPECT_EQ(each.labels, (atoll::metric_labels{{"service", "test.Account"}}));
        sums[family.name] += std::visit(number, each.value);
      }
    }
  }
  EXPECT_EQ(sums["atoll_actors_active"], 1);
  EXPECT_EQ(sums["atoll_actors_activations_total"], 1);
  EXPECT_EQ(sums["atoll_actors_activations_failed_total"], 1);
  EXPECT_EQ(sums["atoll_actors_deactivations_total"], 0);
  co_await accounts.stop();
}

/// Takes as long to leave as it is told.
class lingerer : public atoll::actor<lingerer, std::uint64_t> {
 public:
  static constexpr atoll::service_options options{.queue = 10};
  static constexpr std::uint64_t stays = 1;
  lingerer() { ++alive; }
  lingerer(const lingerer&) = delete;
  lingerer& operator=(const lingerer&) = delete;
  ~lingerer() { --alive; }
  future<> on_deactivate() {
    while (key() == stays && !may_go) co_await atoll::or_fail(atoll::sleep(1ms));
  }
  future<> poke() { return atoll::make_ready_future(); }

  static inline std::atomic<int> alive = 0;
  static inline std::atomic<bool> may_go = false;
};
ATOLL_SERVICE(lingerer, "test.Lingerer", ATOLL_METHOD(poke));

ATOLL_TEST_ON(keyed, one_that_takes_long_to_leave_keeps_neither_others_nor_its_messages, 1) {
  lingerer::may_go = false;
  const stderr_capture log;
  atoll::keyed<lingerer> all;
  co_await all.start({.idle_after = 1ms});
  co_await all.at(lingerer::stays).poke();
  co_await atoll::sleep(20ms);  // it was asked to leave, and would be again
  for (std::uint64_t i = 2; i < 500; ++i) co_await all.at(i).poke();
  co_await until([] { return lingerer::alive == 1; });
  std::vector<future<>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(all.at(lingerer::stays).poke());
  lingerer::may_go = true;
  for (auto& each : calls) co_await std::move(each);
  co_await all.stop();
  EXPECT_EQ(lingerer::alive, 0);
  EXPECT_EQ(log.text(), "");
}

ATOLL_TEST_ON(keyed, a_stop_asks_the_idle_though_one_takes_long_to_leave, 1) {
  lingerer::may_go = false;
  atoll::keyed<lingerer> all;
  co_await all.start();
  for (std::uint64_t i = 1; i <= 3; ++i) co_await all.at(i).poke();
  auto stopped = all.stop();
  co_await until([] { return lingerer::alive == 1; });
  lingerer::may_go = true;
  co_await std::move(stopped);
}

ATOLL_TEST_ON(keyed, hooks_have_a_limit_where_they_are_given_one, 1) {
  lingerer::may_go = false;
  atoll::keyed<lingerer> all;
  co_await all.start({.hook_within = 5ms});
  co_await all.at(lingerer::stays).poke();
  co_await all.stop();
  EXPECT_EQ(lingerer::alive, 0);
}

/// Works in the background.
class ticking : public atoll::actor<ticking, int> {
 public:
  future<> begin(int for_ms) {
    EXPECT_TRUE(work_.spawn([this] { return tick_by_calls(); }));
    return atoll::sleep(std::chrono::milliseconds(for_ms));
  }
  future<> tick() {
    ++ticks;
    return atoll::make_ready_future();
  }
  future<> on_deactivate() { return work_.stop(); }

  static inline std::atomic<int> ticks = 0;
  static inline std::atomic<int> refused = 0;

 private:
  future<> tick_by_calls();
  atoll::scope work_{"ticks"};
};
ATOLL_SERVICE(ticking, "test.Ticking", ATOLL_METHOD(begin, for_ms), ATOLL_METHOD(tick));

future<> ticking::tick_by_calls() {
  while (true) {
    co_await atoll::or_fail(atoll::sleep(1ms));
    const auto ticked = co_await as_result(peers().at(key()).tick());
    if (!ticked && ticked.error().code() == status_code::failed_precondition) ++refused;
  }
}

ATOLL_TEST(keyed, background_work_of_an_actor_is_not_that_of_its_first_message) {
  ticking::ticks = ticking::refused = 0;
  atoll::keyed<ticking> all;
  co_await all.start();
  co_await all.at(1).within(20ms).begin(0);
  co_await atoll::sleep(30ms);  // its deadline is over
  const int before = ticking::ticks;
  co_await until([before] { return ticking::ticks > before + 3; });
  co_await all.at(2).begin(20);  // messages wait for that, the work does not wait for itself
  EXPECT_EQ(ticking::refused, 0);
  co_await all.stop();
}

}  // namespace
