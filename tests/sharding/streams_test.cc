// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atomic>
#include <memory>
#include <string>

#include <atoll/actors/future/combinators.hh>
#include <atoll/actors/sync/channel.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/outbox.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::error;
using atoll::future;
using atoll::sharded;
using atoll::status_code;
using atoll::stream;

/// What producers did, on whatever shard: read when they are known to have ended, or to wait.
struct seen {
  static inline std::atomic<int> yielded = 0;
  static inline std::atomic<int> running = 0;
  static inline std::atomic<int> instances = 0;
  static void clear() { yielded = running = 0; }
  struct running_mark {
    explicit running_mark(int* of_instance = nullptr) : mine(of_instance) {
      ++running;
      if (mine != nullptr) ++*mine;
    }
    ~running_mark() {
      --running;
      if (mine != nullptr) --*mine;
    }
    running_mark(const running_mark&) = delete;
    running_mark& operator=(const running_mark&) = delete;
    int* mine;
  };
};

class source {
 public:
  source() { ++seen::instances; }
  source(const source&) = delete;
  source& operator=(const source&) = delete;
  ~source() {
    EXPECT_EQ(running_, 0) << "an instance went before its producers";
    --seen::instances;
  }

  stream<int> count(int to) {
    const seen::running_mark mark(&running_);
    for (int i = 0; i < to; ++i) {
      ++seen::yielded;
      co_yield i;
    }
  }
  stream<std::unique_ptr<std::string>> words(int how_many) {
    for (int i = 0; i < how_many; ++i) co_yield std::make_unique<std::string>("word " + std::to_string(i));
  }
  stream<int> fails_after(int values) {
    for (int i = 0; i < values; ++i) co_yield i;
    co_await atoll::fail(error(status_code::data_loss, "worn out"));
  }
  stream<int> throws_before_it_streams() { error(status_code::invalid_argument, "no").raise(); }
  /// Gives one value, then waits until it is told to end, or cancelled; and then takes its time.
  stream<int> waits() {
    const seen::running_mark mark(&running_);
    co_yield 1;
    const auto slept = co_await as_result(atoll::sleep(1h));
    const auto clean_up = [] { return atoll::sleep(5ms); };
    co_await atoll::shielded(clean_up);
    if (!slept) co_await atoll::fail(slept.error());
  }
  /// Ends by itself where the service stops.
  stream<int> until_stop() {
    const seen::running_mark mark(&running_);
    while (auto value = co_await told_.pop()) co_yield *value;
  }
  future<> tell(int value) { return told_.push(value); }
  stream<std::int64_t> deadline() { co_yield atoll::current_deadline().time_since_epoch().count(); }

  future<std::int64_t> sum(stream<int> values) {
    std::int64_t sum = 0;
    while (auto value = co_await values.next()) sum += *value;
    co_return sum;
  }
  future<int> sum_of_first(int how_many, stream<int> values) {
    int sum = 0;
    for (int i = 0; i < how_many; ++i) sum += (co_await values.next()).value_or(0);
    co_return sum;
  }
  future<int> drops(stream<int> values) {
    {
      const auto gone = std::move(values);
    }
    co_await atoll::sleep(1ms);
    co_return 7;
  }
  /// Reads one, says that it reads no more, and serves on until the producer has ended.
  future<> ends_early(int how, stream<int> values) {
    co_await values.next();
    while (seen::yielded < 2) co_await atoll::or_fail(atoll::sleep(1ms));
    if (how == 0) {
      values.cancel(error(status_code::aborted, "enough"));
      // What has come can be read still; behind it is the reader's own reason.
      while (true) {
        const auto next = co_await as_result(values.next());
        EXPECT_TRUE(!next || *next);
        if (next && *next) continue;
        EXPECT_TRUE(next || next.error().code() == status_code::aborted) << next.error().to_string();
        break;
      }
    }
    if (how == 1) co_await values.close();
    if (how == 2) const auto gone = std::move(values);
    while (seen::running > 0) co_await atoll::or_fail(atoll::sleep(1ms));
  }
  future<> reads_later(stream<int> values) {
    later_.spawn(&source::read, std::move(values));
    return atoll::make_ready_future();
  }
  stream<int> doubled(stream<int> values) {
    while (auto value = co_await values.next()) co_yield 2 * *value;
  }
  /// Answers the first two alone.
  stream<int> echo_two(stream<int> values) {
    for (int i = 0; i < 2; ++i) co_yield (co_await values.next()).value_or(-1);
  }
  future<int> answer() { return atoll::make_ready_future<int>(42); }

