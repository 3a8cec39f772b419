// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What the report of a stall calls code that has not awaited anything yet.
#include <atoll/actors/reactor/ticker.hh>

#include <string>

#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

#include "stderr_capture.hh"

namespace stalls {

/// Keeps the thread busy until the ticker has seen it, for a minute at most.
void compute() {
  const auto before = atoll::this_shard().ticks->stalls();
  const auto end = atoll::mono_now() + std::chrono::minutes(1);
  while (atoll::this_shard().ticks->stalls() == before && atoll::mono_now() < end) continue;
}

class slow {
 public:
  atoll::future<int> answer(int n) {
    compute();
    return atoll::make_ready_future<int>(n);
  }
  atoll::future<int> coroutine(int n) {
    compute();
    co_return n;
  }
};
ATOLL_SERVICE(slow, "test.v1.Slow", ATOLL_METHOD(answer, n), ATOLL_METHOD(coroutine, n));

class slow_actor : public atoll::actor<slow_actor, std::uint64_t> {
 public:
  atoll::future<int> answer(int n) {
    compute();
    co_return n;
  }
};
ATOLL_SERVICE(slow_actor, "test.v1.SlowActor", ATOLL_METHOD(answer, n));

}  // namespace stalls

namespace {

using stalls::compute;

/// What is reported while the body runs, on shards of its own. A shard reports one stall a second: where the machine had
/// stalled it before, the body runs again.
std::string report_of(const std::function<atoll::future<>()>& body, std::string_view wanted) {
  std::string text;
  for (int run = 0; run < 10 && text.find(wanted) == std::string::npos; ++run) {
    const stderr_capture err;
    atoll::testing::run_test(body);
    text = err.text();
  }
  return text;
}

#define SKIP_WITHOUT_TICKS()                          \
  bool has_ticks = false;                             \
  atoll::testing::run_test([&has_ticks] {             \
    has_ticks = atoll::this_shard().ticks != nullptr; \
    return atoll::make_ready_future();                \
  });                                                 \
  if (!has_ticks) GTEST_SKIP() << "the kernel gives no timers here"

#define EXPECT_PART(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

atoll::future<> call_slow(bool coroutine) {
  atoll::sharded<stalls::slow> all;
  co_await all.start();
  auto f = coroutine ? all.at(1).coroutine(1) : all.at(1).answer(1);
  co_await std::move(f);
  co_await all.stop();
}

TEST(stall, of_a_handler_names_service_and_method) {
  SKIP_WITHOUT_TICKS();
  for (const bool coroutine : {false, true}) {
    const std::string wanted =
        coroutine ? " ms, in test.v1.Slow.coroutine; at:\n" : " ms, in test.v1.Slow.answer; at:\n";
    EXPECT_PART(report_of([coroutine] { return call_slow(coroutine); }, wanted), wanted);
  }
}

atoll::future<> call_slow_actor() {
  atoll::keyed<stalls::slow_actor> actors;
  co_await actors.start();
  co_await actors.at(7).answer(1);
  co_await actors.stop();
}

TEST(stall, of_an_actor_names_service_and_method) {
  SKIP_WITHOUT_TICKS();
  constexpr std::string_view wanted = " ms, in test.v1.SlowActor.answer; at:\n";
  EXPECT_PART(report_of(&call_slow_actor, wanted), wanted);
}

#if defined(__clang__)
constexpr std::string_view lambda_of_submit = "stall_test.cc:";
constexpr std::string_view lambda_of_then = "stall_test.cc:";
#else
constexpr std::string_view lambda_of_submit = " ms, in {anonymous}::submit_slow_work(";
constexpr std::string_view lambda_of_then = "slow_continuation(";
#endif

atoll::future<> submit_slow_work() {
  co_await atoll::submit_to(1, [] { compute(); });
}

TEST(stall, of_a_function_on_another_shard_names_it) {
  SKIP_WITHOUT_TICKS();
  EXPECT_PART(report_of(&submit_slow_work, lambda_of_submit), lambda_of_submit);
}

/// Nothing but arithmetic, without a call: what sets the name must not be optimised away. Some 100 ms.
atoll::future<> submit_arithmetic() {
  const auto n = co_await atoll::submit_to(1, [] {
    std::uint64_t x = 1;
    for (int i = 0; i < 100'000'000; ++i) x = x * 6364136223846793005U + (x >> 33U);
    return x;
  });
  EXPECT_NE(n, 0U);
}

TEST(stall, of_arithmetic_is_named_too) {
  SKIP_WITHOUT_TICKS();
#if !defined(__clang__)
  constexpr std::string_view wanted = " ms, in {anonymous}::submit_arithmetic(";
#else
  constexpr std::string_view wanted = lambda_of_submit;
#endif
  EXPECT_PART(report_of(&submit_arithmetic, wanted), wanted);
}

struct slow_functor {
  void operator()() const { compute(); }
};
atoll::future<> submit_slow_functor() { co_await atoll::submit_to(1, slow_functor{}); }

TEST(stall, of_a_functor_names_its_type) {
  SKIP_WITHOUT_TICKS();
  constexpr std::string_view wanted = "slow_functor; at:\n";
  EXPECT_PART(report_of(&submit_slow_functor, wanted), wanted);
}

atoll::future<> map_slowly() {
  atoll::sharded<stalls::slow> all;
  co_await all.start();
  static_cast<void>(co_await all.map(&stalls::slow::answer, 1));
  co_await all.stop();
}

TEST(stall, of_a_function_on_all_instances_names_the_service) {
  SKIP_WITHOUT_TICKS();
  constexpr std::string_view wanted = " ms, in test.v1.Slow.(map or on_all); at:\n";
  EXPECT_PART(report_of(&map_slowly, wanted), wanted);
}

atoll::future<> slow_continuation() {
  co_await atoll::sleep(std::chrono::milliseconds(1)).then([] { compute(); });
}

TEST(stall, of_a_continuation_names_its_function) {
  SKIP_WITHOUT_TICKS();
  const auto text = report_of(&slow_continuation, lambda_of_then);
  EXPECT_PART(text, "atoll::detail::run_then of ");
  EXPECT_PART(text, lambda_of_then);
}

TEST(stall, of_main_says_so) {
  SKIP_WITHOUT_TICKS();
  std::string text;
  {
    const stderr_capture err;
    const auto ended = atoll::runtime::run({.shards = 1}, [] {
      compute();
      return atoll::make_ready_future<int>(0);
    });
    EXPECT_TRUE(ended);
    text = err.text();
  }
  EXPECT_PART(text, " ms, in app.main; at:\n");
}

}  // namespace
