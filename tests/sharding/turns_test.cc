// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/turns.hh>

#include <atomic>
#include <map>

#include <atoll/actors/future/combinators.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/sharding/service_site.hh>
#include <atoll/sharding/shard_local.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::sharded;
using atoll::status_code;

/// Counts how many of its calls run at a time.
struct crowd {
  static inline std::atomic<bool> shut = false;  // nobody leaves
  int now = 0;
  int most = 0;
  future<> visit() {
    most = std::max(most, ++now);
    while (shut) co_await atoll::yield();
    static_cast<void>(co_await as_result(atoll::sleep(20us)));  // it may be given up
    co_await atoll::yield();
    --now;
  }
};

class diary : public atoll::peering<diary> {
 public:
  static constexpr atoll::service_options options{.concurrency = 1, .queue = 50};

  future<> write(int line) {
    co_await crowd_.visit();
    lines_.push_back(line);
  }
  /// Keeps its turn until `released`.
  future<> hold() {
    held = true;
    while (!released) co_await atoll::yield();
  }
  static inline std::atomic<bool> held = false;
  static inline std::atomic<bool> released = false;
  future<std::vector<int>> read() const { return atoll::make_ready_future<std::vector<int>>(lines_); }
  /// Calls this method of the shards in turn; at the end it writes.
  future<> pass(int steps, int line);
  /// Calls another twice at a time.
  future<> twice(atoll::shard_id to, int line);
  /// Calls itself.
  future<> recurse();
  future<> recurse_shielded();
  int most() const { return crowd_.most; }

 private:
  crowd crowd_;
  std::vector<int> lines_;
};
ATOLL_SERVICE(diary, "test.Diary", ATOLL_METHOD(write, line), ATOLL_METHOD(hold), ATOLL_METHOD(read),
              ATOLL_METHOD(pass, steps, line), ATOLL_METHOD(twice, to, line), ATOLL_METHOD(recurse),
              ATOLL_METHOD(recurse_shielded));

future<> diary::twice(atoll::shard_id to, int line) {
  auto one = peers().at(to).write(line);
  auto two = peers().at(to).write(line + 1);
  co_await std::move(one);
  co_await std::move(two);
}

future<> diary::recurse_shielded() {
  return atoll::shielded([this] { return recurse(); });
}

future<> diary::recurse() { return peers().at(atoll::this_shard_id()).write(1); }

future<> diary::pass(int steps, int line) {
  const auto next = peers().at((atoll::this_shard_id() + 1) % atoll::shard_count());
  return steps == 0 ? write(line) : next.pass(steps - 1, line);
}

ATOLL_TEST(turns, of_a_serial_service_come_one_after_the_other_in_order) {
  sharded<diary> diaries;
  co_await diaries.start();
  std::vector<future<>> calls;
  std::vector<int> expected;
  for (int i = 0; i < 40; ++i) {
    calls.push_back(diaries.at(1).write(i));
    expected.push_back(i);
  }
  for (auto& each : calls) co_await std::move(each);
  const auto lines = co_await diaries.at(1).read();
  EXPECT_EQ(lines, expected);
  EXPECT_EQ(co_await diaries.map_reduce(&diary::most, std::plus<>{}, 0), 1);
  co_await diaries.stop();
}

ATOLL_TEST(turns, are_queued_for_up_to_the_bound_and_no_further) {
  sharded<diary> diaries;
  co_await diaries.start();
  diary::held = diary::released = false;
  auto holds = diaries.at(1).hold();
  while (!diary::held) co_await atoll::yield();
  std::vector<future<>> calls;
  for (int i = 0; i < 51; ++i) calls.push_back(diaries.at(1).write(i));
  co_await atoll::submit_to(1, [] {});  // behind them
  diary::released = true;
  int refused = 0;
  for (auto& each : calls) {
    const auto r = co_await as_result(std::move(each));
    if (r) continue;
    ++refused;
    EXPECT_EQ(r.error().code(), status_code::resource_exhausted);
    EXPECT_NE(r.error().message().find("test.Diary"), std::string_view::npos);
  }
  EXPECT_EQ(refused, 1);
  co_await std::move(holds);
  co_await diaries.at(1).write(100);
  co_await diaries.stop();
}

ATOLL_TEST(turns, that_would_wait_for_themselves_are_an_error_at_once) {
  sharded<diary> diaries;
  co_await diaries.start();
  const auto self = co_await as_result(diaries.at(1).recurse());
  ATOLL_REQUIRE(!self);
  EXPECT_EQ(self.error().code(), status_code::failed_precondition);
  EXPECT_NE(self.error().message().find("test.Diary"), std::string_view::npos) << self.error().message();
  const auto shielded = co_await as_result(diaries.at(1).recurse_shielded());
  ATOLL_REQUIRE(!shielded);
  EXPECT_EQ(shielded.error().code(), status_code::failed_precondition);
  const auto circle = co_await as_result(diaries.at(1).pass(2, 1));
  ATOLL_REQUIRE(!circle);
  EXPECT_EQ(circle.error().code(), status_code::failed_precondition);
  co_await diaries.at(1).pass(1, 5);
  // Two of one caller are no circle: the second waits for the first.
  co_await diaries.at(0).twice(1, 6);
  const auto lines = co_await diaries.at(1).read();
  EXPECT_EQ(lines, (std::vector<int>{6, 7}));
  co_await diaries.stop();
}

