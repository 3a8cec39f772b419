// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Calls between shards and the life of a service, with a failure at each allocation of either shard in turn.
#include <atomic>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <atoll/actors/memory/buffer.hh>
#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/sharding/describe.hh>
#include <atoll/sharding/diagnostics.hh>
#include <atoll/sharding/foreign.hh>
#include <atoll/sharding/groups.hh>
#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/offload.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/alloc_failures.hh>
#include <atoll/testing/atoll_test.hh>

namespace allocation_sweep {

std::string text() { return std::string(100, 'x'); }

class words {
 public:
  explicit words(std::string first) : all_{std::move(first)} {}
  words(const words&) = delete;
  words& operator=(const words&) = delete;
  ~words() { destroyed_unstopped += stopped_ ? 0 : 1; }

  static inline std::atomic<int> destroyed_unstopped = 0;
  atoll::future<std::string> add(std::string word) {
    co_await atoll::yield();
    all_.push_back(word);
    co_return word + all_.front();
  }
  std::size_t size() const { return all_.size(); }
  atoll::future<> stop() {
    stopped_ = true;  // whatever becomes of the rest
    return clear();
  }

 private:
  atoll::future<> clear() {
    co_await atoll::yield();
    all_.clear();
  }

  bool stopped_ = false;
  std::vector<std::string> all_;
};
ATOLL_SERVICE(words, "test.v1.Words", ATOLL_METHOD(add, key(word)));

class streamer {
 public:
  atoll::stream<std::string> texts(int how_many) {
    for (int i = 0; i < how_many; ++i) co_yield text();
  }
  atoll::future<int> count(atoll::stream<std::string> values) {
    int n = 0;
    while (true) {
      const auto next = co_await atoll::or_fail(values.next());
      if (!next) co_return n;
      ++n;
    }
  }
  atoll::future<std::string> first(atoll::stream<std::string> values) {
    const auto next = co_await atoll::or_fail(values.next());
    co_return next.value_or("");
  }
  atoll::stream<std::string> echo(atoll::stream<std::string> values) {
    while (auto next = co_await values.next()) co_yield std::move(*next);
  }
};
ATOLL_SERVICE(streamer, "test.v1.Streamer", ATOLL_METHOD(texts, how_many), ATOLL_METHOD(count, values),
              ATOLL_METHOD(first, values), ATOLL_METHOD(echo, values));

/// Has a page, and takes others.
class library {
 public:
  atoll::future<atoll::buffer> exchange(std::vector<atoll::buffer> given) {
    co_await atoll::yield();
    for (const auto& each : given) EXPECT_TRUE(each.sole_owner());
    co_return page_.share();
  }
  atoll::stream<atoll::buffer> shares(atoll::stream<atoll::buffer> given) {
    while (const auto next = co_await given.next()) co_yield page_.share();
  }

 private:
  atoll::buffer page_ = atoll::buffer::copy_of(text());
};
ATOLL_SERVICE(library, "test.v1.Library", ATOLL_METHOD(exchange, given), ATOLL_METHOD(shares, given));

/// Serves one call of each method at a time, and lets none wait.
class busy {
 public:
  atoll::future<std::string> hold(std::string given, bool until_told) {
    if (until_told) co_await go_on_.wait();
    co_return given;
  }
  atoll::future<std::string> hold_key(std::string name, std::string given, bool until_told) {
    if (until_told) co_await go_on_.wait();
    co_return name + given;
  }
  void go_on() { go_on_.set(); }
  atoll::stream<std::string> texts(std::string given) { co_yield given; }
  atoll::future<> note(std::string given) { co_await atoll::fail(atoll::status_code::data_loss, given); }

