// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/offload.hh>

#include <sched.h>

#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

#include "fragile.hh"

namespace {

using atoll::future;
using atoll::offload;
using atoll::offload_limits;
using atoll::runtime;
using atoll::status_code;
using std::chrono::milliseconds;

atoll::offload_pool::counts pool_now() { return atoll::local_sharding().offload.now(); }

future<int> end_with(const std::function<future<>()>& body) {
  co_await body();
  co_return 0;
}

/// Runs a body on two shards whose pool has these limits.
void run_with(const offload_limits& limits, const std::function<future<>()>& body) {
  atoll::runtime_options options;
  options.shards = 2;
  options.offload = limits;
  const auto ended = runtime::run(options, [&] { return end_with(body); });
  EXPECT_TRUE(ended) << ended.error().to_string();
}

ATOLL_TEST(offload, gives_what_the_function_returns) {
  EXPECT_EQ(co_await offload([] { return 7; }), 7);
  co_await offload([] {});
  const std::string name = "ann";
  const auto greet = [name] { return "hello " + name; };
  EXPECT_EQ(co_await offload(greet), "hello ann");
  auto owned = std::make_unique<int>(3);
  auto pass = [owned = std::move(owned)]() mutable { return std::move(owned); };
  const auto back = co_await offload(std::move(pass));
  EXPECT_EQ(*back, 3);
  EXPECT_EQ(co_await offload([] { return atoll::result<int>(5); }), 5);
}

ATOLL_TEST(offload, works_on_every_shard_and_comes_back_to_the_one_that_called) {
  const auto ask = []() -> future<atoll::shard_id> {
    co_await offload([] {});
    co_return atoll::this_shard_id();
  };
  EXPECT_EQ(co_await atoll::submit_to(0, ask), 0U);
  EXPECT_EQ(co_await atoll::submit_to(1, ask), 1U);
}

ATOLL_TEST(offload, runs_on_a_thread_of_its_own_on_any_processor) {
  const auto shard_thread = std::this_thread::get_id();
  const auto all = atoll::local_sharding().processors.size();
  const auto look = [shard_thread, all] {
    EXPECT_NE(std::this_thread::get_id(), shard_thread);
    EXPECT_FALSE(atoll::on_shard());
    cpu_set_t mine;
    EXPECT_EQ(::sched_getaffinity(0, sizeof mine, &mine), 0);
    EXPECT_EQ(static_cast<std::size_t>(CPU_COUNT(&mine)), all);
  };
  co_await offload(look);
}

ATOLL_TEST(offload, failures_arrive_as_errors) {
  const auto known = co_await atoll::as_result(
      offload([]() -> int { throw atoll::status_error(atoll::error(status_code::not_found, "no file")); }));
  ATOLL_REQUIRE(!known);
  EXPECT_EQ(known.error(), atoll::error(status_code::not_found, "no file"));
  const auto value = co_await atoll::as_result(
      offload([] { return atoll::result<int>(atoll::error(status_code::data_loss, "torn")); }));
  ATOLL_REQUIRE(!value);
  EXPECT_EQ(value.error(), atoll::error(status_code::data_loss, "torn"));
  const auto other = co_await atoll::as_result(offload([] { throw std::runtime_error("broken"); }));
  ATOLL_REQUIRE(!other);
  EXPECT_EQ(other.error(), atoll::error(status_code::unknown, "broken"));
  const auto odd = co_await atoll::as_result(offload([] { throw 7; }));
  ATOLL_REQUIRE(!odd);
  EXPECT_EQ(odd.error().code(), status_code::unknown);
}

TEST(offload, runs_at_most_threads_max_functions_at_once) {
  run_with({.threads_max = 2}, []() -> future<> {
    std::atomic<int> now = 0;
    std::atomic<int> most = 0;
    std::latch both(2);  // proves that two do run at once
    const auto work = [&] {
      const int running = ++now;
      for (int seen = most; seen < running && !most.compare_exchange_weak(seen, running);) continue;
      --now;
    };
    const auto meet = [&both] { both.arrive_and_wait(); };
    auto one = offload(meet);
    co_await offload(meet);
    co_await std::move(one);
    std::vector<future<>> started;
    for (int i = 0; i < 200; ++i) started.push_back(offload(work));
    for (auto& each : started) co_await std::move(each);
    EXPECT_LE(most, 2);
    EXPECT_LE(pool_now().threads, 2U);
  });
}

TEST(offload, a_full_queue_fails_the_call_at_once) {
  run_with({.threads_max = 1, .queue_max = 2}, []() -> future<> {
    std::latch go(1);
    const auto wait = [&go] { go.wait(); };
    auto running = offload(wait);
    while (pool_now().queued > 0) co_await atoll::yield();
    auto first = offload([] { return 1; });
    auto second = offload([] { return 2; });
    EXPECT_EQ(pool_now().queued, 2U);
    auto refused = offload([] { return 3; });
    EXPECT_TRUE(refused.available());
    const auto outcome = co_await atoll::as_result(std::move(refused));
    EXPECT_FALSE(outcome);
    if (!outcome) {
      EXPECT_EQ(outcome.error().code(), status_code::resource_exhausted);
    }
    go.count_down();
    co_await std::move(running);
    EXPECT_EQ(co_await std::move(first), 1);
    EXPECT_EQ(co_await std::move(second), 2);
    EXPECT_EQ(co_await offload([] { return 4; }), 4);
  });
}

TEST(offload, idle_threads_end_and_new_ones_come) {
  run_with({.threads_max = 3, .idle_for = milliseconds(1)}, []() -> future<> {
    EXPECT_EQ(pool_now().threads, 0U);  // none before the first function
    for (int round = 0; round < 20; ++round) {
      std::vector<future<>> started;
      for (int i = 0; i < 5; ++i) started.push_back(offload([] {}));
      for (auto& each : started) co_await std::move(each);
      while (pool_now().threads > 0) co_await atoll::sleep(milliseconds(1));
    }
  });
}

TEST(offload, the_wait_ends_by_the_deadline_and_what_comes_later_is_dropped) {
  run_with({.threads_max = 1}, []() -> future<> {
    std::latch go(1);
    std::atomic<bool> began = false;
    bool second_ran = false;
    const auto wait = [&] {
      began = true;
      go.wait();
      return std::make_unique<int>(1);
    };
    const auto note = [&second_ran] { second_ran = true; };
    const auto wait_offloaded = [&] { return offload(wait); };
    const auto note_offloaded = [&] { return offload(note); };
    auto first = atoll::with_deadline(atoll::mono_now() + milliseconds(20), wait_offloaded);
    auto second = atoll::with_deadline(atoll::mono_now() + milliseconds(20), note_offloaded);
    const auto one = co_await atoll::as_result(std::move(first));
    const auto two = co_await atoll::as_result(std::move(second));
    EXPECT_FALSE(one);
    EXPECT_FALSE(two);
    if (!one && !two) {
      EXPECT_EQ(one.error().code(), status_code::deadline_exceeded);
      EXPECT_EQ(two.error().code(), status_code::deadline_exceeded);
    }
    go.count_down();
    co_await offload([] {});  // behind both
    EXPECT_TRUE(began);
    EXPECT_FALSE(second_ran);  // it had not begun when the wait for it ended
    const auto late =
        co_await atoll::as_result(atoll::with_deadline(atoll::mono_now() - milliseconds(1), note_offloaded));
    EXPECT_FALSE(late);
    EXPECT_FALSE(second_ran);
  });
}

TEST(offload, a_cancel_ends_the_wait) {
  run_with({.threads_max = 1}, []() -> future<> {
    std::latch go(1);
    std::atomic<bool> began = false;
    bool second_ran = false;
    const auto wait = [&] {
      began = true;
      go.wait();
    };
    const auto note = [&second_ran] { second_ran = true; };
    const auto wait_offloaded = [&] { return offload(wait); };
    const auto note_offloaded = [&] { return offload(note); };
    atoll::cancel_source source;
    auto first = source.run(wait_offloaded);
    auto second = source.run(note_offloaded);
    while (!began) co_await atoll::yield();
    source.cancel();
    const auto one = co_await atoll::as_result(std::move(first));
    const auto two = co_await atoll::as_result(std::move(second));
    const auto three = co_await atoll::as_result(source.run(note_offloaded));
    for (const auto* outcome : {&one, &two, &three}) {
      EXPECT_FALSE(*outcome);
      if (!*outcome) {
        EXPECT_EQ(outcome->error().code(), status_code::cancelled);
      }
    }
    go.count_down();
    co_await offload([] {});  // behind all of them
    EXPECT_FALSE(second_ran);
  });
}

/// Says where it goes.
struct note_thread {
  explicit note_thread(std::thread::id& to) noexcept : where(&to) {}
  note_thread(note_thread&& other) noexcept : where(std::exchange(other.where, nullptr)) {}
  note_thread& operator=(note_thread&&) = delete;
  ~note_thread() {
    if (where != nullptr) *where = std::this_thread::get_id();
  }
  std::thread::id* where;
};

ATOLL_TEST(offload, the_function_goes_where_it_ran_even_if_it_throws) {
  std::thread::id where;
  auto work = [note = note_thread(where)] { throw std::runtime_error("thrown"); };
  EXPECT_FALSE(co_await atoll::as_result(offload(std::move(work))));
  EXPECT_NE(where, std::thread::id());
  EXPECT_NE(where, std::this_thread::get_id());
}

ATOLL_TEST(offload, a_result_that_can_not_be_moved_is_a_failure) {
  for (int moves = 1; moves < 12; ++moves) {
    const auto work = [moves] { return demo::fragile(moves); };
    co_await demo::settle(offload(work));
  }
}

TEST(offload, the_caller_may_be_gone_before_the_work_ends) {
  run_with({.threads_max = 2}, []() -> future<> {
    std::latch go(1);
    std::atomic<int> ended = 0;
    {
      const auto wait = [&] {
        go.wait();
        ++ended;
        return std::string(100, 'x');
      };
      auto dropped = offload(wait);
      auto awaited = [](auto f) -> future<> { co_await offload(f); }(wait);
      static_cast<void>(std::move(dropped));
      static_cast<void>(std::move(awaited));
    }
    go.count_down();
    while (ended < 2) co_await atoll::sleep(milliseconds(1));
    co_await offload([] {});
  });
}

future<> stop_with_work(auto& second_answered, auto& first_ended, auto& second_ran, auto& second, auto& third) {
  std::atomic<bool> began = false;
  const auto block = [&first_ended, &second_answered, &began] {
    began = true;
    second_answered.wait(false);
    first_ended = true;
  };
  static_cast<void>(offload(block));
  while (!began) co_await atoll::yield();
  const auto note = [&second_ran] { second_ran = true; };
  static_cast<void>([](auto work, auto& seen, auto& then, auto& flag) -> future<> {
    const auto outcome = co_await atoll::as_result(offload(work));
    seen = outcome ? status_code::ok : outcome.error().code();
    const auto after = co_await atoll::as_result(offload([] {}));
    then = after ? status_code::ok : after.error().code();
    flag = true;
    flag.notify_all();
  }(note, second, third, second_answered));
}

TEST(offload, at_the_end_what_began_is_waited_for_and_the_rest_is_unavailable) {
  std::atomic<bool> second_answered = false;
  bool first_ended = false;
  bool second_ran = false;
  status_code second = status_code::ok;
  status_code third = status_code::ok;
  std::thread outside([&] { second_answered.wait(false); });
  run_with({.threads_max = 1}, [&] { return stop_with_work(second_answered, first_ended, second_ran, second, third); });
  outside.join();
  EXPECT_TRUE(first_ended);
  EXPECT_FALSE(second_ran);
  EXPECT_EQ(second, status_code::unavailable);
  EXPECT_EQ(third, status_code::unavailable);
}

TEST(offload, many_from_all_shards) {
  run_with({.threads_max = 4, .idle_for = milliseconds(1)}, []() -> future<> {
    const auto many = []() -> future<int> {
      int sum = 0;
      for (int round = 0; round < 20; ++round) {
        std::vector<future<int>> started;
        for (int i = 0; i < 100; ++i) started.push_back(offload([i] { return i; }));
        for (auto& each : started) sum += co_await std::move(each);
      }
      co_return sum;
    };
    auto other = atoll::submit_to(1, many);
    EXPECT_EQ(co_await many(), 20 * 4950);
    EXPECT_EQ(co_await std::move(other), 20 * 4950);
  });
}

}  // namespace
