// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The code of docs/scheduling.md, and that it does what is said there.
#include <signal.h>
#include <unistd.h>

#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <atoll/actors/future/group.hh>
#include <atoll/actors/future/periodic.hh>
#include <atoll/actors/reactor/ticker.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/foreign.hh>
#include <atoll/sharding/groups.hh>
#include <atoll/sharding/offload.hh>
#include <atoll/sharding/signals.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;

atoll::future<std::uint64_t> checksum(std::vector<std::uint64_t> numbers) {
  std::uint64_t sum = 0;
  for (const std::uint64_t n : numbers) {
    sum = sum * 31 + n;
    co_await atoll::maybe_yield();  // goes on at once, unless others have waited long enough
  }
  co_return sum;
}

ATOLL_TEST(docs_scheduling, a_loop_that_computes_lets_others_run) {
  EXPECT_EQ(co_await checksum(std::vector<std::uint64_t>(3, 1)), 31U * 31 + 31 + 1);
  bool slept = false;
  auto other = atoll::sleep(1ms).then([&slept] { slept = true; });
  const auto end = atoll::mono_now() + 1min;
  while (!slept && atoll::mono_now() < end) co_await atoll::maybe_yield();
  EXPECT_TRUE(slept);
  co_await std::move(other);
}

atoll::future<std::string> rebuild() { co_return atoll::this_shard().tasks.stats(atoll::current_group())->name; }

atoll::future<std::string> in_the_background() {
  const auto batch = (co_await atoll::create_scheduling_group("batch", 100)).value();  // on all shards
  const auto here = co_await atoll::with_group(batch, [] { return rebuild(); });
  const auto there = co_await atoll::with_group(batch, [] { return atoll::submit_to(1, [] { return rebuild(); }); });
  (co_await atoll::set_group_shares(batch, 50)).value();
  co_return here + " here, " + there + " there";
}

ATOLL_TEST(docs_scheduling, a_group_follows_the_work) {
  EXPECT_EQ(co_await in_the_background(), "batch here, batch there");
  EXPECT_EQ(atoll::current_group(), atoll::scheduling_group{});
  const auto again = co_await atoll::create_scheduling_group("batch", 100);
  ATOLL_REQUIRE(!again);
  EXPECT_EQ(again.error().code(), atoll::status_code::already_exists);
}

atoll::future<> spin_in_a_group(atoll::duration longest) {
  const auto end = atoll::mono_now() + longest;
  while (atoll::mono_now() < end) co_await atoll::maybe_yield();
}

atoll::result<std::string> report(atoll::scheduling_group group) {
  const auto stats = atoll::this_shard().tasks.stats(group);
  if (!stats) return stats.error();
  const auto p99 = std::chrono::nanoseconds(stats->latency.quantile(0.99));  // from wake-up to first task
  return stats->name + " ran " + std::to_string(stats->ran / 1us) + " us, woke " + std::to_string(stats->wakeups) +
         " times, waited " + std::to_string(p99 / 1us) + " us or less in 99 of 100";
}

ATOLL_TEST(docs_scheduling, groups_say_what_they_used) {
  const auto batch = atoll::this_shard().tasks.create_group("batch", 100).value();
  auto work = atoll::with_group(batch, [] { return spin_in_a_group(20ms); });
  co_await spin_in_a_group(20ms);
  co_await std::move(work);
  EXPECT_GT(atoll::this_shard().tasks.stats(batch)->ran, 0ns);
  const auto text = report(batch);
  ATOLL_REQUIRE(text);
  EXPECT_TRUE(text->starts_with("batch ran ")) << *text;
  EXPECT_FALSE(report({63}));
}

atoll::future<std::uint64_t> flush_regularly(int rounds) {
  std::uint64_t missed = 0;
  atoll::periodic_timer every("flush", 1ms);
  while (rounds-- > 0) missed += co_await every.next();  // 0 where the last round took less than 1 ms
  co_return missed;
}