ATOLL_TEST(turns, are_not_taken_by_calls_that_were_given_up_in_the_queue) {
  sharded<diary> diaries;
  co_await diaries.start();
  for (const atoll::shard_id to : {0U, 1U}) {
    for (const int keep : {1, 2, 5, 40}) {
      diary::held = diary::released = false;
      auto holds = diaries.at(to).hold();
      while (!diary::held) co_await atoll::yield();
      atoll::cancel_source source;
      std::vector<future<>> kept;
      std::vector<future<>> dropped;
      for (int i = 0; i < 40; ++i) {
        const auto write = [&diaries, to, i] { return diaries.at(to).write(1000 + i); };
        if (i % keep == 0) {
          kept.push_back(diaries.at(to).write(i));
        } else {
          dropped.push_back(source.run(write));
        }
      }
      co_await atoll::submit_to(to, [] {});  // behind them
      source.cancel();
      for (auto& each : dropped) EXPECT_FALSE(co_await as_result(std::move(each)));
      co_await atoll::submit_to(to, [] {});  // behind the notes
      diary::released = true;
      co_await std::move(holds);
      for (auto& each : kept) co_await std::move(each);
    }
    const auto lines = co_await diaries.at(to).read();
    EXPECT_EQ(std::ranges::count_if(lines, [](int line) { return line >= 1000; }), 0);
    EXPECT_EQ(lines.size(), 40U + 20 + 8 + 1);
  }
  EXPECT_EQ(co_await diaries.map_reduce(&diary::most, std::plus<>{}, 0), 2);
  co_await diaries.stop();
}

/// Serves two at a time, and remembers in which order they began.
class pair_of_desks {
 public:
  static constexpr atoll::service_options options{.concurrency = 2, .queue = 1000};

  future<> serve(int number, int yields) {
    begun_.push_back(number);
    for (int i = 0; i < yields; ++i) co_await atoll::yield();
  }
  const std::vector<int>& begun() const { return begun_; }

 private:
  std::vector<int> begun_;
};
ATOLL_SERVICE(pair_of_desks, "test.PairOfDesks", ATOLL_METHOD(serve, number, yields));

ATOLL_TEST(turns, of_several_begin_in_the_order_sent) {
  for (const atoll::shard_id to : {0U, 1U}) {
    sharded<pair_of_desks> desks;
    co_await desks.start();
    std::vector<int> expected;
    std::vector<future<>> calls;
    for (int i = 0; i < 600; ++i) {
      calls.push_back(desks.at(to).serve(i, i % 7 % 3));
      expected.push_back(i);
      if (i % 5 == 0) co_await atoll::yield();
      if (i % 31 == 0) co_await std::move(calls[static_cast<std::size_t>(i) / 2]);
    }
    for (auto& each : calls) {
      if (each.valid()) co_await std::move(each);
    }
    const auto begun = co_await desks.map([](pair_of_desks& d) { return d.begun(); });
    EXPECT_EQ(begun[to], expected);
    co_await desks.stop();
  }
}

class desk {
 public:
  future<> serve() { return served_.visit(); }
  future<> greet() { return greeted_.visit(); }
  future<> open(std::string account) { return accounts_[account].visit(); }
  int served() const { return served_.most; }
  int served_now() const { return served_.now; }
  int greeted_now() const { return greeted_.now; }
  int most_of_an_account() const {
    int most = 0;
    for (const auto& [name, account] : accounts_) most = std::max(most, account.most);
    return most;
  }
  int at_once() const {
    int most = 0;
    for (const auto& [name, account] : accounts_) most += account.now;
    return most;
  }

 private:
  crowd served_;
  crowd greeted_;
  std::map<std::string, crowd> accounts_;
};
ATOLL_SERVICE(desk, "test.Desk", ATOLL_METHOD_WITH((.concurrency = 3), serve), ATOLL_METHOD(greet),
              ATOLL_METHOD_WITH((.concurrency = 1, .queue = 20, .per_key = true), open, key(account)));

