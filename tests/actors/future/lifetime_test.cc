// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What has to live until when, and what happens where moving a value throws: continuations, combinators, streams and
// shared results.
#include <atoll/actors/future/combinators.hh>

#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include <atoll/actors/future/shared_future.hh>
#include <atoll/actors/future/stream.hh>
#include <atoll/actors/sync/channel.hh>
#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/testing/atoll_test.hh>

#include "fragile.hh"

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::error;
using atoll::future;
using atoll::make_ready_future;
using atoll::or_fail;
using atoll::promise;
using atoll::status_code;
using atoll::stream;
using atoll::this_shard;
using demo::fragile;

const std::string text(100, 'x');

future<char> look_at(const std::string& s) {
  co_await atoll::sleep(1ms);
  co_return s.at(50);
}
future<char> look_at_result(const atoll::result<std::string>& r) {
  co_await atoll::sleep(1ms);
  co_return r->at(50);
}
future<char> look_at_error(const error& e) {
  co_await atoll::sleep(1ms);
  co_return e.message().at(50);
}
future<char> look_at_exception(const atoll::status_error& e) { return look_at_error(e.error()); }
struct session {
  std::string name = text;
  future<char> serve() {
    co_await atoll::sleep(1ms);
    co_return name.at(50);
  }
};

template <class T>
future<T> ready_or_later(bool ready, T value) {
  if (!ready) co_await atoll::sleep(1ms);
  co_return value;
}
future<char> failed_or_later(bool ready) {
  if (!ready) co_await atoll::sleep(1ms);
  co_return error(status_code::not_found, text);
}

ATOLL_TEST(lifetime, an_argument_lives_until_the_future_of_the_function_is_ready) {
  for (const bool ready : {true, false}) {
    EXPECT_EQ(co_await ready_or_later(ready, text).then(&look_at), 'x');
    EXPECT_EQ(co_await ready_or_later(ready, text).then([](const std::string& s) { return look_at(s); }), 'x');
    EXPECT_EQ(co_await ready_or_later(ready, session()).then(&session::serve), 'x');
    EXPECT_EQ(co_await ready_or_later(ready, text).then_wrapped(&look_at_result), 'x');
    EXPECT_EQ(co_await failed_or_later(ready).handle_error(&look_at_error), 'x');
    EXPECT_EQ(co_await failed_or_later(ready).handle_error(status_code::not_found, &look_at_error), 'x');
    EXPECT_EQ(co_await failed_or_later(ready).handle_error<atoll::status_error>(&look_at_exception), 'x');
  }
}

constexpr int moves_max = 12;

future<fragile> give_fragile(int moves) {
  promise<fragile> p;
  auto f = p.get_future();
  co_await atoll::sleep(1us);
  p.set_value(fragile(0));
  auto value = co_await std::move(f);
  value.left = moves;
  co_return value;
}

future<> count_running(int& running, atoll::duration d) {
  ++running;
  auto slept = co_await as_result(atoll::sleep(d));
  --running;
  co_await or_fail(std::move(slept));
}
future<fragile> run_long(int& running) {
  co_await or_fail(count_running(running, 1h));
  co_return fragile();
}

ATOLL_TEST(lifetime, a_winner_that_can_not_be_moved_ends_the_race_all_the_same) {
  for (int moves = 1; moves < moves_max; ++moves) {
    int running = 0;
    const auto quick = [moves] { return give_fragile(moves); };
    const auto slow = [&running] { return run_long(running); };
    co_await demo::settle(atoll::when_any(quick, slow));
    EXPECT_EQ(running, 0);
  }
}

ATOLL_TEST(lifetime, when_all_leaves_nothing_behind_when_an_outcome_can_not_be_moved) {
  for (int moves = 1; moves < moves_max; ++moves) {
    int running = 0;
    std::vector<future<fragile>> all;
    all.push_back(give_fragile(moves));
    all.push_back(count_running(running, 1ms).then([] { return fragile(); }));
    co_await demo::settle(atoll::when_all(std::move(all)));
    EXPECT_EQ(running, 0);
    auto a = give_fragile(moves);
    auto b = count_running(running, 1ms);
    co_await demo::settle(atoll::when_all(std::move(a), std::move(b)));
    EXPECT_EQ(running, 0);
  }
}

ATOLL_TEST(lifetime, an_interruptible_wait_for_what_can_not_be_moved_fails) {
  for (int moves = 1; moves < moves_max; ++moves) co_await demo::settle(atoll::interruptible(give_fragile(moves)));
}

ATOLL_TEST(lifetime, shared_results_that_can_not_be_moved_are_failures) {
  for (int moves = 1; moves < moves_max; ++moves) {
    atoll::shared_future<fragile> shared(give_fragile(moves));
    auto first = shared.get();
    co_await demo::settle(std::move(first));
    const auto work = [moves] { return give_fragile(moves); };
    atoll::shared_work<fragile> again("fragile", 0s, work);
    co_await demo::settle(again.get());
    co_await demo::settle(again.get());
  }
  static_cast<void>(co_await atoll::testing::take_failures_abandoned());
}