  static future<> read(stream<int> values) {
    int got = 0;
    while (true) {
      auto next = co_await as_result(values.next());
      if (!next) {
        EXPECT_EQ(next.error().code(), status_code::cancelled);
        break;
      }
      if (!*next) break;
      ++got;
    }
    EXPECT_LE(got, 300);
  }

  future<> stop() {
    told_.close();
    return later_.close();
  }

 private:
  int running_ = 0;
  atoll::channel<int> told_{"told", 4};
  atoll::scope later_{"later"};
};
ATOLL_SERVICE(source, "test.Source", ATOLL_METHOD(count, to), ATOLL_METHOD(words, how_many),
              ATOLL_METHOD(fails_after, values), ATOLL_METHOD(throws_before_it_streams), ATOLL_METHOD(waits),
              ATOLL_METHOD(until_stop), ATOLL_METHOD(tell, value), ATOLL_METHOD(deadline), ATOLL_METHOD(sum, values),
              ATOLL_METHOD(sum_of_first, how_many, values), ATOLL_METHOD(drops, values),
              ATOLL_METHOD(ends_early, how, values), ATOLL_METHOD(reads_later, values), ATOLL_METHOD(doubled, values),
              ATOLL_METHOD(echo_two, values), ATOLL_METHOD(answer));

stream<int> numbers(int from, int to) {
  const seen::running_mark mark;
  for (int i = from; i < to; ++i) {
    ++seen::yielded;
    co_yield i;
  }
}

template <class T>
future<std::vector<T>> all_of(stream<T> values) {
  std::vector<T> all;
  while (auto value = co_await values.next()) all.push_back(std::move(*value));
  co_return all;
}

/// Both shards, seen from shard 0.
constexpr std::array<atoll::shard_id, 2> near_and_far{0, 1};

ATOLL_TEST(streams, bring_values_in_order_and_then_the_end) {
  seen::clear();
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    for (const int length : {0, 1, 63, 64, 65, 1000, 20'000}) {
      auto values = sources.at(at).count(length);
      int got = 0;
      while (auto value = co_await values.next()) {
        if (*value != got) ADD_FAILURE() << *value << " in place of " << got;
        ++got;
      }
      EXPECT_EQ(got, length);
      EXPECT_EQ(co_await values.next(), std::nullopt);
    }
  }
  co_await sources.stop();
}

ATOLL_TEST(streams, carry_what_can_only_be_moved) {
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    const auto words = co_await all_of(sources.at(at).words(500));
    ATOLL_REQUIRE(words.size() == 500);
    EXPECT_EQ(*words[499], "word 499");
  }
  co_await sources.stop();
}