ATOLL_TEST(turns, of_one_method_do_not_bound_the_others) {
  sharded<desk> desks;
  co_await desks.start();
  std::vector<future<>> calls;
  crowd::shut = true;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(desks.at(1).serve());
    calls.push_back(desks.at(1).greet());
  }
  co_await atoll::submit_to(1, [] {});  // behind them
  EXPECT_EQ(co_await desks.map_reduce(&desk::served_now, std::plus<>{}, 0), 3);
  EXPECT_EQ(co_await desks.map_reduce(&desk::greeted_now, std::plus<>{}, 0), 50);
  crowd::shut = false;
  for (auto& each : calls) co_await std::move(each);
  EXPECT_EQ(co_await desks.map_reduce(&desk::served, std::plus<>{}, 0), 3);
  co_await desks.stop();
}

/// How many keys have a line at the desk of this shard.
std::size_t lines_here() {
  std::size_t lines = 0;
  for (const auto& core : atoll::local_sharding().cores) {
    if (core->name() != "test.Desk") continue;
    for (const auto& bounds : core->here().bounds) lines = std::max(lines, bounds.lines());
  }
  return lines;
}

ATOLL_TEST(turns, keep_lines_of_unused_keys_up_to_a_bound) {
  sharded<desk> desks;
  co_await desks.start();
  const auto open_all = [&desks](std::size_t from, std::size_t to) {
    std::vector<future<>> calls;
    for (std::size_t i = from; i < to; ++i) calls.push_back(desks.at(0).open(std::to_string(i)));
    return atoll::when_all_succeed(std::move(calls));
  };
  co_await open_all(0, atoll::turns::lines_kept);
  EXPECT_EQ(lines_here(), atoll::turns::lines_kept);
  co_await open_all(0, 100);
  EXPECT_EQ(lines_here(), atoll::turns::lines_kept);
  co_await open_all(atoll::turns::lines_kept, atoll::turns::lines_kept + 500);
  EXPECT_EQ(lines_here(), atoll::turns::lines_kept);
  EXPECT_EQ(co_await desks.map_reduce(&desk::most_of_an_account, std::plus<>{}, 0), 1);
  co_await desks.stop();
}

/// Calls of four keys on shard 1, `mixed` of which have a timeout: of some more to come, only those after the first are brief.
future<> open_with_timeouts(sharded<desk>& desks, bool mixed) {
  std::vector<future<>> calls;
  crowd::shut = true;
  for (int i = 0; i < 20; ++i) {
    for (const char* name : {"ann", "ben", "cat", "dan"}) {
      const auto there = desks.at(1);
      calls.push_back(mixed && i % 2 == 1 ? there.open(name) : there.within(1h).open(name));
    }
  }
  co_await atoll::submit_to(1, [] {});  // behind them
  EXPECT_EQ(co_await desks.map_reduce(&desk::at_once, std::plus<>{}, 0), 4);
  crowd::shut = false;
  for (auto& each : calls) co_await std::move(each);
  EXPECT_EQ(co_await desks.map_reduce(&desk::most_of_an_account, std::plus<>{}, 0), 1);
}

ATOLL_TEST(turns, per_key_hold_for_calls_with_a_timeout_too) {
  sharded<desk> desks;
  co_await desks.start();
  for (const bool mixed : {false, true}) {
    const auto open = [&] { return open_with_timeouts(desks, mixed); };
    co_await open();
    co_await atoll::with_context({}, open);  // they are started in another way where nothing else bounds them
  }
  co_await desks.stop();
}

ATOLL_TEST(turns, per_key_hold_for_each_key_apart) {
  sharded<desk> desks;
  co_await desks.start();
  std::vector<future<>> calls;
  crowd::shut = true;
  for (int i = 0; i < 20; ++i) {
    for (const char* name : {"ann", "ben", "cat", "dan"}) calls.push_back(desks.at(1).open(name));
  }
  co_await atoll::submit_to(1, [] {});  // behind them
  EXPECT_EQ(co_await desks.map_reduce(&desk::at_once, std::plus<>{}, 0), 4);
  crowd::shut = false;
  for (auto& each : calls) co_await std::move(each);
  EXPECT_EQ(co_await desks.map_reduce(&desk::most_of_an_account, std::plus<>{}, 0), 1);
  // Also where it is called on all.
  std::vector<future<>> together;
  for (int i = 0; i < 5; ++i) together.push_back(desks.on_all(&desk::open, std::string("ann")));
  for (auto& each : together) co_await std::move(each);
  EXPECT_EQ(co_await desks.map_reduce(&desk::most_of_an_account, std::plus<>{}, 0), 2);
  std::vector<future<>> more;
  crowd::shut = true;
  for (int i = 0; i < 30; ++i) more.push_back(desks.at(1).open("ann"));
  co_await atoll::submit_to(1, [] {});  // behind them
  crowd::shut = false;
  int refused = 0;
  for (auto& each : more) refused += co_await as_result(std::move(each)) ? 0 : 1;
  EXPECT_EQ(refused, 9);
  co_await desks.stop();
}

}  // namespace
