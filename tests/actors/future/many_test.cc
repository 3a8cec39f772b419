// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Very many of everything at once: nothing is lost, nothing is overtaken, nothing grows but memory.
#include <cstdint>
#include <utility>
#include <vector>

#include <atoll/actors/future/shared_future.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using atoll::future;

future<> note_turn(std::uint64_t& turns, std::uint64_t& out_of_turn, std::uint64_t mine) {
  co_await atoll::yield();
  if (turns != mine) ++out_of_turn;
  ++turns;
}

ATOLL_TEST(many, a_million_tasks_ready_at_once_run_in_turn) {
  constexpr std::uint64_t count = 1'000'000;
  std::uint64_t turns = 0;
  std::uint64_t out_of_turn = 0;
  std::vector<future<>> all;
  all.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) all.push_back(note_turn(turns, out_of_turn, i));
  EXPECT_LT(turns, count) << "there must have been many at once";
  for (auto& each : all) co_await std::move(each);
  EXPECT_EQ(turns, count);
  if (!atoll::testing::shuffled()) {
    EXPECT_EQ(out_of_turn, 0U);
  }
}

future<> wait_for(atoll::shared_future<int>& shared, int& sum) { sum += co_await shared.get(); }

ATOLL_TEST(many, ten_thousand_coroutines_wait_for_one_future) {
  constexpr int count = 10'000;
  atoll::promise<int> promise;
  atoll::shared_future<int> shared(promise.get_future());
  int sum = 0;
  std::vector<future<>> all;
  for (int i = 0; i < count; ++i) all.push_back(wait_for(shared, sum));
  EXPECT_EQ(sum, 0);
  promise.set_value(3);
  for (auto& each : all) co_await std::move(each);
  EXPECT_EQ(sum, 3 * count);
}

}  // namespace
