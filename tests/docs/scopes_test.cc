// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The code of docs/scopes.md, and that it does what is said there.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <atoll/actors/future/cancel.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/sync/channel.hh>
#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/actors/sync/gate.hh>
#include <atoll/actors/sync/mutex.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;

class watcher {
 public:
  void start() {
    background_.spawn([this] { return watch(); });
  }
  atoll::future<> stop() { return background_.stop(); }  // cancels, and waits until all has ended
  int rounds() const { return rounds_; }

 private:
  atoll::future<> watch() {
    while (true) {
      co_await atoll::or_fail(atoll::sleep(1ms));  // fails with `cancelled` when the scope stops
      ++rounds_;
    }
  }
  int rounds_ = 0;
  atoll::scope background_{"watcher"};
};

ATOLL_TEST(docs_scopes, end_their_work_and_wait_for_it) {
  watcher w;
  w.start();
  while (w.rounds() < 3) co_await atoll::sleep(1ms);
  co_await w.stop();
  const int rounds = w.rounds();
  co_await atoll::sleep(5ms);
  EXPECT_EQ(w.rounds(), rounds);
}

atoll::future<> add_later(int& to, int n) {
  co_await atoll::sleep(1ms);
  to += n;
}

atoll::future<int> fan_out(std::vector<int> numbers) {
  int sum = 0;
  co_await atoll::with_scope("fan-out", [&](atoll::scope& s) {
    for (const int n : numbers) s.spawn(&add_later, std::ref(sum), n);  // arguments are kept until the work has ended
  });
  co_return sum;  // all of it has ended
}

ATOLL_TEST(docs_scopes, of_one_call_wait_for_all) {
  const std::vector<int> numbers{1, 2, 3};
  EXPECT_EQ(co_await fan_out(numbers), 6);
}

atoll::future<> refuse() { co_await atoll::fail(atoll::status_code::unavailable, "no route"); }

atoll::future<int> count_failures() {
  int failures = 0;
  atoll::scope pings("pings", [&failures](const atoll::error& e) {
    if (e.code() == atoll::status_code::unavailable) ++failures;
  });
  pings.spawn(&refuse);
  pings.spawn(&refuse);
  co_await pings.close();
  co_return failures;
}

ATOLL_TEST(docs_scopes, take_failures) {
  EXPECT_EQ(co_await count_failures(), 2);
  // Without a handler they are logged; with_scope does not give them to its caller.
  const auto r = co_await atoll::as_result(atoll::with_scope("fan-out", [](atoll::scope& s) { s.spawn(&refuse); }));
  EXPECT_TRUE(r);
}

ATOLL_TEST(docs_scopes, destroyed_while_work_runs_cancel_it_and_are_counted) {
  bool ended = false;
  {
    atoll::scope leaked("leaked");
    leaked.spawn([&ended] { return atoll::sleep(1h).then_wrapped([&ended](atoll::result<>) { ended = true; }); });
  }
  while (!ended) co_await atoll::yield();
  EXPECT_EQ(atoll::this_shard().scopes_leaked, 1U);
  EXPECT_EQ(co_await atoll::testing::take_scopes_leaked(), 1U);
}

atoll::future<std::string> fetch() {
  co_await atoll::or_fail(atoll::sleep(1h));
  co_return "late";
}

atoll::future<std::string> fetch_or_default() {
  const auto fetched = co_await atoll::as_result(atoll::with_timeout(5ms, [] { return fetch(); }));
  if (fetched) co_return *fetched;
  if (fetched.error().code() != atoll::status_code::deadline_exceeded) co_return fetched.error();
  co_return "default";
}

ATOLL_TEST(docs_scopes, a_deadline_ends_the_wait) {
  EXPECT_EQ(co_await fetch_or_default(), "default");
  const auto inner = [] {
    const auto outer_deadline = atoll::current_deadline();
    return atoll::with_timeout(1h, [outer_deadline] { return atoll::current_deadline() == outer_deadline; });
  };
  EXPECT_TRUE(co_await atoll::with_timeout(1min, inner)) << "an inner deadline can only be earlier";
  EXPECT_EQ(atoll::current_deadline(), atoll::never);
}

