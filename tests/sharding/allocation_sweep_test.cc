// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Calls between shards and the life of a service, with a failure at each allocation of either shard in turn.
#include <string>
#include <vector>

#include <atoll/sharding/describe.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/testing/alloc_failures.hh>
#include <atoll/testing/atoll_test.hh>

namespace allocation_sweep {

std::string text() { return std::string(100, 'x'); }

class words {
 public:
  explicit words(std::string first) : all_{std::move(first)} {}
  atoll::future<std::string> add(std::string word) {
    co_await atoll::yield();
    all_.push_back(word);
    co_return word + all_.front();
  }
  std::size_t size() const { return all_.size(); }
  atoll::future<> stop() {
    co_await atoll::yield();
    all_.clear();
  }

 private:
  std::vector<std::string> all_;
};
ATOLL_SERVICE(words, "test.v1.Words", ATOLL_METHOD(add, key(word)));

}  // namespace allocation_sweep

namespace {

using allocation_sweep::text;
using allocation_sweep::words;
using atoll::as_result;
using atoll::future;
using atoll::or_fail;
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

}  // namespace