ATOLL_CLOCK_TEST(docs_scheduling, a_periodic_timer_does_not_drift, clock) {
  auto flushed = flush_regularly(3);
  co_await clock.advance(1ms);
  co_await clock.advance(1ms);
  EXPECT_FALSE(flushed.available());
  co_await clock.advance(1ms);
  EXPECT_EQ(co_await std::move(flushed), 0U);
}

std::uint64_t fibonacci(unsigned n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

atoll::future<std::uint64_t> compute(unsigned n) {
  return atoll::offload([n] { return fibonacci(n); });  // on a thread of a pool; the shard goes on
}

ATOLL_TEST(docs_scheduling, what_blocks_is_offloaded) {
  EXPECT_EQ(co_await compute(20), 6765U);
  EXPECT_FALSE(co_await atoll::offload([] { return atoll::on_shard(); }));
  const auto slow = [] { return atoll::offload([] { std::this_thread::sleep_for(20ms); }); };
  const auto r = co_await atoll::as_result(atoll::with_timeout(1ms, slow));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::deadline_exceeded);
}

ATOLL_TEST(docs_scheduling, a_cancel_ends_the_wait_for_what_is_offloaded) {
  std::promise<void> go;
  const auto blocked = [&go] { return atoll::offload([&go] { go.get_future().wait(); }); };
  atoll::cancel_source source;
  auto waiting = source.run(blocked);
  source.cancel();
  EXPECT_FALSE(co_await atoll::as_result(std::move(waiting)));
  go.set_value();
  co_await atoll::offload([] {});
}

atoll::future<int> ask_from_a_thread() {
  const auto port = atoll::foreign_port::of_this_process();  // on a shard; copy it anywhere
  atoll::promise<int> done;
  auto answer = done.get_future();
  std::thread foreign([port, &done] {
    const int shard = port.submit_to(1, [] { return static_cast<int>(atoll::this_shard_id()); }).get();  // blocks
    port.submit_to(0, [&done, shard] { done.set_value(shard); }).get();
  });
  const int shard = co_await std::move(answer);
  co_await atoll::offload([&foreign] { foreign.join(); });  // join() would block the shard
  co_return shard;
}

ATOLL_TEST(docs_scheduling, foreign_threads_reach_shards) { EXPECT_EQ(co_await ask_from_a_thread(), 1); }

atoll::future<int> reload_on_hangup() {
  const int signal = co_await atoll::next_signal(SIGHUP);
  co_return signal == SIGHUP ? 0 : 1;
}

int run_app(int argc, char** argv) {
  atoll::app app("reloader", "Waits for a hangup.");
  app.receive(SIGHUP);  // it has no default effect while the app runs
  return app.run(argc, argv, [] { return reload_on_hangup(); });
}

TEST(docs_scheduling, signals_are_futures) {
  std::string name = "reloader";
  std::string flag = "--shards=1";
  std::vector<char*> arguments{name.data(), flag.data()};
  sigset_t hangup;
  ::sigemptyset(&hangup);
  ::sigaddset(&hangup, SIGHUP);
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &hangup, &before);
  ::kill(::getpid(), SIGHUP);  // it came before the wait, and counts
  EXPECT_EQ(run_app(static_cast<int>(arguments.size()), arguments.data()), 0);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ATOLL_TEST(docs_scheduling, a_task_that_holds_the_shard_is_a_stall) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  co_return;  // it keeps signals, and so ticks, back until a system call
#endif
#endif
  if (atoll::this_shard().ticks == nullptr) co_return;  // the kernel gives no timers here
  const auto stalls = [] { return atoll::this_shard().ticks->stalls(); };
  co_await atoll::yield();
  const auto before = stalls();
  const auto end = atoll::mono_now() + 1min;
  while (stalls() == before && atoll::mono_now() < end) continue;
  EXPECT_GT(stalls(), before);
}

}  // namespace
