// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/testing/atoll_test.hh>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <unordered_set>

#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll::testing {
namespace {

/// What a shard of a test knows of it.
struct local_state {
  std::unordered_set<const detail::coroutine_hook*> known;  // coroutines that are none of the test's, or forgiven
};

local_state& local() noexcept { return *this_shard().slot<local_state>(shard_slot::testing); }

/// Looked at this often for coroutines that are about to end by themselves, a ms apart after the first few.
constexpr int looks_quick = 50;
constexpr int looks_max = 150;

std::uint64_t chosen_seed() {
  if (const char* given = std::getenv("ATOLL_TEST_SEED"); given != nullptr && *given != '\0') {
    std::uint64_t seed = 0;
    const std::string_view text(given);
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), seed);
    if (failure != std::errc() || end != text.data() + text.size() || seed == 0) {
      std::fprintf(stderr, "ATOLL_TEST_SEED: wants a number from 1 to 18446744073709551615, not '%s'\n", given);
      std::exit(2);
    }
    return seed;
  }
  return std::random_device()() | std::uint64_t{1};
}

template <class F>
void for_each_suspended(F f) {
  for (auto& hook : this_shard().coroutines) {
    if (!local().known.contains(&hook)) f(static_cast<detail::coroutine_base&>(hook));
  }
}

std::size_t count_suspended() {
  std::size_t n = 0;
  for_each_suspended([&n](auto&) { ++n; });
  return n;
}

std::string describe_suspended() {
  std::string text;
  for_each_suspended([&text](detail::coroutine_base& each) {
    text += std::string("\n  shard ") + std::to_string(this_shard_id()) + ": " + each.site.function_name() + " at " +
            each.site.file_name() + ":" + std::to_string(each.site.line());
  });
  return text;
}

void begin_here() {
  this_shard().slot<local_state>(shard_slot::testing) = new local_state;
  for (auto& hook : this_shard().coroutines) local().known.insert(&hook);
}

void end_here() { delete std::exchange(this_shard().slot<local_state>(shard_slot::testing), nullptr); }

future<std::uint64_t> take_all(std::uint64_t shard::* counter) {
  std::uint64_t all = 0;
  for (shard_id s = 0; s < shard_count(); ++s) {
    all += co_await submit_to(s, [counter] { return std::exchange(this_shard().*counter, 0); });
  }
  co_return all;
}

future<int> run_body(std::function<future<>()>& body) {
  // Once suspended, the coroutines that wait for the body are in the list of those known.
  co_await yield();
  co_await on_all_shards(&begin_here);
  const auto ended = co_await as_result(body());
  if (!ended) ADD_FAILURE() << "the test failed with " << ended.error().to_string();
  // What a stop() drops counts, too.
  static_cast<void>(co_await as_result(detail::stop_leftovers_everywhere()));
  // In this coroutine, which is known, and no other.
  std::string left;
  for (shard_id s = 0; s < shard_count(); ++s) {
    for (int look = 0; look < looks_max; ++look) {
      if (co_await submit_to(s, &count_suspended) == 0) break;
      // On the machine's clock, whatever the test's is.
      if (look >= looks_quick) this_shard().io->wait(mono_now() + std::chrono::milliseconds(1));
      co_await yield();
    }
    left += co_await submit_to(s, &describe_suspended);
  }
  EXPECT_EQ(left, "") << "coroutines still suspended at the end of the test";
  EXPECT_EQ(co_await take_failures_abandoned(), 0U) << "failed futures were dropped unread";
  EXPECT_EQ(co_await take_scopes_leaked(), 0U) << "scopes were destroyed while their work ran";
  co_await on_all_shards(&end_here);
  co_return 0;
}

}  // namespace

bool shuffled() noexcept {
  const char* wanted = std::getenv("ATOLL_TEST_SHUFFLE");
  return wanted != nullptr && *wanted != '\0' && *wanted != '0';
}

future<std::uint64_t> take_failures_abandoned() { return take_all(&shard::failures_abandoned); }
future<std::uint64_t> take_scopes_leaked() { return take_all(&shard::scopes_leaked); }

std::size_t take_suspended() {
  std::size_t n = 0;
  for_each_suspended([&n](detail::coroutine_base& each) {
    if (&each == this_shard().running) return;
    ++n;
    local().known.insert(&each);
  });
  return n;
}

void run_test(std::function<future<>()> body, shard_id shards, clock* time) {
  const std::uint64_t seed = chosen_seed();
  const ::testing::ScopedTrace trace(__FILE__, __LINE__, "ATOLL_TEST_SEED=" + std::to_string(seed));
  // First: a test that ends the process, or hangs, could not say it later.
  std::printf("ATOLL_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  runtime_options options;
  options.shards = shards;
  options.seed = seed;
  options.shuffle = shuffled();
  options.time = time;
  const auto outcome = runtime::run(options, [&body] { return run_body(body); });
  if (!outcome) ADD_FAILURE() << "no shards: " << outcome.error().to_string();
}

}  // namespace atoll_root::atoll::testing