 private:
  atoll::event go_on_;
};
ATOLL_SERVICE(busy, "test.v1.BusyWithALongName",
              ATOLL_METHOD_WITH((.concurrency = 1, .queue = 0), hold, given, until_told),
              ATOLL_METHOD_WITH((.concurrency = 1, .queue = 0, .per_key = true), hold_key, key(name), given,
                                until_told),
              ATOLL_METHOD(texts, given), ATOLL_METHOD_WITH((.one_way = true), note, given));

/// Fails to leave, in many words.
class guest : public atoll::actor<guest, std::uint64_t> {
 public:
  static inline std::atomic<int> alive = 0;
  guest() { ++alive; }
  guest(const guest&) = delete;
  guest& operator=(const guest&) = delete;
  ~guest() { --alive; }
  atoll::future<> visit() { return atoll::make_ready_future(); }
  atoll::future<> on_deactivate() { co_await atoll::fail(atoll::status_code::data_loss, text()); }
};
ATOLL_SERVICE(guest, "test.v1.AGuestWithALongName", ATOLL_METHOD(visit));

/// What a steady stream of calls does.
class steady {
 public:
  atoll::future<std::uint64_t> ready(std::uint64_t a, std::uint64_t b) {
    return atoll::make_ready_future<std::uint64_t>(a + b);
  }
  atoll::future<std::uint64_t> later(std::uint64_t key) {
    co_await atoll::yield();
    co_return key;
  }
  atoll::future<std::uint64_t> in_turn(std::uint64_t key) { return atoll::make_ready_future<std::uint64_t>(key); }
  atoll::future<> note(std::uint64_t /*number*/) { return atoll::make_ready_future(); }
};
ATOLL_SERVICE(steady, "test.Steady", ATOLL_METHOD(ready, a, b), ATOLL_METHOD(later, key(number)),
              ATOLL_METHOD_WITH((.concurrency = 1, .per_key = true), in_turn, key(number)),
              ATOLL_METHOD_WITH((.one_way = true), note, number));

/// The same as an actor.
class steady_actor : public atoll::actor<steady_actor, std::uint64_t> {
 public:
  atoll::future<std::uint64_t> ready(std::uint64_t a) { return atoll::make_ready_future<std::uint64_t>(a + key()); }
};
ATOLL_SERVICE(steady_actor, "test.SteadyActor", ATOLL_METHOD(ready, a));

/// What is called.
struct steady_refs {
  atoll::sharded_ref<steady> all;
  atoll::keyed_ref<steady_actor> actors;
};

atoll::future<> call_in_each_way(steady_refs refs, int times) {
  const auto& all = refs.all;
  for (int i = 0; i < times; ++i) {
    const auto n = static_cast<std::uint64_t>(i);
    for (const atoll::shard_id to : {0U, 1U}) {
      EXPECT_EQ(co_await all.at(to).ready(n, 1), n + 1);
      EXPECT_EQ(co_await all.at(to).within(std::chrono::hours(1)).ready(n, 1), n + 1);
      EXPECT_EQ(co_await all.at(to).later(n), n);
      co_await all.at(to).note(n);
    }
    EXPECT_EQ(co_await all.later(n), n);
    EXPECT_EQ(co_await all.in_turn(n % 16), n % 16);
    EXPECT_EQ(co_await refs.actors.at(n % 16).ready(1), n % 16 + 1);
  }
}

atoll::future<> call_side_by_side(steady_refs refs, int times, std::vector<std::optional<atoll::future<>>>& callers) {
  for (auto& each : callers) each.emplace(call_in_each_way(refs, times));
  for (auto& each : callers) co_await std::move(*each);
}

ATOLL_TEST(calls, allocate_nothing_once_the_free_lists_are_filled) {
  if (!atoll::this_shard().blocks.is_on()) co_return;  // under AddressSanitizer there are no free lists
  atoll::sharded<steady> all;
  atoll::keyed<steady_actor> actors;
  co_await all.start();
  co_await actors.start({.idle_after = std::chrono::hours(1)});
  const steady_refs refs{all.ref(), actors.ref()};
  const auto count = [] { return atoll::testing::alloc_failures::of_this_thread(); };
  std::vector<std::optional<atoll::future<>>> callers(64);
  std::uint64_t allocated = 1;
  // A round may have more calls under way at once than those before it, and then fills the lists with more blocks.
  for (int round = 0; round < 50 && allocated > 0; ++round) {
    const auto there = co_await atoll::submit_to(1, count);
    const auto here = count();
    co_await call_side_by_side(refs, 100, callers);  // 70,400 calls
    allocated = count() - here;
    allocated += co_await atoll::submit_to(1, count) - there;
  }
  EXPECT_EQ(allocated, 0U);
  co_await all.stop();
  co_await actors.stop();
}

}  // namespace allocation_sweep