ATOLL_TEST(streams, give_batches) {
  sharded<source> sources;
  co_await sources.start();
  auto values = sources.at(1).count(10'000);
  int got = 0;
  while (true) {
    const auto batch = co_await values.next_batch();
    if (batch.empty()) break;
    EXPECT_LE(batch.size(), stream<int>::buffered_max);
    for (const int value : batch) EXPECT_EQ(value, got++);
  }
  EXPECT_EQ(got, 10'000);
  co_await sources.stop();
}

ATOLL_TEST(streams, bring_a_failure_after_the_values_before_it) {
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    auto values = sources.at(at).fails_after(100);
    for (int i = 0; i < 100; ++i) EXPECT_EQ(co_await values.next(), i);
    const auto failed = co_await as_result(values.next());
    EXPECT_EQ(failed.error().code(), status_code::data_loss);
    EXPECT_EQ(failed.error().message(), "worn out");
    EXPECT_EQ(co_await values.next(), std::nullopt);

    auto none = sources.at(at).throws_before_it_streams();
    EXPECT_EQ((co_await as_result(none.next())).error().code(), status_code::invalid_argument);
  }
  co_await sources.stop();
}

ATOLL_TEST(streams, of_services_that_do_not_run_or_shards_that_do_not_exist_fail) {
  sharded<source> sources;
  const auto ref = sources.ref();
  for (const auto at : near_and_far) {
    auto values = ref.at(at).count(1);
    EXPECT_EQ((co_await as_result(values.next())).error().code(), status_code::unavailable);
    EXPECT_EQ((co_await as_result(ref.at(at).sum(numbers(0, 10)))).error().code(), status_code::unavailable);
  }
  auto nowhere = ref.at(9).count(1);
  EXPECT_EQ((co_await as_result(nowhere.next())).error().code(), status_code::out_of_range);
  EXPECT_EQ((co_await as_result(ref.at(9).sum(numbers(0, 10)))).error().code(), status_code::out_of_range);
}

ATOLL_TEST(streams, stop_their_producer_where_the_consumer_is_slow) {
  seen::clear();
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    seen::yielded = 0;
    auto values = sources.at(at).count(1'000'000);
    EXPECT_EQ(co_await values.next(), 0);
    int before = -1;
    for (int quiet = 0; quiet < 50;) {  // until it has filled what it may
      co_await atoll::sleep(1ms);
      quiet = before == seen::yielded ? quiet + 1 : 0;
      before = seen::yielded;
    }
    EXPECT_GT(seen::yielded, 64);
    EXPECT_LE(seen::yielded, 7 * 64);
    EXPECT_EQ(co_await values.next(), 1);
    co_await values.close();
  }
  co_await sources.stop();
}

ATOLL_TEST(streams, that_are_dropped_end_their_producer) {
  seen::clear();
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    {
      auto values = sources.at(at).waits();
      EXPECT_EQ(co_await values.next(), 1);
      EXPECT_EQ(seen::running, 1);
      const auto never_read = sources.at(at).count(1000);
    }
    while (seen::running > 0) co_await atoll::sleep(1ms);
  }
  co_await sources.stop();
}

ATOLL_TEST(streams, that_are_dropped_fail_the_next_that_waits) {
  seen::clear();
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    auto first = sources.at(at).waits().next();
    EXPECT_EQ((co_await as_result(std::move(first))).error().code(), status_code::cancelled);
    std::optional<future<std::optional<int>>> second;
    {
      auto values = sources.at(at).waits();
      EXPECT_EQ(co_await values.next(), 1);
      second.emplace(values.next());
      co_await atoll::sleep(1ms);
    }
    EXPECT_EQ((co_await as_result(*std::move(second))).error().code(), status_code::cancelled);
    std::optional<future<>> closed;
    {
      auto values = sources.at(at).waits();
      EXPECT_EQ(co_await values.next(), 1);
      closed.emplace(values.close());
    }
    co_await *std::move(closed);
  }
  while (seen::running > 0) co_await atoll::sleep(1ms);
  co_await sources.stop();
}

ATOLL_TEST(streams, can_be_closed_and_cancelled) {
  seen::clear();
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    auto values = sources.at(at).waits();
    EXPECT_EQ(co_await values.next(), 1);
    co_await values.close();
    EXPECT_EQ(co_await values.next(), std::nullopt);
    auto others = sources.at(at).waits();
    EXPECT_EQ(co_await others.next(), 1);
    others.cancel(error(status_code::aborted, "changed my mind"));
    EXPECT_EQ((co_await as_result(others.next())).error().code(), status_code::aborted);
    auto many = sources.at(at).count(100'000);
    EXPECT_EQ(co_await many.next(), 0);
    co_await many.close();
  }
  while (seen::running > 0) co_await atoll::sleep(1ms);
  co_await sources.stop();
}

ATOLL_TEST(streams, end_with_their_deadline_and_tell_it_the_callee) {
  seen::clear();
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    auto values = sources.at(at).within(20ms).waits();
    EXPECT_EQ(co_await values.next(), 1);
    EXPECT_EQ((co_await as_result(values.next())).error().code(), status_code::deadline_exceeded);
    auto times = sources.at(at).within(1h).deadline();
    const auto told = co_await times.next();
    EXPECT_LE(told.value_or(0), (atoll::mono_now() + 1h + 1s).time_since_epoch().count());
    EXPECT_GT(told.value_or(0), (atoll::mono_now() + 59min).time_since_epoch().count());
  }
  co_await sources.stop();
}

