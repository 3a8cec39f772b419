// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/ticker.hh>

#include <pthread.h>
#include <sys/resource.h>

#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/reactor/reactor.hh>

#include "stderr_capture.hh"

namespace {

using atoll::duration;
using atoll::future;
using std::chrono::milliseconds;

std::size_t count_of(const std::string& text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

/// Runs a body on a loop of its own; gives the stalls that were counted.
std::uint64_t run(duration threshold, const std::function<future<>()>& body) {
  auto io = atoll::make_epoll_backend();
  if (!io) throw std::runtime_error("no epoll");
  atoll::reactor loop({.id = 5, .stall_threshold = threshold}, atoll::system_clock(), *std::move(io));
  const auto work = [](atoll::reactor& r, const std::function<future<>()>& f) -> future<> {
    co_await f();
    r.stop();
  };
  auto done = work(loop, body);
  loop.run();
  EXPECT_TRUE(done.available() && !done.failed());
  done.get();
  return loop.ticks().stalls();
}

/// Keeps the thread busy until this has happened, or for a minute.
template <class F>
bool spin_until(F happened) {
  const auto end = atoll::mono_now() + std::chrono::minutes(1);
  while (!happened()) {
    if (atoll::mono_now() > end) return false;
  }
  return true;
}

std::uint64_t stalls_here() { return atoll::this_shard().ticks->stalls(); }

constexpr std::uint32_t line_of_await = __LINE__ + 2;
future<> stall_after_an_await() {
  co_await atoll::yield();
  const auto before = stalls_here();
  EXPECT_TRUE(spin_until([before] { return stalls_here() > before; }));
}

bool ticks_work() {
  bool works = false;
  run(duration(0), [&works]() -> future<> {
    works = atoll::this_shard().ticks != nullptr;
    return atoll::make_ready_future();
  });
  return works;
}

#define SKIP_WITHOUT_TICKS() \
  if (!ticks_work()) GTEST_SKIP() << "the kernel gives no timers here"

TEST(ticker, reports_a_stall_with_the_task_and_its_line_and_a_second_one_only_by_number) {
  SKIP_WITHOUT_TICKS();
  const stderr_capture err;
  const auto stalls = run(milliseconds(20), []() -> future<> {
    co_await stall_after_an_await();
    co_await stall_after_an_await();  // within the second of the first
  });
  const auto text = err.text();
  EXPECT_GE(stalls, 2U);
  // Where the machine is so slow that a second passed between the two there are two reports.
  const auto reports = count_of(text, "stall: ");
  EXPECT_GE(reports, 1U) << text;
  EXPECT_LE(reports, stalls) << text;
  EXPECT_NE(text.find("warning [shard 5] stall: a task has run for 20 ms, resumed after "), std::string::npos) << text;
  EXPECT_NE(text.find("ticker_test.cc:" + std::to_string(line_of_await) + " in "), std::string::npos) << text;
  EXPECT_NE(text.find("stall_after_an_await; at:\n"), std::string::npos) << text;
  EXPECT_EQ(text.find(".Frame"), std::string::npos) << text;
  EXPECT_GE(count_of(text, "\n"), 3U) << "no return addresses: " << text;
}

future<> stall_until_two_reports(std::optional<atoll::time_point>& first, const stderr_capture& err) {
  first = atoll::mono_now();
  while (count_of(err.text(), "stall: ") < 2) {
    co_await atoll::yield();
    const auto before = stalls_here();
    if (!spin_until([before] { return stalls_here() > before; })) break;
  }
  // Lower bound: the second report comes after the interval, however fast the stalls are.
  EXPECT_GE(atoll::mono_now() - *first, atoll::ticker::report_every);
}

TEST(ticker, prints_at_most_one_report_in_its_interval_and_says_how_many_it_kept_back) {
  SKIP_WITHOUT_TICKS();
  const stderr_capture err;
  std::optional<atoll::time_point> first;
  run(milliseconds(2), [&] { return stall_until_two_reports(first, err); });
  const auto text = err.text();
  EXPECT_EQ(count_of(text, "stall: "), 2U) << text;
  EXPECT_EQ(count_of(text, " more since the last report)"), 1U) << text;
}

TEST(ticker, the_interval_goes_on_while_the_shard_sleeps) {
  SKIP_WITHOUT_TICKS();
  const stderr_capture err;
  run(milliseconds(5), []() -> future<> {
    co_await stall_after_an_await();
    co_await atoll::sleep(atoll::ticker::report_every + milliseconds(100));
    co_await stall_after_an_await();
  });
  EXPECT_GE(count_of(err.text(), "stall: "), 2U) << err.text();
}

future<> stall_after_sleeps() {
  for (const int ms : {1, 20, 1, 1, 5}) {
    co_await atoll::sleep(milliseconds(ms));
    const auto before = stalls_here();
    EXPECT_TRUE(spin_until([before] { return stalls_here() > before; })) << ms;
  }
}

// After a short sleep the timer is the one from before.
TEST(ticker, the_first_task_after_a_sleep_may_stall_too) {
  SKIP_WITHOUT_TICKS();
  const stderr_capture err;
  EXPECT_GE(run(milliseconds(5), [] { return stall_after_sleeps(); }), 5U);
}

/// How often this thread has waited for something so far.
std::int64_t thread_waits() {
  rusage used{};
  ::getrusage(RUSAGE_THREAD, &used);
  return used.ru_nvcsw;
}
future<> sleep_often(std::int64_t& waits) {
  const auto before = thread_waits();
  for (int i = 0; i < 10; ++i) co_await atoll::sleep(milliseconds(40));
  waits = thread_waits() - before;
}

// Asleep for long it has none: each would wake it.
TEST(ticker, a_shard_that_sleeps_has_no_ticks) {
  SKIP_WITHOUT_TICKS();
  std::int64_t waits = 0;
  run(duration(0), [&waits] { return sleep_often(waits); });
  EXPECT_GE(waits, 10);
  EXPECT_LE(waits, 100) << "with ticks it were 800";
}

TEST(ticker, a_task_that_never_awaited_is_reported_without_a_line) {
  SKIP_WITHOUT_TICKS();
  const stderr_capture err;
  struct spinner final : atoll::task {
    spinner() : atoll::task(&spin) {}
    static void spin(atoll::task*) noexcept {
      EXPECT_TRUE(spin_until([] { return stalls_here() > 0; }));
    }
  } task;
  run(milliseconds(5), [&task] {
    atoll::schedule(task);
    return atoll::sleep(milliseconds(1));
  });
  EXPECT_NE(err.text().find(" ms; at:\n"), std::string::npos) << err.text();
}

/// Has something to do until `end` is true; counts how often it gives way.
future<> compute_until(const bool& end, int& turns) {
  while (!end) {
    if (atoll::detail::should_give_way()) ++turns;
    co_await atoll::maybe_yield();
  }
}

TEST(ticker, timers_come_due_between_the_turns_of_a_task_that_computes) {
  SKIP_WITHOUT_TICKS();
  int turns = 0;
  constexpr int sleeps = 10;
  run(duration(0), [&turns] {
    return [](int& count) -> future<> {
      bool end = false;
      auto computing = compute_until(end, count);
      for (int i = 0; i < sleeps; ++i) co_await atoll::sleep(milliseconds(2));
      end = true;
      co_await std::move(computing);
    }(turns);
  });
  // A quota is 500 us: some 4 turns to each sleep. A loop that asked after 256 tasks would need 256 to each.
  EXPECT_GE(turns, sleeps);
  EXPECT_LE(turns, 128 * sleeps);
}

TEST(ticker, a_shard_that_sleeps_or_has_short_tasks_is_not_stalled) {
  SKIP_WITHOUT_TICKS();
  const stderr_capture err;
  const auto stalls = run(std::chrono::seconds(2), []() -> future<> {
    co_await atoll::sleep(milliseconds(2'500));
    const auto end = atoll::mono_now() + milliseconds(2'500);
    while (atoll::mono_now() < end) co_await atoll::yield();
  });
  EXPECT_EQ(stalls, 0U);
  EXPECT_EQ(err.text(), "");
}

TEST(ticker, threshold_0_reports_nothing) {
  SKIP_WITHOUT_TICKS();
  const stderr_capture err;
  const auto stalls = run(duration(0), []() -> future<> {
    const auto end = atoll::mono_now() + milliseconds(300);
    static_cast<void>(spin_until([end] { return atoll::mono_now() > end; }));
    co_await atoll::yield();
  });
  EXPECT_EQ(stalls, 0U);
  EXPECT_EQ(err.text(), "");
}

TEST(ticker, others_may_send_the_signal_too) {
  SKIP_WITHOUT_TICKS();
  const stderr_capture err;
  const auto stalls = run(std::chrono::seconds(10), []() -> future<> {
    for (int i = 0; i < 100'000; ++i) {
      ::pthread_kill(::pthread_self(), SIGRTMIN + 2);
      union sigval value{};
      value.sival_ptr = &value;
      ::pthread_sigqueue(::pthread_self(), SIGRTMIN + 2, value);
    }
    co_await atoll::yield();
  });
  EXPECT_EQ(stalls, 0U);
  ::raise(SIGRTMIN + 2);  // and where no shard runs any more
}

// Signals of a ticker that is gone may come when the next one runs on the same thread.
TEST(ticker, a_signal_that_was_blocked_comes_too_late) {
  SKIP_WITHOUT_TICKS();
  sigset_t tick;
  ::sigemptyset(&tick);
  ::sigaddset(&tick, SIGRTMIN + 2);
  for (int i = 0; i < 50; ++i) {
    run(milliseconds(20), [&tick]() -> future<> {
      ::pthread_sigmask(SIG_BLOCK, &tick, nullptr);
      const auto end = atoll::mono_now() + milliseconds(2);
      static_cast<void>(spin_until([end] { return atoll::mono_now() > end; }));
      return atoll::make_ready_future();
    });
    run(milliseconds(20), [&tick]() -> future<> {
      ::pthread_sigmask(SIG_UNBLOCK, &tick, nullptr);
      return atoll::make_ready_future();
    });
  }
}

}  // namespace