ATOLL_TEST(docs_scopes, a_deadline_reaches_the_waits_of_another_shard) {
  const auto far = [] { return atoll::submit_to(1, [] { return fetch(); }); };
  const auto r = co_await atoll::as_result(atoll::with_timeout(5ms, far));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::deadline_exceeded);
}

atoll::future<int> cancel_it() {
  atoll::cancel_source source;
  auto waiting = source.run([] { return fetch(); });
  source.cancel(atoll::error(atoll::status_code::aborted, "not needed any more"));
  const auto r = co_await atoll::as_result(std::move(waiting));  // wait for its end all the same
  co_return !r && r.error().code() == atoll::status_code::aborted ? 1 : 0;
}

ATOLL_TEST(docs_scopes, cancelling_ends_the_wait_with_its_reason) { EXPECT_EQ(co_await cancel_it(), 1); }

ATOLL_TEST(docs_scopes, cancelling_a_call_leaves_the_other_shard_at_work) {
  atoll::cancel_source source;
  auto call = source.run([] { return atoll::submit_to(1, [] { return atoll::sleep(20ms).then([] { return 1; }); }); });
  co_await atoll::sleep(1ms);
  source.cancel();
  const auto r = co_await atoll::as_result(std::move(call));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::cancelled);
  co_await atoll::submit_to(1, [] { return atoll::sleep(20ms); });
}

class session {
 public:
  atoll::future<> run() {
    const auto ended = co_await atoll::as_result(fetch());
    co_await atoll::shielded([this] { return say_goodbye(); });  // its waits are out of reach of the cancel
    if (!ended) co_await atoll::fail(ended.error());
  }
  bool said_goodbye() const { return said_goodbye_; }

 private:
  atoll::future<> say_goodbye() {
    co_await atoll::sleep(1ms);
    said_goodbye_ = true;
  }
  bool said_goodbye_ = false;
};

ATOLL_TEST(docs_scopes, shielded_work_waits_again) {
  session s;
  const auto r = co_await atoll::as_result(atoll::with_timeout(1ms, [&s] { return s.run(); }));
  EXPECT_FALSE(r);
  EXPECT_TRUE(s.said_goodbye());
}

atoll::future<std::uint64_t> search(std::uint64_t from) {
  for (std::uint64_t n = from;; ++n) {
    if (n * n % 1'000'003 == 1'000'002) co_return n;
    if (n % 1'000 == 0) co_await atoll::or_fail(atoll::check_cancelled());  // computes, and never waits
    co_await atoll::maybe_yield();
  }
}

ATOLL_TEST(docs_scopes, computing_looks_for_the_cancel_itself) {
  const auto r = co_await atoll::as_result(atoll::with_timeout(5ms, [] { return search(1); }));
  ATOLL_REQUIRE(!r);  // 1'000'003 is a prime of the form 4n + 3: there is no such number
  EXPECT_EQ(r.error().code(), atoll::status_code::deadline_exceeded);
}

atoll::future<int> answer_of(atoll::promise<int>& somebody) {
  return atoll::interruptible(somebody.get_future());  // a bare promise knows nothing of contexts
}

ATOLL_TEST(docs_scopes, a_foreign_future_is_made_interruptible) {
  atoll::promise<int> never_set;
  const auto r = co_await atoll::as_result(atoll::with_timeout(1ms, [&] { return answer_of(never_set); }));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::deadline_exceeded);
}

ATOLL_TEST(docs_scopes, work_that_was_started_before_is_not_reached_by_a_timeout) {
  atoll::event go("go");
  auto started = go.wait();  // here, outside the timeout
  auto waiting = atoll::with_timeout(1ms, [&started] { return std::move(started); });
  co_await atoll::sleep(10ms);
  EXPECT_FALSE(waiting.available());
  go.set();
  co_await std::move(waiting);
}