ATOLL_TEST(streams, that_are_open_end_with_their_service) {
  seen::clear();
  sharded<source> sources;
  co_await sources.start();
  auto waiting = sources.at(1).waits();
  auto waiting_here = sources.at(0).waits();
  auto told = sources.at(1).until_stop();
  EXPECT_EQ(co_await waiting.next(), 1);
  EXPECT_EQ(co_await waiting_here.next(), 1);
  co_await sources.at(1).tell(5);
  EXPECT_EQ(co_await told.next(), 5);
  co_await sources.stop();  // ~source checks that its producers have ended
  EXPECT_EQ(seen::instances, 0);
  EXPECT_EQ((co_await as_result(waiting.next())).error().code(), status_code::unavailable);
  EXPECT_EQ((co_await as_result(waiting_here.next())).error().code(), status_code::unavailable);
  EXPECT_EQ(co_await told.next(), std::nullopt);  // it ended itself, in stop()
}

ATOLL_TEST(streams, are_arguments_too) {
  seen::clear();
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    for (const int length : {0, 1, 64, 129, 10'000}) {
      const std::int64_t expected = std::int64_t{length} * (length - 1) / 2;
      EXPECT_EQ(co_await sources.at(at).sum(numbers(0, length)), expected);
      EXPECT_EQ(seen::running, 0);
    }
  }
  co_await sources.stop();
}

stream<int> fails_at_once() {
  co_await atoll::fail(error(status_code::data_loss, "no paper"));
  co_yield 1;
}

ATOLL_TEST(streams, as_arguments_bring_their_failure_to_the_callee) {
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    const auto failed = co_await as_result(sources.at(at).sum(fails_at_once()));
    EXPECT_EQ(failed.error().code(), status_code::data_loss);
    EXPECT_EQ(failed.error().message(), "no paper");
  }
  co_await sources.stop();
}

