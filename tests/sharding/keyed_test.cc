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
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

#include "documented_metrics.hh"

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

}  // namespace
