// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/testing/atoll_test.hh>

#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll::testing {

future<std::uint64_t> take_failures_abandoned() {
  std::uint64_t all = 0;
  for (shard_id s = 0; s < shard_count(); ++s) {
    all += co_await submit_to(s, [] { return std::exchange(this_shard().failures_abandoned, 0); });
  }
  co_return all;
}

namespace {

future<int> run_body(std::function<future<>()>& body) {
  const auto ended = co_await as_result(body());
  if (!ended) ADD_FAILURE() << "the test failed with " << ended.error().to_string();
  const auto abandoned = co_await take_failures_abandoned();
  EXPECT_EQ(abandoned, 0U) << "failed futures were dropped unread";
  co_return 0;
}

}  // namespace

void run_test(std::function<future<>()> body, shard_id shards) {
  runtime_options options;
  options.shards = shards;
  const auto outcome = runtime::run(options, [&body] { return run_body(body); });
  if (!outcome) ADD_FAILURE() << "no shards: " << outcome.error().to_string();
}

}  // namespace atoll_root::atoll::testing