ATOLL_TEST(streams, as_arguments_end_with_the_call) {
  seen::clear();
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    EXPECT_EQ(co_await sources.at(at).sum_of_first(3, numbers(5, 1'000'000)), 5 + 6 + 7);
    EXPECT_EQ(seen::running, 0);
    EXPECT_EQ(co_await sources.at(at).drops(numbers(0, 1'000'000)), 7);
    EXPECT_EQ(seen::running, 0);
    co_await sources.at(at).reads_later(numbers(0, 1'000'000));
    EXPECT_EQ(seen::running, 0);
    const auto late = co_await as_result(sources.at(at).within(10ms).sum(numbers(0, 1'000'000'000)));
    EXPECT_EQ(late.error().code(), status_code::deadline_exceeded);
    EXPECT_EQ(seen::running, 0);
  }
  co_await sources.stop();
}

stream<int> numbers_and_a_pause() {
  const seen::running_mark mark;
  for (int i = 0; i < 2; ++i) {
    ++seen::yielded;
    co_yield i;
  }
  co_await atoll::or_fail(atoll::sleep(1h));
}

ATOLL_TEST(streams, as_arguments_that_are_read_no_more_end_their_producer_though_the_call_goes_on) {
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    for (const int how : {0, 1, 2}) {
      for (const bool pauses : {false, true}) {
        seen::clear();
        auto values = pauses ? numbers_and_a_pause() : numbers(0, 1'000'000'000);
        co_await sources.at(at).within(20s).ends_early(how, std::move(values));
        EXPECT_EQ(seen::running, 0);
      }
    }
  }
  co_await sources.stop();
}

/// f() where the stack is so nearly used up that coroutines begin as tasks of their own.
template <class F>
[[gnu::noinline]] auto deep_down(F f) -> decltype(f()) {
  std::array<volatile char, 2048> some{};
  if (atoll::detail::stack_address() <= atoll::this_shard().stack_floor) return f();
  auto made = deep_down(f);
  some[1] = some[0];
  return made;
}

ATOLL_TEST(streams, as_arguments_outlive_calls_that_end_before_their_producer_begins) {
  sharded<source> sources;
  sharded<source> stopped;
  co_await sources.start();
  for (int i = 0; i < 20; ++i) {
    for (const auto at : near_and_far) {
      const auto late = [&] { return sources.at(at).within(0ns).sum(numbers(0, 10)); };
      const auto nowhere = [&] { return stopped.at(at).sum(numbers(0, 10)); };
      const auto unread = [&] { return sources.at(at).sum_of_first(0, numbers(0, 100'000)); };
      EXPECT_EQ((co_await as_result(deep_down(late))).error().code(), status_code::deadline_exceeded);
      EXPECT_EQ((co_await as_result(deep_down(nowhere))).error().code(), status_code::unavailable);
      EXPECT_EQ(co_await deep_down(unread), 0);
    }
  }
  co_await sources.stop();
}

ATOLL_TEST(streams, go_both_ways) {
  seen::clear();
  sharded<source> sources;
  co_await sources.start();
  for (const auto at : near_and_far) {
    auto doubled = sources.at(at).doubled(numbers(0, 5000));
    for (int i = 0; i < 5000; ++i) {
      const auto value = co_await doubled.next();
      if (value != 2 * i) ADD_FAILURE() << value.value_or(-1) << " in place of " << 2 * i;
    }
    EXPECT_EQ(co_await doubled.next(), std::nullopt);
    const auto two = co_await all_of(sources.at(at).echo_two(numbers(7, 1'000'000)));
    EXPECT_EQ(two, (std::vector<int>{7, 8}));
    auto dropped = sources.at(at).doubled(numbers(0, 1'000'000));
    EXPECT_EQ(co_await dropped.next(), 0);
  }
  while (seen::running > 0) co_await atoll::sleep(1ms);
  co_await sources.stop();
}

ATOLL_TEST(streams, that_are_open_leave_the_lane_to_others) {
  seen::clear();
  constexpr int many = static_cast<int>(atoll::outbox::calls_in_flight_max) + 500;
  sharded<source> sources;
  co_await sources.start();
  {
    std::vector<stream<int>> open;
    for (int i = 0; i < many; ++i) open.push_back(sources.at(1).waits());
    for (auto& each : open) EXPECT_EQ(co_await each.next(), 1);
    EXPECT_EQ(seen::running, many);
    EXPECT_EQ(co_await sources.at(1).within(30s).answer(), 42);
  }
  co_await sources.stop();
}

class few {
 public:
  static constexpr atoll::service_options options{.concurrency = 1, .streams = 3};
  stream<int> waits() {
    co_yield 1;
    co_await atoll::sleep(1h);
  }
  stream<int> by_turns() {
    co_yield 1;
    co_await atoll::sleep(1h);
  }
  future<int> answer() { return atoll::make_ready_future<int>(42); }
};
ATOLL_SERVICE(few, "test.Few", ATOLL_METHOD(waits), ATOLL_METHOD_WITH((.concurrency = 1), by_turns),
              ATOLL_METHOD(answer));

ATOLL_TEST(streams, are_bounded_for_each_instance) {
  sharded<few> services;
  co_await services.start();
  for (const auto at : near_and_far) {
    std::vector<stream<int>> open;
    for (int i = 0; i < 3; ++i) {
      open.push_back(services.at(at).waits());
      EXPECT_EQ(co_await open.back().next(), 1);
    }
    auto past = services.at(at).waits();
    EXPECT_EQ((co_await as_result(past.next())).error().code(), status_code::resource_exhausted);
    co_await open[0].close();
    while (true) {  // until the callee has heard of it
      auto now = services.at(at).waits();
      if (co_await as_result(now.next())) break;
      co_await atoll::sleep(1ms);
    }
  }
  co_await services.stop();
}

ATOLL_TEST(streams, leave_the_turns_of_the_service_to_others_and_hold_those_of_their_method) {
  sharded<few> services;
  co_await services.start();
  for (const auto at : near_and_far) {
    auto open = services.at(at).waits();
    EXPECT_EQ(co_await open.next(), 1);
    EXPECT_EQ(co_await services.at(at).answer(), 42);
    auto first = services.at(at).by_turns();
    EXPECT_EQ(co_await first.next(), 1);
    auto second = services.at(at).within(20ms).by_turns();
    EXPECT_EQ((co_await as_result(second.next())).error().code(), status_code::deadline_exceeded);
    co_await first.close();
    auto third = services.at(at).by_turns();
    EXPECT_EQ(co_await third.next(), 1);
  }
  co_await services.stop();
}

class room : public atoll::actor<room, std::string> {
 public:
  stream<std::string> listen() {
    const seen::running_mark mark;
    atoll::channel<std::string> heard("heard", 100);
    listeners_.push_back(&heard);
    while (true) {
      auto line = co_await as_result(heard.pop());
      if (!line || !*line) break;
      co_yield **line;
    }
    std::erase(listeners_, &heard);
  }
  future<int> say(std::string line) {
    for (auto* each : listeners_) co_await each->push(key() + ": " + line);
    co_return static_cast<int>(listeners_.size());
  }

 private:
  std::vector<atoll::channel<std::string>*> listeners_;
};
ATOLL_SERVICE(room, "test.Room", ATOLL_METHOD(listen), ATOLL_METHOD(say, line));

ATOLL_TEST(streams, of_actors_go_on_while_messages_are_served_and_keep_them_active) {
  seen::clear();
  atoll::keyed<room> rooms;
  co_await rooms.start({.idle_after = 1ms});
  for (const std::string name : {"lagoon", "reef", "beach", "north"}) {
    auto first = rooms.at(name).listen();
    auto second = rooms.at(name).listen();
    while (co_await rooms.at(name).say("knock") < 2) co_await atoll::sleep(1ms);
    co_await atoll::sleep(20ms);  // well past idle_after
    EXPECT_EQ(co_await rooms.at(name).say("hello"), 2);
    std::string line;
    while (line != name + ": hello") line = (co_await second.next()).value_or("");
    line.clear();
    while (line != name + ": hello") line = (co_await first.next()).value_or("");
  }
  auto last = rooms.at("lagoon").listen();
  while (co_await rooms.at("lagoon").say("last") < 1) co_await atoll::sleep(1ms);
  co_await rooms.stop();
  EXPECT_EQ(seen::running, 0);
  while (true) {
    auto line = co_await as_result(last.next());
    if (!line) {
      EXPECT_EQ(line.error().code(), status_code::unavailable);
      break;
    }
    ATOLL_REQUIRE(*line);
  }
}

/// One caller's share of a mixed load.
future<> use_streams(atoll::sharded_ref<source> sources, std::uint64_t seed, int rounds) {
  atoll::rng random(seed);
  for (int round = 0; round < rounds; ++round) {
    const auto at = sources.at(static_cast<atoll::shard_id>(random.below(2)));
    const int length = static_cast<int>(random.below(400));
    switch (random.below(6)) {
      case 0: {
        auto values = at.count(length);
        for (int i = 0; i < length; ++i) EXPECT_EQ(co_await values.next(), i);
        EXPECT_EQ(co_await values.next(), std::nullopt);
        break;
      }
      case 1: {
        auto values = at.count(length);
        for (std::uint64_t i = random.below(100); i > 0; --i) static_cast<void>(co_await values.next());
        break;  // dropped at any point
      }
      case 2:
        EXPECT_EQ(co_await at.sum(numbers(0, length)), std::int64_t{length} * (length - 1) / 2);
        break;
      case 3: {
        auto values = at.doubled(numbers(0, length));
        for (std::uint64_t i = random.below(100); i > 0; --i) static_cast<void>(co_await values.next());
        if (random.below(2) == 0) co_await values.close();
        break;
      }
      case 4: {
        auto values = at.within(std::chrono::microseconds(random.below(300))).count(1'000'000);
        while (true) {
          const auto value = co_await as_result(values.next());
          if (value) continue;
          EXPECT_EQ(value.error().code(), status_code::deadline_exceeded);
          break;
        }
        break;
      }
      default:
        EXPECT_LE(co_await at.sum_of_first(static_cast<int>(random.below(5)), numbers(0, length)), 10);
    }
  }
}

ATOLL_TEST(streams, of_many_callers_at_once_keep_apart) {
  seen::clear();
  sharded<source> sources;
  co_await sources.start();
  std::vector<future<>> callers;
  for (std::uint64_t i = 0; i < 20; ++i) callers.push_back(use_streams(sources.ref(), 1000 + i, 60));
  for (auto& each : callers) co_await std::move(each);
  while (seen::running > 0) co_await atoll::sleep(1ms);
  co_await sources.stop();
}

}  // namespace
