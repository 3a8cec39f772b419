// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/foreign.hh>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <atoll/sharding/offload.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

#include "fragile.hh"

namespace {

struct adder : atoll::task {
  adder() : atoll::task(&add) {}
  static void add(atoll::task* t) noexcept {
    auto* self = static_cast<adder*>(t);
    ++*self->sum;
    if (self->last != nullptr) self->last->set_value();
  }
  int* sum = nullptr;
  atoll::promise<>* last = nullptr;
};

ATOLL_TEST(foreign, threads_send_tasks_to_a_shard_even_while_it_sleeps) {
  constexpr int each = 1'000;
  const auto port = atoll::foreign_port::of_this_process();
  int sum = 0;
  atoll::promise<> all;
  std::vector<adder> tasks(2 * each + 1);
  for (auto& t : tasks) t.sum = &sum;
  tasks.back().last = &all;
  std::thread outside([&] {
    std::thread one([&] {
      for (std::size_t i = 0; i < each; ++i) port.send(tasks[i], 0);
    });
    for (std::size_t i = each; i < 2 * each; ++i) port.send(tasks[i], 0);
    one.join();
    port.send(tasks.back(), 0);
  });
  co_await all.get_future();
  outside.join();
  EXPECT_EQ(sum, 2 * each + 1);
}

using atoll::foreign_port;
using atoll::future;
using atoll::runtime;
using atoll::status_code;
using std::chrono::hours;
using std::chrono::milliseconds;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_ARE_CHECKED 1
extern "C" void __lsan_disable();  // NOLINT: the sanitizer's
extern "C" void __lsan_enable();   // NOLINT
#endif
#endif

/// What this thread allocates meanwhile may leak.
struct no_leak_check {
#ifdef LEAKS_ARE_CHECKED
  no_leak_check() noexcept { __lsan_disable(); }
  ~no_leak_check() { __lsan_enable(); }
#else
  no_leak_check() noexcept {}
#endif
  no_leak_check(const no_leak_check&) = delete;
  no_leak_check& operator=(const no_leak_check&) = delete;
};

/// The code that a call failed with; ok where it did not.
template <class T>
status_code code_of(std::future<atoll::result<T>>& f) {
  const auto outcome = f.get();
  return outcome ? status_code::ok : outcome.error().code();
}

// ThreadSanitizer doesn't see the counts in the standard library that keep an exception for its last holder.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SEES_NO_EXCEPTION_COUNTS 1
#endif
#endif
#ifndef SEES_NO_EXCEPTION_COUNTS
#define SEES_NO_EXCEPTION_COUNTS 0
#endif

struct odd_error : std::exception {
  [[nodiscard]] const char* what() const noexcept override { return "odd"; }
};

future<std::string> name_later(std::string name) {
  co_await atoll::sleep(milliseconds(1));
  co_return name + " of shard " + std::to_string(atoll::this_shard_id());
}

ATOLL_TEST(foreign, a_thread_calls_shards_and_gets_values) {
  const auto port = foreign_port::of_this_process();
  const auto outside = [port] {
    EXPECT_EQ(port.submit_to(0, [] { return atoll::this_shard_id(); }).get(), 0U);
    EXPECT_EQ(port.submit_to(1, [] { return atoll::this_shard_id(); }).get(), 1U);
    EXPECT_EQ(port.submit_to(1, [] { return name_later("ann"); }).get(), "ann of shard 1");
    port.submit_to(1, [] {}).get();
    auto owned = std::make_unique<int>(7);
    auto moved = port.submit_to(1, [owned = std::move(owned)]() mutable { return std::move(owned); });
    EXPECT_EQ(*moved.get(), 7);
    EXPECT_EQ(port.calls_in_flight(0), 0U);
    EXPECT_EQ(port.calls_in_flight(1), 0U);
  };
  co_await atoll::offload(outside);
}

ATOLL_TEST(foreign, failures_arrive_as_values) {
  const auto port = foreign_port::of_this_process();
  const auto outside = [port] {
    EXPECT_EQ(*port.try_submit_to(1, [] { return 7; }).get(), 7);
    EXPECT_TRUE(port.try_submit_to(1, [] {}).get());
    const auto none =
        port.try_submit_to(1, []() -> future<int> { co_return atoll::error(status_code::not_found, "no ann"); }).get();
    EXPECT_EQ(none.error(), atoll::error(status_code::not_found, "no ann"));
    const auto odd = port.try_submit_to(1, []() -> int { throw odd_error(); }).get();
    EXPECT_EQ(odd.error(), atoll::error(status_code::unknown, "odd"));
    auto nowhere = port.try_submit_to(2, [] { return 1; });
    EXPECT_EQ(code_of(nowhere), status_code::out_of_range);
  };
  co_await atoll::offload(outside);
}

ATOLL_TEST(foreign, failures_arrive_as_exceptions) {
  if (SEES_NO_EXCEPTION_COUNTS == 1) co_return;
  const auto port = foreign_port::of_this_process();
  const auto outside = [port] {
    auto failed = port.submit_to(1, []() -> future<int> { co_return atoll::error(status_code::not_found, "no ann"); });
    try {
      failed.get();
      ADD_FAILURE();
    } catch (const atoll::status_error& e) {
      EXPECT_EQ(e.error(), atoll::error(status_code::not_found, "no ann"));
    }
    EXPECT_THROW(port.submit_to(1, [] { throw std::out_of_range("9"); }).get(), std::out_of_range);
    auto odd = port.submit_to(1, []() -> int { throw odd_error(); });
    try {
      odd.get();
      ADD_FAILURE();
    } catch (const atoll::status_error& e) {
      EXPECT_EQ(e.error(), atoll::error(status_code::unknown, "odd"));
    }
    EXPECT_THROW(port.submit_to(2, [] { return 1; }).get(), atoll::status_error);
  };
  co_await atoll::offload(outside);
}

ATOLL_TEST(foreign, calls_of_a_thread_start_in_order_and_their_functions_are_gone_before_the_answer) {
  const auto port = foreign_port::of_this_process();
  std::vector<int> started;  // shard 1's
  const auto outside = [port, &started] {
    const auto token = std::make_shared<int>(0);
    std::vector<std::future<void>> calls;
    for (int i = 0; i < 1'000; ++i) calls.push_back(port.submit_to(1, [&started, i, token] { started.push_back(i); }));
    for (auto& call : calls) call.get();
    EXPECT_EQ(token.use_count(), 1);
  };
  co_await atoll::offload(outside);
  EXPECT_EQ(started.size(), 1'000U);
  EXPECT_TRUE(std::is_sorted(started.begin(), started.end()));
}

ATOLL_TEST(foreign, calls_past_the_bound_of_a_shard_fail_at_once) {
  const auto port = foreign_port::of_this_process();
  std::vector<atoll::promise<>> held;  // shard 1's
  const auto outside = [port, &held] {
    std::vector<std::future<void>> calls;
    for (std::uint32_t i = 0; i < foreign_port::calls_in_flight_max; ++i) {
      calls.push_back(port.submit_to(1, [&held] { return held.emplace_back().get_future(); }));
    }
    EXPECT_EQ(port.calls_in_flight(1), foreign_port::calls_in_flight_max);
    auto refused = port.try_submit_to(1, [] {});
    EXPECT_EQ(refused.wait_for(hours(0)), std::future_status::ready);
    EXPECT_EQ(code_of(refused), status_code::resource_exhausted);
    EXPECT_EQ(port.submit_to(0, [] { return 1; }).get(), 1);  // the bound is a shard's own
    return calls;
  };
  std::vector<std::future<void>> calls;
  const auto fill = [&] { calls = outside(); };
  co_await atoll::offload(fill);
  // Only then have all begun: other messages may overtake them.
  const auto all_held = [&held] { return held.size() == foreign_port::calls_in_flight_max; };
  while (!co_await atoll::submit_to(1, all_held)) continue;
  co_await atoll::submit_to(1, [&held] {
    for (auto& p : held) p.set_value();
    held.clear();
  });
  const auto finish = [port, &calls] {
    for (auto& call : calls) call.get();
    EXPECT_EQ(port.calls_in_flight(1), 0U);
    EXPECT_EQ(port.submit_to(1, [] { return 1; }).get(), 1);
  };
  co_await atoll::offload(finish);
}

ATOLL_TEST(foreign, a_result_that_can_not_be_moved_is_a_failure) {
#if SEES_NO_EXCEPTION_COUNTS
  GTEST_LOG_(INFO) << "left out: std::promise throws out of call_once, which never ends in ThreadSanitizer";
  co_return;
#endif
  const auto port = foreign_port::of_this_process();
  for (int moves = 1; moves < 16; ++moves) {
    const auto call = [port, moves] {
      try {
        static_cast<void>(port.try_submit_to(0, [moves] { return demo::fragile(moves); }).get());
      } catch (const std::runtime_error&) {
        return;  // of the last move, into this thread's hands
      }
    };
    co_await atoll::offload(call);
  }
}

TEST(foreign, a_call_wakes_a_shard_that_sleeps) {
  const auto ended = runtime::run({.shards = 2, .spin_for = milliseconds(0)}, []() -> future<int> {
    const auto port = foreign_port::of_this_process();
    const auto outside = [port] {
      int sum = 0;
      for (atoll::shard_id i = 0; i < 500; ++i) sum += port.submit_to(i % 2, [] { return 1; }).get();
      return sum;
    };
    co_return co_await atoll::offload(outside);
  });
  ASSERT_TRUE(ended);
  EXPECT_EQ(*ended, 500);
}

TEST(foreign, a_port_outlives_its_runtime) {
  std::optional<foreign_port> port;
  const auto ended = runtime::run({.shards = 2}, [&port]() -> future<int> {
    port = foreign_port::of_this_process();
    return atoll::make_ready_future<int>(0);
  });
  ASSERT_TRUE(ended);
  bool ran = false;
  auto call = port->try_submit_to(1, [&ran] { ran = true; });
  EXPECT_EQ(code_of(call), status_code::unavailable);
  EXPECT_FALSE(ran);
  // Nor does it reach the runtime that comes next.
  const auto next = runtime::run({.shards = 2}, [&port]() -> future<int> {
    auto late = port->try_submit_to(1, [] { return 1; });
    EXPECT_EQ(code_of(late), status_code::unavailable);
    return atoll::make_ready_future<int>(0);
  });
  EXPECT_TRUE(next);
}

future<int> stop_before_the_call(auto& may_go_on, auto& ran, auto& accepted, auto& outside) {
  const auto port = foreign_port::of_this_process();
  // Shard 1 is busy until nobody is let in any more; the call waits behind that.
  std::atomic<bool> busy = false;
  auto blocking = atoll::submit_to(1, [&] {
    busy = true;
    while (!may_go_on) std::this_thread::yield();
  });
  while (!busy) co_await atoll::yield();
  accepted = port.try_submit_to(1, [&ran] { ran = true; });
  outside = std::thread([port, &may_go_on] {
    for (bool stopped = false; !stopped;) {
      auto knock = port.try_submit_to(0, [] {});
      stopped = code_of(knock) == status_code::unavailable;
    }
    may_go_on = true;
  });
  static_cast<void>(std::move(blocking));  // goes on
  co_return 0;
}

TEST(foreign, a_call_that_did_not_begin_before_the_stop_is_unavailable) {
  std::atomic<bool> may_go_on = false;
  bool ran = false;
  std::future<atoll::result<void>> accepted;
  std::thread outside;
  const auto ended =
      runtime::run({.shards = 2}, [&] { return stop_before_the_call(may_go_on, ran, accepted, outside); });
  outside.join();
  ASSERT_TRUE(ended);
  EXPECT_EQ(code_of(accepted), status_code::unavailable);
  EXPECT_FALSE(ran);
}

future<int> stop_during_the_call(auto& call) {
  const auto port = foreign_port::of_this_process();
  bool began = false;  // shard 0's
  call = port.try_submit_to(0, [&began]() {
    began = true;
    // What waits when its shard ends stays as it is: nobody is left to run it.
    const no_leak_check stays;
    return atoll::sleep(hours(1));
  });
  while (!began) co_await atoll::yield();
  co_return 0;
}

TEST(foreign, a_call_that_still_runs_when_its_shard_ends_is_unavailable) {
  std::future<atoll::result<void>> call;
  const auto ended = runtime::run({.shards = 2}, [&] { return stop_during_the_call(call); });
  ASSERT_TRUE(ended);
  EXPECT_EQ(code_of(call), status_code::unavailable);
}

constexpr int threads = 4;
constexpr int calls_a_thread = 10'000;

future<int> stop_under_calls(auto& outside, auto& ran, auto& answered, auto& refused) {
  const auto port = foreign_port::of_this_process();
  for (int t = 0; t < threads; ++t) {
    outside.emplace_back([&, port, t] {
      std::vector<std::future<atoll::result<int>>> calls;
      for (int i = 0; i < calls_a_thread; ++i) {
        calls.push_back(port.try_submit_to(static_cast<atoll::shard_id>((t + i) % 3), [&ran] { return ++ran; }));
        if (i % 100 == 0) calls[static_cast<std::size_t>(i)].wait();
      }
      for (auto& call : calls) {
        const auto code = code_of(call);
        EXPECT_TRUE(code == status_code::ok || code == status_code::unavailable ||
                    code == status_code::resource_exhausted);
        ++(code == status_code::ok ? answered : refused);
      }
    });
  }
  while (ran < calls_a_thread) co_await atoll::yield();
  co_return 0;
}

TEST(foreign, every_call_is_answered_while_the_shards_stop) {
  std::vector<std::thread> outside;
  std::atomic<int> ran = 0;
  std::atomic<int> answered = 0;
  std::atomic<int> refused = 0;
  const auto ended = runtime::run({.shards = 3}, [&] { return stop_under_calls(outside, ran, answered, refused); });
  for (auto& t : outside) t.join();
  ASSERT_TRUE(ended);
  EXPECT_EQ(answered + refused, threads * calls_a_thread);
  EXPECT_EQ(answered, ran);
}

future<int> end_under_calls(auto& outside, auto& answers) {
  const auto port = foreign_port::of_this_process();
  for (int t = 0; t < 4; ++t) {
    outside.emplace_back([&answers, port] {
      for (bool stopped = false; !stopped; ++answers) {
        auto call = port.try_submit_to(1, [] { return atoll::this_shard_id(); });
        stopped = code_of(call) == status_code::unavailable;
      }
    });
  }
  while (answers < 8) co_await atoll::yield();
  co_return 0;
}

TEST(foreign, threads_call_while_runtimes_come_and_go) {
  for (int round = 0; round < 50; ++round) {
    std::vector<std::thread> outside;
    std::atomic<int> answers = 0;
    const auto ended = runtime::run({.shards = 2}, [&] { return end_under_calls(outside, answers); });
    for (auto& t : outside) t.join();
    ASSERT_TRUE(ended);
  }
}

// Whoever the call has woken may run next, and wait for the thread.
ATOLL_TEST(foreign, a_call_that_ends_at_once_is_answered_before_others_run) {
  const auto port = atoll::foreign_port::of_this_process();
  for (int i = 0; i < 300; ++i) {
    atoll::promise<> done;
    auto answered = done.get_future();
    std::thread caller([port, &done] { port.submit_to(0, [&done] { done.set_value(); }).get(); });
    atoll::this_shard().tick = true;  // gives way where it can
    co_await std::move(answered);
    caller.join();
  }
}

}  // namespace