namespace {

using allocation_sweep::busy;
using allocation_sweep::guest;
using allocation_sweep::library;
using allocation_sweep::streamer;
using allocation_sweep::text;
using allocation_sweep::words;
using atoll::as_result;
using atoll::future;
using atoll::or_fail;
using atoll::status_code;
using atoll::testing::alloc_failures;
using atoll::testing::for_each_allocation_failure;
using atoll::testing::sweep_options;

/// With failures on the caller's shard, then on the callee's.
future<> sweep(std::function<future<>()> body) {
  for (const std::uint32_t shard : {0U, 1U}) {
    const sweep_options options{.failures = 1, .shard = shard};
    const auto runs = co_await for_each_allocation_failure(body, options);
    EXPECT_GT(runs, 0U) << "shard " << shard;
  }
}

future<> submit() {
  const auto work = [given = text()] { return given + given; };
  const auto there = co_await or_fail(atoll::submit_to(1, work));
  EXPECT_EQ(there.size(), 200U);
}

ATOLL_TEST(allocation_sweep, submit_to) { co_await sweep(&submit); }

future<> call(atoll::sharded<words>& all) {
  const auto near = co_await as_result(all.at(0).add(text()));
  const auto far = co_await as_result(all.at(1).add(text()));
  const auto timed = co_await as_result(all.within(std::chrono::hours(1)).at(1).add(text()));
  for (const auto* each : {&near, &far, &timed}) {
    if (!*each) co_await atoll::fail(each->error());
  }
}

ATOLL_TEST(allocation_sweep, calls_of_a_service) {
  atoll::sharded<words> all;
  co_await all.start(text());
  // The service keeps what it is given: the sweep must not.
  const auto body = [&all] { return call(all); };
  const sweep_options here{.failures = 1, .shard = 0, .keeps_blocks = true};
  const sweep_options there{.failures = 1, .shard = 1, .keeps_blocks = true};
  EXPECT_GT(co_await for_each_allocation_failure(body, here), 0U);
  EXPECT_GT(co_await for_each_allocation_failure(body, there), 0U);
  co_await all.stop();
}

future<> expect_refused(auto call, atoll::status_code why) {
  const auto outcome = co_await as_result(call());
  EXPECT_FALSE(outcome);
  if (!outcome && outcome.error().code() != why) co_await atoll::fail(outcome.error());
}

/// By each of the ways there are: the caller's shard knows it at once, or the callee's.
future<> be_refused(atoll::sharded<busy>& full, atoll::sharded<busy>& stopped) {
  for (const atoll::shard_id at : {0U, 1U}) {
    const auto there = full.at(at);
    const auto hourly = there.within(std::chrono::hours(1));
    const auto late = there.within(std::chrono::nanoseconds(0));
    const auto gone = stopped.at(at);
    const auto gone_in_an_hour = gone.within(std::chrono::hours(1));
    // Of these nobody is told the outcome.
    for (const auto& to : {there, gone}) static_cast<void>(co_await as_result(to.note(text())));
    co_await expect_refused([&] { return there.hold(text(), false); }, status_code::resource_exhausted);
    co_await expect_refused([&] { return hourly.hold(text(), false); }, status_code::resource_exhausted);
    co_await expect_refused([&] { return there.hold_key("ann", text(), false); }, status_code::resource_exhausted);
    co_await expect_refused([&] { return hourly.hold_key("ann", text(), false); }, status_code::resource_exhausted);
    co_await expect_refused([&] { return late.hold_key("ben", text(), false); }, status_code::deadline_exceeded);
    co_await expect_refused([&] { return gone.hold(text(), false); }, status_code::unavailable);
    co_await expect_refused([&] { return gone_in_an_hour.hold_key("ann", text(), false); }, status_code::unavailable);
    auto values = gone.texts(text());
    co_await expect_refused([&] { return values.next(); }, status_code::unavailable);
  }
}

ATOLL_TEST(allocation_sweep, calls_that_are_refused) {
  atoll::sharded<busy> full;
  atoll::sharded<busy> stopped;
  co_await full.start();
  co_await stopped.start();
  co_await stopped.stop();
  std::vector<future<std::string>> held;
  for (const atoll::shard_id at : {0U, 1U}) {
    held.push_back(full.at(at).hold("", true));
    held.push_back(full.at(at).hold_key("ann", "", true));
  }
  static_cast<void>(co_await as_result(full.at(1).hold("", false)));  // those before it are there
  const auto body = [&] { return be_refused(full, stopped); };
  for (const std::uint32_t shard : {0U, 1U}) {
    // What a one-way message has at its callee is gone when that has served it, which nobody is told.
    const sweep_options options{.failures = 1, .shard = shard, .keeps_blocks = true};
    EXPECT_GT(co_await for_each_allocation_failure(body, options), 0U) << "shard " << shard;
  }
  co_await full.on_all([](busy& here) { here.go_on(); });
  for (auto& each : held) co_await std::move(each);
  co_await full.stop();
}

/// One that lives on this shard.
atoll::actor_ref<guest> guest_here(atoll::keyed<guest>& guests) {
  std::uint64_t key = 0;
  while (guests.at(key).shard() != atoll::this_shard_id()) ++key;
  return guests.at(key);
}

future<> all_guests_leave() {
  for (int i = 0; i < 20'000 && guest::alive > 0; ++i) co_await atoll::sleep(std::chrono::milliseconds(1));
  EXPECT_EQ(guest::alive, 0);
}

/// Without memory for the nth block. Where the task has had its time by then, it gives way in each await.
future<std::uint64_t> leave_after_a_visit_without_memory(std::uint64_t n, bool late) {
  atoll::keyed<guest> guests;
  co_await guests.start({.idle_after = std::chrono::milliseconds(1)});
  const auto one = guest_here(guests);
  std::uint64_t failed = 0;
  {
    const auto failing = alloc_failures::after(n);
    const auto visit = [&one] { return one.visit(); };
    while (late && !atoll::detail::should_give_way()) continue;
    static_cast<void>(co_await as_result(atoll::detail::invoke_safely(visit)));
    failed = failing.failed();
  }
  co_await one.visit();
  co_await all_guests_leave();
  co_await guests.stop();
  co_return failed;
}

ATOLL_TEST(allocation_sweep, actors_leave_for_idleness_after_an_activation_without_memory) {
  for (const bool late : {false, true}) {
    for (std::uint64_t n = 1; co_await leave_after_a_visit_without_memory(n, late) > 0; ++n) continue;
  }
}

ATOLL_TEST(allocation_sweep, actors_leave_for_idleness_though_memory_was_short_meanwhile) {
  for (std::uint64_t n = 1;; ++n) {
    atoll::keyed<guest> guests;
    co_await guests.start({.idle_after = std::chrono::milliseconds(1)});
    co_await guest_here(guests).visit();
    std::uint64_t failed = 0;
    {
      const auto failing = alloc_failures::after(n);
      for (int i = 0; i < 20'000 && guest::alive > 0; ++i) {
        static_cast<void>(co_await as_result(atoll::sleep(std::chrono::milliseconds(1))));
      }
      failed = failing.failed();
    }
    EXPECT_EQ(guest::alive, 0) << "failure " << n;
    co_await guests.stop();
    if (failed == 0) break;
  }
}

ATOLL_TEST(allocation_sweep, actors_that_fail_to_leave_leave_all_the_same) {
  for (std::uint64_t n = 1;; ++n) {
    atoll::keyed<guest> guests;
    co_await guests.start();
    co_await guest_here(guests).visit();
    std::uint64_t failed = 0;
    {
      const auto failing = alloc_failures::after(n);
      static_cast<void>(co_await as_result(guests.stop()));
      failed = failing.failed();
    }
    static_cast<void>(co_await as_result(guests.stop()));
    EXPECT_EQ(guest::alive, 0) << "failure " << n;
    if (failed == 0) break;
  }
}

future<> start_and_stop() {
  atoll::sharded<words> all;
  co_await or_fail(all.start(text()));
  co_await or_fail(all.stop());
}

ATOLL_TEST(allocation_sweep, start_and_stop_of_a_service) {
  // The runtime keeps the cores of all services to its end.
  for (const std::uint32_t shard : {0U, 1U}) {
    const sweep_options options{.failures = 1, .shard = shard, .keeps_blocks = true};
    EXPECT_GT(co_await for_each_allocation_failure(&start_and_stop, options), 0U);
  }
}

ATOLL_TEST(allocation_sweep, no_instance_goes_without_its_stop) {
  for (std::uint64_t n = 1;; ++n) {
    atoll::sharded<words> all;
    co_await all.start(text());
    words::destroyed_unstopped = 0;
    std::uint64_t failed = 0;
    {
      const auto failing = alloc_failures::after(n);
      static_cast<void>(co_await as_result(all.stop()));
      failed = failing.failed();
    }
    EXPECT_EQ(words::destroyed_unstopped, 0) << "failure " << n;
    static_cast<void>(co_await as_result(all.stop()));
    if (failed == 0) break;
  }
}

future<> submit_what_can_not_be_moved() {
  const std::string name = text();
  const auto work = [name] { return name.size(); };  // a const capture is copied
  EXPECT_EQ(co_await or_fail(atoll::submit_to(1, work)), 100U);
}

ATOLL_TEST(allocation_sweep, submit_to_what_can_not_be_moved) { co_await sweep(&submit_what_can_not_be_moved); }

future<> offload_work() {
  const auto work = [given = text()] { return given + given; };
  const auto doubled = co_await or_fail(atoll::offload(work));
  EXPECT_EQ(doubled.size(), 200U);
}

ATOLL_TEST(allocation_sweep, offload) {
  co_await offload_work();  // a thread is there
  for (const std::uint64_t failures : {std::uint64_t{1}, std::uint64_t{3}}) {
    const sweep_options options{.failures = failures};
    EXPECT_GT(co_await for_each_allocation_failure(&offload_work, options), 0U);
  }
}

future<> render() {
  const auto page = co_await or_fail(atoll::render_metrics());
  EXPECT_FALSE(page.empty());
}

ATOLL_TEST(allocation_sweep, render_metrics) {
  co_await render();  // a thread is there
  // Blocks of that thread come and go by themselves.
  const sweep_options options{.failures = 1, .keeps_blocks = true};
  EXPECT_GT(co_await for_each_allocation_failure(&render, options), 0U);
}

atoll::stream<atoll::buffer> shares(const atoll::buffer& page, int how_many) {
  for (int i = 0; i < how_many; ++i) co_yield page.share();
}

future<> exchange_by_a_call(atoll::sharded<library>& all) {
  const auto page = atoll::buffer::copy_of(text());
  std::vector<atoll::buffer> given;
  for (int i = 0; i < 3; ++i) given.push_back(page.share());
  const auto got = co_await or_fail(all.at(1).exchange(std::move(given)));
  EXPECT_TRUE(got.sole_owner());
  EXPECT_EQ(got.view(), text());
}

future<> exchange_buffers(atoll::sharded<library>& all) {
  const auto page = atoll::buffer::copy_of(text());
  auto more = all.at(1).shares(shares(page, 3));
  std::optional<atoll::error> failed;
  while (true) {
    const auto next = co_await as_result(more.next());
    if (!next) failed = next.error();
    if (!next || !*next) break;
    EXPECT_TRUE((*next)->sole_owner());
  }
  co_await more.close();
  // What sends them refers to the page.
  while (!page.sole_owner()) co_await atoll::yield();
  if (failed) co_await atoll::fail(*failed);
}

ATOLL_TEST(allocation_sweep, buffers_in_messages) {
  atoll::sharded<library> all;
  co_await all.start();
  const auto body = [&all] { return exchange_buffers(all); };
  const auto call_alone = [&all] { return exchange_by_a_call(all); };
  for (const std::uint32_t failing : {0U, 1U}) {
    // The callee's counter of failures is made for the first of them.
    const sweep_options options{.failures = 1, .shard = failing, .keeps_blocks = failing == 1};
    EXPECT_GT(co_await for_each_allocation_failure(call_alone, options), 0U) << "failures on " << failing;
    // What the other shard still has of streams when the body has ended is counted by chance.
    const sweep_options with_streams{.failures = 1, .shard = failing, .keeps_blocks = true};
    EXPECT_GT(co_await for_each_allocation_failure(body, with_streams), 0U) << "failures on " << failing;
  }
  co_await all.stop();
}

atoll::stream<std::string> texts(int how_many) {
  for (int i = 0; i < how_many; ++i) co_yield text();
}

future<> use_streams(atoll::sharded<streamer>& all, atoll::shard_id at) {
  auto got = all.at(at).texts(100);
  while (true) {
    const auto next = co_await or_fail(got.next());
    if (!next) break;
  }
  EXPECT_EQ(co_await or_fail(all.at(at).count(texts(100))), 100);
  auto back = all.at(at).echo(texts(70));
  for (int i = 0; i < 10; ++i) static_cast<void>(co_await or_fail(back.next()));
}

ATOLL_TEST(allocation_sweep, streams_of_calls) {
  atoll::sharded<streamer> all;
  co_await all.start();
  for (const atoll::shard_id at : {0U, 1U}) {
    const auto body = [&all, at] { return use_streams(all, at); };
    for (const std::uint32_t failing : {0U, 1U}) {
      // What the other shard still has when the body has ended is counted by chance.
      const sweep_options options{.failures = 1, .shard = failing, .keeps_blocks = true};
      const auto runs = co_await for_each_allocation_failure(body, options);
      EXPECT_GT(runs, 0U) << "service on " << at << ", failures on " << failing;
    }
  }
  co_await all.stop();
}

/// Waits for ever behind its first value: whoever takes it has to end it.
struct producing {
  static inline int count = 0;
  producing() { ++count; }
  producing(const producing&) = delete;
  producing& operator=(const producing&) = delete;
  ~producing() { --count; }
};
atoll::stream<std::string> one_and_no_end() {
  const producing mark;
  co_yield text();
  co_await or_fail(atoll::sleep(std::chrono::hours(1)));
}

ATOLL_TEST(allocation_sweep, streams_without_end_as_arguments) {
  atoll::sharded<streamer> all;
  co_await all.start();
  for (const atoll::shard_id at : {0U, 1U}) {
    std::uint64_t failed = 1;
    for (std::uint64_t n = 1; failed > 0; ++n) {
      {
        const auto failing = alloc_failures::after(n);
        const auto call = [&all, at] { return all.at(at).first(one_and_no_end()); };
        static_cast<void>(co_await as_result(atoll::detail::invoke_safely(call)));
        failed = failing.failed();
      }
      for (int i = 0; i < 1'000 && producing::count > 0; ++i) co_await atoll::sleep(std::chrono::milliseconds(1));
      ATOLL_REQUIRE(producing::count == 0);
    }
  }
  // Where there is no memory to wait with, nobody reads how the call ends.
  static_cast<void>(co_await atoll::testing::take_failures_abandoned());
  co_await all.stop();
}

ATOLL_TEST(allocation_sweep, a_scheduling_group_is_on_all_shards_or_none) {
  static std::optional<alloc_failures> failing;  // shard 1's
  for (std::uint64_t n = 1; n < 30; ++n) {
    const std::string name = "a group with a long name, number " + std::to_string(n);
    co_await atoll::submit_to(1, [n] { failing.emplace(n); });
    const auto made = co_await atoll::create_scheduling_group(name, 100);
    const auto end = [] { failing.reset(); };
    while (!co_await as_result(atoll::submit_to(1, end))) co_await atoll::yield();
    if (made) break;
    const auto again = co_await atoll::create_scheduling_group(name, 100);
    EXPECT_TRUE(again.has_value()) << (again ? "" : again.error().to_string());
  }
}

ATOLL_TEST(allocation_sweep, a_call_of_a_foreign_thread_is_answered_without_memory) {
  const auto port = atoll::foreign_port::of_this_process();
  std::future<int> answer;
  std::thread caller([&] { answer = port.submit_to(0, [] { return 1; }); });
  caller.join();  // this shard is blocked meanwhile: the call waits for it
  {
    const auto failing = alloc_failures::after(1, alloc_failures::all);
    while (port.calls_in_flight(0) > 0) co_await atoll::yield();
  }
  try {
    EXPECT_EQ(answer.get(), 1);
  } catch (const std::exception&) {
    EXPECT_EQ(port.calls_in_flight(0), 0U);
  }
}

/// The nth allocation of the thread of shard 0 fails; it sees the whole start of a runtime, and its end.
TEST(allocation_sweep, start_and_end_of_a_runtime) {
  for (std::uint64_t n = 1;; ++n) {
    const auto failing = alloc_failures::after(n);
    const auto ended = atoll::runtime::run({.shards = 3}, [] { return atoll::make_ready_future<int>(7); });
    ASSERT_FALSE(atoll::on_shard());
    if (ended) {
      EXPECT_EQ(*ended, 7);
    } else {
      EXPECT_EQ(ended.error().code(), atoll::status_code::resource_exhausted);
    }
    if (failing.failed() == 0) break;
  }
}

future<int> leave_threads_and_services(std::optional<alloc_failures>& failing, std::uint64_t n, std::uint64_t count) {
  auto* all = new atoll::sharded<words>();  // NOLINT: stopped by the runtime
  co_await all->start(text());
  delete all;  // NOLINT
  co_await atoll::offload([] {});
  atoll::this_shard().blocks.switch_on(false);
  atoll::context_ptr::free_spare(atoll::this_shard());
  failing.emplace(n, count);
  co_return 7;
}

TEST(allocation_sweep, the_end_of_a_runtime_with_services_and_threads) {
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
  GTEST_SKIP() << "services that can't be asked to stop stay as they are, and are reported as leaked";
#endif
#endif
  for (const std::uint64_t count : {std::uint64_t{1}, std::uint64_t{2}, std::uint64_t{30}}) {
    for (std::uint64_t n = 1;; ++n) {
      std::optional<alloc_failures> failing;
      const auto ended = atoll::runtime::run(
          {.shards = 2}, [&failing, n, count] { return leave_threads_and_services(failing, n, count); });
      const bool failed = failing && failing->failed() > 0;
      failing.reset();
      EXPECT_TRUE(ended) << ended.error().to_string();
      if (!failed) break;
    }
  }
}

}  // namespace