ATOLL_TEST(lifetime, a_push_that_can_not_be_moved_is_a_failure) {
  atoll::channel<fragile> c("fragile", 0);
  for (int moves = 1; moves < moves_max; ++moves) {
    const fragile value(moves);
    const auto push = [&c, &value] { return c.push(value); };
    auto pushed = atoll::detail::invoke_safely(push);
    try {
      static_cast<void>(c.try_pop());
    } catch (const std::runtime_error&) {
      EXPECT_LT(moves, moves_max);
    }
    c.close();
    co_await demo::settle(std::move(pushed));
  }
}

/// 0, 1, 2, ...: the step after `broken` throws.
struct range_that_breaks {
  struct sentinel {};
  struct iterator {
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    int at = 0;
    int broken = 0;
    int operator*() const { return at; }
    iterator& operator++() {
      if (at == broken) throw std::runtime_error("broken");
      ++at;
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(sentinel /*end*/) const { return false; }
  };
  int broken = 1;
  iterator begin() const { return {0, broken}; }
  sentinel end() const { return {}; }
};

ATOLL_TEST(lifetime, a_range_that_breaks_leaves_no_work_behind) {
  range_that_breaks range;
  for (const std::size_t at_once : {1U, 2U, 5U}) {
    int running = 0;
    const auto work = [&running](int) { return count_running(running, 1ms); };
    const auto outcome = co_await as_result(atoll::max_concurrent_for_each(range, at_once, work));
    ATOLL_REQUIRE(!outcome);
    EXPECT_EQ(outcome.error().message(), "broken");
    EXPECT_EQ(running, 0);
  }
}

/// Says in which context it goes.
struct note_context {
  explicit note_context(atoll::time_point& to) noexcept : deadline(&to) {}
  note_context(note_context&& other) noexcept : deadline(std::exchange(other.deadline, nullptr)) {}
  note_context& operator=(note_context&&) = delete;
  ~note_context() {
    if (deadline != nullptr) *deadline = atoll::current_deadline();
  }
  atoll::time_point* deadline;
};
enum class ending { by_itself, by_failure, by_failure_of_another, by_exception };

future<> fail_later() {
  co_await atoll::sleep(1us);
  co_await atoll::fail(status_code::aborted, "later");
}
future<> throw_later() {
  co_await atoll::sleep(1us);
  throw std::runtime_error("later");
}
stream<int> produce(note_context parameter, atoll::time_point& local, ending how) {
  const note_context here(local);
  co_yield 1;
  co_await atoll::sleep(1us);
  if (how == ending::by_failure) co_await atoll::fail(status_code::aborted, "here");
  if (how == ending::by_failure_of_another) co_await or_fail(fail_later());
  if (how == ending::by_exception) co_await or_fail(throw_later());
  static_cast<void>(parameter);
}

future<> end_a_stream(ending how, bool read_on) {
  const auto deadline = atoll::current_deadline();
  atoll::time_point parameter{};
  atoll::time_point local{};
  {
    auto s = produce(note_context(parameter), local, how);
    static_cast<void>(co_await s.next());
    if (read_on) {
      static_cast<void>(co_await as_result(s.next()));
    } else {
      co_await atoll::sleep(1ms);
    }
  }
  co_await atoll::sleep(1ms);
  EXPECT_EQ(parameter, deadline);
  EXPECT_EQ(local, deadline);
}

ATOLL_TEST(lifetime, what_a_stream_has_goes_in_its_own_context) {
  for (const auto how : {ending::by_itself, ending::by_failure, ending::by_failure_of_another, ending::by_exception}) {
    for (const bool read_on : {true, false}) {
      const auto end = [how, read_on] { return end_a_stream(how, read_on); };
      co_await atoll::with_timeout(1h, end);
    }
  }
  static_cast<void>(co_await atoll::testing::take_failures_abandoned());
}

stream<int> wait_for(future<> f, atoll::time_point& local) {
  const note_context here(local);
  co_yield 1;
  co_await or_fail(std::move(f));
}

ATOLL_TEST(lifetime, a_stream_outlives_the_context_of_what_it_waits_for) {
  std::optional<future<>> f;
  co_await atoll::with_timeout(1h, [&f] { f.emplace(throw_later()); });
  atoll::time_point local{};
  auto s = wait_for(*std::move(f), local);
  static_cast<void>(co_await s.next());
  EXPECT_FALSE(co_await as_result(s.next()));
  EXPECT_EQ(local, atoll::never);
}

stream<int> two_later() {
  co_await atoll::sleep(1ms);
  co_yield 1;
  co_yield 2;
}

ATOLL_TEST(lifetime, a_stream_may_be_moved_while_a_batch_is_awaited) {
  auto s = two_later();
  auto batch = s.next_batch();
  const auto elsewhere = std::move(s);
  EXPECT_FALSE((co_await std::move(batch)).empty());
}

stream<int> count_on(int& at) {
  for (int i = 0; i < 100'000; ++i) {
    at = i;
    try {
      co_yield i;
    } catch (const std::exception&) {
      at = i;
    }
  }
}

ATOLL_TEST(lifetime, a_stream_that_was_cancelled_takes_no_more_values) {
  int at = -1;
  auto never_begun = count_on(at);
  never_begun.cancel(error(status_code::aborted, "enough"));
  const auto nothing = co_await as_result(never_begun.next());
  ATOLL_REQUIRE(!nothing);
  EXPECT_EQ(nothing.error().code(), status_code::aborted);
  EXPECT_EQ(at, -1);
  EXPECT_EQ(co_await never_begun.next(), std::nullopt);

  auto s = count_on(at);
  static_cast<void>(co_await s.next());
  s.cancel(error(status_code::aborted, "enough"));
  std::size_t read = 0;
  while (co_await s.next()) ++read;
  EXPECT_LE(read, stream<int>::buffered_max);
  EXPECT_EQ(at, 99'999);
}

/// Waits for its own end in the destructor of a local.
struct server {
  std::optional<future<>> serving;
  atoll::scope background{"background"};
  bool stopped = false;
};
future<> stop(server& s) {
  auto serving = *std::move(s.serving);
  static_cast<void>(co_await as_result(std::move(serving)));
  s.stopped = true;
}
struct stop_at_exit {
  explicit stop_at_exit(server& to_stop) noexcept : s(to_stop) {}
  stop_at_exit(const stop_at_exit&) = delete;
  stop_at_exit& operator=(const stop_at_exit&) = delete;
  ~stop_at_exit() {
    s.background.spawn([&to_stop = s] { return stop(to_stop); });
  }
  server& s;
};
future<> serve(server& s, bool throws) {
  const stop_at_exit guard(s);
  co_await atoll::sleep(1us);
  if (throws) throw std::runtime_error("thrown");
  co_await atoll::fail(status_code::aborted, "failed");
}

ATOLL_TEST(lifetime, a_coroutine_that_fails_may_be_awaited_from_its_own_locals) {
  for (const bool throws : {true, false}) {
    server s;
    s.serving.emplace(serve(s, throws));
    for (int i = 0; i < 5000 && !s.stopped; ++i) co_await atoll::sleep(1ms);
    co_await s.background.close();
    EXPECT_TRUE(s.stopped);
  }
}

future<> outlive_a_context() {
  std::optional<future<>> kept;
  const auto wait = [&kept] { kept.emplace(atoll::sleep(1h)); };
  co_await atoll::with_timeout(1h, wait);
  co_await or_fail(*std::move(kept));
}

ATOLL_TEST(lifetime, a_wait_that_outlives_its_context_belongs_to_the_one_above) {
  atoll::cancel_source source;
  auto cancelled = source.run([] { return outlive_a_context(); });
  co_await atoll::yield();
  source.cancel();
  EXPECT_FALSE(co_await as_result(std::move(cancelled)));
  const auto late = co_await as_result(atoll::with_timeout(2ms, &outlive_a_context));
  ATOLL_REQUIRE(!late);
  EXPECT_EQ(late.error().code(), status_code::deadline_exceeded);
}

ATOLL_TEST(lifetime, a_condition_variable_may_go_when_it_has_notified) {
  auto changed = std::make_unique<atoll::condition_variable>("changed");
  auto waiting = changed->wait([] { return false; });
  changed->notify_all();
  changed.reset();
  const auto outcome = co_await as_result(std::move(waiting));
  ATOLL_REQUIRE(!outcome);
  EXPECT_EQ(outcome.error().code(), status_code::cancelled);
}

struct owner;
struct message {
  std::shared_ptr<owner> from;
};
struct owner {
  atoll::channel<message> mail{"mail", 0};
};

ATOLL_TEST(lifetime, a_cancelled_push_may_have_held_the_channel) {
  auto last = std::make_shared<owner>();
  atoll::cancel_source source;
  const auto push = [&last] {
    static_cast<void>(last->mail.push(message{last}));
    return make_ready_future();
  };
  co_await source.run(push);
  last.reset();
  source.cancel();
  static_cast<void>(co_await atoll::testing::take_failures_abandoned());
}

/// Whether the shard says that a coroutine runs, while this task does.
struct look final : atoll::task {
  look() noexcept : atoll::task(&run_it) {}
  static void run_it(atoll::task* t) noexcept { static_cast<look*>(t)->seen = this_shard().running != nullptr; }
  bool seen = false;
};
future<> pass_on(future<> f) { co_await or_fail(std::move(f)); }
future<> take_and_wait(future<> f) {
  static_cast<void>(co_await as_result(pass_on(std::move(f))));
  co_await atoll::sleep(1ms);
}

ATOLL_TEST(lifetime, nothing_runs_after_a_failure_was_handed_over) {
  promise<> p;
  look at_it;
  auto f = take_and_wait(p.get_future());
  p.set_error(error(status_code::aborted));
  atoll::schedule(at_it);
  co_await std::move(f);
  EXPECT_FALSE(at_it.seen);
}

}  // namespace
