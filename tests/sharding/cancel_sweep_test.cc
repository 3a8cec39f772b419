// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Calls of each kind, cancelled at each of the first points where they may be: while they wait for a turn or a slot that moves,
// on their way, while their actor is made, in the method, on the way back. None is left behind on either side, and none keeps what it held.
#include <atomic>
#include <functional>

#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::shard_id;
using atoll::sharded;
using atoll::status_code;
using atoll::stream;

/// How many methods, hooks and producers run.
std::atomic<int> inside = 0;
struct mark {
  mark() { ++inside; }
  mark(const mark&) = delete;
  mark& operator=(const mark&) = delete;
  ~mark() { --inside; }
};

future<int> take_steps() {
  const mark here;
  co_await atoll::yield();
  co_await atoll::or_fail(atoll::sleep(std::chrono::microseconds(20)));
  co_await atoll::yield();
  co_return 1;
}

class steps : public atoll::peering<steps> {
 public:
  static constexpr atoll::service_options options{.slots = 4};
  future<int> work() { return take_steps(); }
  future<int> work_in_turn() { return take_steps(); }
  future<int> work_by_key(int /*key*/) { return take_steps(); }
  future<int> work_by_call();
  stream<int> numbers() {
    const mark here;
    for (int i = 0; i < 3; ++i) {
      co_await atoll::yield();
      co_yield i;
    }
  }
  future<int> sum(stream<int> values) {
    const mark here;
    int all = 0;
    while (const auto next = co_await values.next()) all += *next;
    co_return all;
  }
};
ATOLL_SERVICE(steps, "test.Steps", ATOLL_METHOD(work), ATOLL_METHOD_WITH((.concurrency = 1), work_in_turn),
              ATOLL_METHOD_WITH((.concurrency = 1, .per_key = true), work_by_key, key(of)), ATOLL_METHOD(work_by_call),
              ATOLL_METHOD(numbers), ATOLL_METHOD(sum, values));

future<int> steps::work_by_call() {
  const mark here;
  co_return co_await peers().at(1 - atoll::this_shard_id()).work_in_turn();
}

class stepper : public atoll::actor<stepper, int> {
 public:
  future<> on_activate() { return take_steps().discard_value(); }
  future<> on_deactivate() { return take_steps().discard_value(); }
  future<int> work() { return take_steps(); }
};
ATOLL_SERVICE(stepper, "test.Stepper", ATOLL_METHOD(work));

stream<int> some_numbers() {
  const mark here;
  for (int i = 0; i < 3; ++i) {
    co_await atoll::yield();
    co_yield i;
  }
}

future<int> read_all(stream<int> values) {
  int n = 0;
  bool more = true;
  while (more) {
    more = (co_await atoll::or_fail(values.next())).has_value();
    ++n;
  }
  co_return n;
}

/// One call whole, before and behind others that have the turn; cancelled after so many yields. How it may end is told by the caller.
future<> cancel_after(int yields, std::function<future<int>()> call) {
  atoll::cancel_source gives_up;
  auto other = call();
  auto given_up = gives_up.run(call);
  auto third = call();
  for (int i = 0; i < yields; ++i) co_await atoll::yield();
  gives_up.cancel();
  const auto outcome = co_await as_result(std::move(given_up));
  EXPECT_TRUE(outcome || outcome.error().code() == status_code::cancelled) << outcome.error().to_string();
  EXPECT_GT(co_await std::move(other), 0);
  EXPECT_GT(co_await std::move(third), 0);
  for (int ms = 0; ms < 5'000 && inside > 0; ++ms) co_await atoll::sleep(1ms);
  EXPECT_EQ(inside, 0);
}

ATOLL_TEST(cancel_sweep, of_calls_of_each_kind) {
  sharded<steps> all;
  atoll::keyed<stepper> actors;
  co_await all.start();
  co_await actors.start({.idle_after = 1ms, .active_max = 1});
  int key = 0;
  for (int yields = 0; yields < 80; ++yields) {
    for (const shard_id to : {0U, 1U}) {
      const auto there = all.at(to);
      co_await cancel_after(yields, [there] { return there.work(); });
      co_await cancel_after(yields, [there] { return there.within(1h).work_in_turn(); });
      co_await cancel_after(yields, [there] { return there.work_in_turn(); });
      co_await cancel_after(yields, [there] { return there.work_by_call(); });
      co_await cancel_after(yields, [there] { return read_all(there.numbers()); });
      co_await cancel_after(yields, [there] { return there.sum(some_numbers()); });
      ++key;
      co_await cancel_after(yields, [one = actors.at(key)] { return one.work(); });
      const auto slots = all.slots();
      const auto slot = slots.of(key);
      auto moved = slots.move(slot, 1 - slots.owner(slot));
      co_await cancel_after(yields, [by_key = all.ref(), key] { return by_key.work_by_key(key); });
      co_await std::move(moved);
    }
    if (::testing::Test::HasFailure()) break;
  }
  co_await all.stop();
  co_await actors.stop();
}

}  // namespace