class store {
 public:
  atoll::future<std::size_t> put(std::string value) {
    auto units = co_await atoll::or_fail(memory_.acquire(value.size()));  // semaphore_units: given back when they go
    auto lock = co_await atoll::or_fail(table_.lock());                   // until `lock` goes
    co_await atoll::or_fail(atoll::sleep(1ms));                           // something slow, one at a time
    values_.push_back(std::move(value));
    co_return values_.size();
  }

 private:
  atoll::semaphore memory_{"store memory", 1 << 20};
  atoll::mutex table_{"store table"};
  std::vector<std::string> values_;
};

ATOLL_TEST(docs_scopes, waits_are_bounded_by_the_callers_deadline) {
  store s;
  EXPECT_EQ(co_await s.put("a"), 1U);
  const auto huge = co_await atoll::as_result(s.put(std::string(2 << 20, 'x')));
  ATOLL_REQUIRE(!huge);
  EXPECT_EQ(huge.error().code(), atoll::status_code::out_of_range) << "more than there will ever be";

  atoll::mutex table("table");
  auto held = co_await table.lock();
  const auto late = co_await atoll::as_result(atoll::with_timeout(1ms, [&table] { return table.lock(); }));
  ATOLL_REQUIRE(!late);
  EXPECT_EQ(late.error().code(), atoll::status_code::deadline_exceeded);
  EXPECT_NE(late.error().message().find("mutex table"), std::string_view::npos) << "messages name it";
}

atoll::future<> produce(atoll::channel<int>& numbers) {
  for (int i = 1; i <= 10; ++i) co_await atoll::or_fail(numbers.push(i));  // waits while it is full
  numbers.close();                                                         // what is inside can still be popped
}

atoll::future<int> consume(atoll::channel<int>& numbers) {
  int sum = 0;
  while (auto n = co_await atoll::or_fail(numbers.pop())) sum += *n;  // nullopt: closed and empty
  co_return sum;
}

ATOLL_TEST(docs_scopes, a_channel_joins_two) {
  atoll::channel<int> numbers("numbers", 2);
  atoll::scope producer("producer");
  producer.spawn([&numbers] { return produce(numbers); });
  EXPECT_EQ(co_await consume(numbers), 55);
  co_await producer.close();
  const auto late = co_await atoll::as_result(numbers.push(1));
  ATOLL_REQUIRE(!late);
  EXPECT_EQ(late.error().code(), atoll::status_code::unavailable);
}

class server {
 public:
  atoll::future<int> serve(int n) {
    return requests_.run([n] { return atoll::sleep(1ms).then([n] { return n; }); });  // `unavailable` once it closes
  }
  atoll::future<> drain() { return requests_.close(); }  // ready when all have left

 private:
  atoll::gate requests_{"requests"};
};

ATOLL_TEST(docs_scopes, a_gate_counts_who_is_inside) {
  server s;
  auto one = s.serve(1);
  auto drained = s.drain();
  const auto late = co_await atoll::as_result(s.serve(2));
  ATOLL_REQUIRE(!late);
  EXPECT_EQ(late.error().code(), atoll::status_code::unavailable);
  co_await std::move(drained);
  EXPECT_TRUE(one.available());
  EXPECT_EQ(co_await std::move(one), 1);
}

class leader {
 public:
  void won() {
    term_ += 1;
    changed_.notify_all();
    started_.set();  // stays set until reset()
  }
  atoll::future<> in_term(int term) {
    co_await atoll::or_fail(started_.wait());
    co_await atoll::or_fail(changed_.wait([this, term] { return term_ >= term; }));  // looked at after each notify
  }

 private:
  int term_ = 0;
  atoll::condition_variable changed_{"leader changed"};
  atoll::event started_{"leader started"};
};

ATOLL_TEST(docs_scopes, a_condition_is_waited_for) {
  leader l;
  auto second = l.in_term(2);
  l.won();
  for (int i = 0; i < 20; ++i) co_await atoll::yield();
  EXPECT_FALSE(second.available());
  l.won();
  co_await std::move(second);
}

}  // namespace
