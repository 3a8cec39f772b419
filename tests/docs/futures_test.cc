// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The code of docs/futures.md, and that it does what is said there.
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <atoll/actors/future/combinators.hh>
#include <atoll/actors/future/shared_future.hh>
#include <atoll/actors/future/stream.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;

atoll::future<int> slowly(int n) {
  co_await atoll::sleep(1ms);  // the coroutine waits, the thread doesn't
  co_return n;
}

atoll::future<int> sum() {
  atoll::future<int> one = slowly(1);  // runs already
  const int two = co_await slowly(2);
  co_return two + co_await std::move(one);
}

ATOLL_TEST(docs_futures, run_from_their_call_on) {
  bool began = false;
  const auto begin = [](bool& flag) -> atoll::future<> {
    flag = true;
    co_await atoll::yield();
  };
  auto running = begin(began);
  EXPECT_TRUE(began);
  EXPECT_FALSE(running.available());
  co_await std::move(running);
  EXPECT_EQ(co_await sum(), 3);
  EXPECT_TRUE(atoll::make_ready_future<int>(1).available());
}

/// A client that knows nothing of futures.
class old_client {
 public:
  void ask(std::function<void(int)> answer) { asked_ = std::move(answer); }
  void reply(int n) { std::exchange(asked_, nullptr)(n); }
  void hang_up() { asked_ = nullptr; }

 private:
  std::function<void(int)> asked_;
};

atoll::future<int> ask(old_client& client) {
  auto answer = std::make_shared<atoll::promise<int>>();
  auto later = answer->get_future();
  client.ask([answer](int n) { answer->set_value(n); });
  return later;
}

ATOLL_TEST(docs_futures, bridge_callbacks_by_a_promise) {
  old_client client;
  auto answer = ask(client);
  EXPECT_FALSE(answer.available());
  client.reply(5);
  EXPECT_EQ(co_await std::move(answer), 5);
  auto broken = ask(client);
  client.hang_up();
  const auto r = co_await atoll::as_result(std::move(broken));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::cancelled);
}

atoll::future<std::string> describe(atoll::future<int> balance) {
  return std::move(balance)
      .then([](int n) { return n * 2; })
      .then([](int n) { return slowly(n); })  // may return a future
      .then([](int n) { return std::to_string(n); })
      .handle_error(atoll::status_code::not_found, [](const atoll::error&) { return std::string("nobody"); })
      .finally([] { /* in every case */ });
}

atoll::future<int> balance(std::string name) {
  if (name.empty()) co_return atoll::error(atoll::status_code::invalid_argument, "no name");
  if (name != "ann") co_await atoll::fail(atoll::status_code::not_found, "no account " + name);
  co_return 10;
}

ATOLL_TEST(docs_futures, have_continuations) {
  EXPECT_EQ(co_await describe(balance("ann")), "20");
  EXPECT_EQ(co_await describe(balance("bob")), "nobody");
  const auto r = co_await atoll::as_result(describe(balance("")));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::invalid_argument);
}

atoll::future<int> three_ways() {
  int all = co_await balance("ann");                         // a failure is raised here, as an exception
  all += co_await atoll::or_fail(balance("ann"));            // a failure ends this coroutine with it; nothing is thrown
  const auto r = co_await atoll::as_result(balance("bob"));  // the outcome as a value: result<int>
  if (!r && r.error().code() == atoll::status_code::not_found) all += 1;
  co_return all;
}

ATOLL_TEST(docs_futures, are_awaited_in_three_ways) {
  EXPECT_EQ(co_await three_ways(), 21);
  bool caught = false;
  try {
    co_await balance("bob");
  } catch (const atoll::status_error& e) {
    caught = e.code() == atoll::status_code::not_found;
  }
  EXPECT_TRUE(caught);
}

atoll::future<int> never_caught() {
  try {
    co_return co_await atoll::or_fail(balance("bob"));
  } catch (const atoll::status_error&) {
    co_return 0;  // never: or_fail does not throw, it ends the coroutine
  }
}

ATOLL_TEST(docs_futures, or_fail_passes_by_a_try_block_but_destroys_locals) {
  const auto r = co_await atoll::as_result(never_caught());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::not_found);
  EXPECT_EQ(r.error().message(), "no account bob");
  bool destroyed = false;
  const auto with_local = [](bool& flag) -> atoll::future<> {
    const auto set = [&flag](int*) { flag = true; };
    int local = 0;
    const std::unique_ptr<int, decltype(set)> guard(&local, set);
    co_await atoll::or_fail(balance("bob"));
  };
  EXPECT_FALSE(co_await atoll::as_result(with_local(destroyed)));
  EXPECT_TRUE(destroyed);
}

atoll::result<int> parse(std::string text) {
  if (text.empty()) return atoll::error(atoll::status_code::invalid_argument, "no number");
  return std::stoi(text);  // an exception is no result: it goes on
}

atoll::future<int> twice(std::string text) {
  const int n = co_await atoll::or_fail(parse(std::move(text)));  // takes results, too
  co_return n * 2;
}

atoll::future<int> first_of(std::vector<int> numbers) {
  co_return numbers.at(0);  // std::out_of_range is the failure of the future
}

ATOLL_TEST(docs_futures, carry_results_and_exceptions) {
  EXPECT_EQ(co_await twice("21"), 42);
  const auto none = co_await atoll::as_result(twice(""));
  ATOLL_REQUIRE(!none);
  EXPECT_EQ(none.error().message(), "no number");

  const std::vector<int> none_at_all;
  auto safe = first_of({}).handle_error<std::out_of_range>([](const std::out_of_range&) { return -1; });
  EXPECT_EQ(co_await std::move(safe), -1);
  const auto unknown = co_await atoll::as_result(first_of(none_at_all));
  ATOLL_REQUIRE(!unknown);
  EXPECT_EQ(unknown.error().code(), atoll::status_code::unknown);
  bool by_type = false;
  try {
    co_await first_of(none_at_all);
  } catch (const std::out_of_range&) {
    by_type = true;
  }
  EXPECT_TRUE(by_type);
}

ATOLL_TEST(docs_futures, that_failed_unread_are_counted) {
  static_cast<void>(balance("bob"));
  EXPECT_EQ(atoll::this_shard().failures_abandoned, 1U);
  EXPECT_EQ(co_await atoll::testing::take_failures_abandoned(), 1U);
}

atoll::future<int> combine() {
  auto [ann, two] = co_await atoll::when_all_succeed(balance("ann"), slowly(2));
  auto [good, bad] = co_await atoll::when_all(balance("ann"), balance("bob"));  // result<int> each
  const auto fast =
      co_await atoll::when_any([] { return slowly(1); }, [] { return atoll::sleep(1h).then([] { return 2; }); });
  co_return ann + two + (good && !bad ? 1 : 0) + (fast.index == 0 ? *fast.outcome : 0);
}

ATOLL_TEST(docs_futures, are_combined) {
  EXPECT_EQ(co_await combine(), 14);
  const auto r = co_await atoll::as_result(atoll::when_all_succeed(slowly(1), balance("bob"), balance("")));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::not_found) << "the first in the order given";
}

atoll::future<int> over_a_range(std::vector<int> numbers) {
  int all = 0;
  co_await atoll::parallel_for_each(numbers, [&](int n) { return slowly(n).then([&](int m) { all += m; }); });
  co_await atoll::max_concurrent_for_each(numbers, 2, [&](int n) { return slowly(n).then([&](int m) { all += m; }); });
  all += co_await atoll::map_reduce(numbers, &slowly, 0, std::plus<>());
  co_return all;
}

ATOLL_TEST(docs_futures, run_over_ranges) {
  const std::vector<int> numbers{1, 2, 3};
  EXPECT_EQ(co_await over_a_range(numbers), 18);
  int done = 0;
  std::vector<std::string> names{"bob", "ann", "ann"};
  const auto r = co_await atoll::as_result(atoll::parallel_for_each(
      names, [&done](std::string name) { return balance(std::move(name)).then([&done](int) { ++done; }); }));
  EXPECT_FALSE(r);
  EXPECT_EQ(done, 2) << "all are started and waited for";
}

/// Answers at the third time.
class shaky {
 public:
  atoll::future<int> read() {
    if (++asked_ < 3) co_return atoll::error(atoll::status_code::unavailable, "try again");
    co_return asked_;
  }

 private:
  int asked_ = 0;
};

atoll::future<int> patient(shaky& service) {
  const atoll::retry_policy policy{.attempts_max = 5, .first_pause = 1ms};
  co_return co_await atoll::retry(policy, [&service] { return service.read(); });
}

ATOLL_TEST(docs_futures, are_tried_again) {
  shaky service;
  EXPECT_EQ(co_await patient(service), 3);
  int asked = 0;
  const auto wrong = [&asked] {
    ++asked;
    return balance("bob");
  };
  EXPECT_FALSE(co_await atoll::as_result(atoll::retry({}, wrong)));
  EXPECT_EQ(asked, 1) << "not_found is not worth another attempt";
}

atoll::stream<int> count(int to) {
  for (int i = 0; i < to; ++i) co_yield i;  // waits while enough values are not taken yet
}

atoll::future<int> add_up() {
  int all = 0;
  auto numbers = count(10);
  while (auto n = co_await numbers.next()) all += *n;  // std::optional<int>: nullopt at the end
  co_return all;
}

ATOLL_TEST(docs_futures, come_in_streams) {
  EXPECT_EQ(co_await add_up(), 45);
  auto many = count(1000);
  const auto batch = co_await many.next_batch();
  EXPECT_GE(batch.size(), 1U);
  EXPECT_LE(batch.size(), decltype(many)::buffered_max);
  many.cancel(atoll::error(atoll::status_code::aborted, "enough"));
  std::size_t rest = 0;
  while (true) {
    const auto next = co_await atoll::as_result(many.next());
    if (!next) {
      EXPECT_EQ(next.error().code(), atoll::status_code::aborted);
      break;
    }
    ATOLL_REQUIRE(next->has_value());
    ++rest;
  }
  EXPECT_LT(batch.size() + rest, 1000U);
}

atoll::stream<int> slow_numbers() {
  for (int i = 0;; ++i) {
    co_await atoll::or_fail(atoll::sleep(1ms));
    co_yield i;
  }
}

ATOLL_TEST(docs_futures, streams_run_in_the_context_they_were_made_in) {
  atoll::cancel_source maker;
  std::optional<atoll::stream<int>> numbers;
  co_await maker.run([&numbers] { numbers.emplace(slow_numbers()); });
  EXPECT_EQ(co_await numbers->next(), 0);
  maker.cancel();
  while (true) {
    const auto next = co_await atoll::as_result(numbers->next());
    if (next) continue;  // yielded before
    EXPECT_EQ(next.error().code(), atoll::status_code::cancelled);
    break;
  }
}

class settings {
 public:
  atoll::future<std::string> name() { return loaded_.get(); }  // everybody gets a copy of the one outcome
  atoll::future<int> peers() { return peers_.get(); }          // joins a run under way
  int runs() const { return runs_; }

 private:
  static atoll::future<std::string> load() {
    co_await atoll::sleep(1ms);
    co_return "atoll";
  }
  int runs_ = 0;
  atoll::shared_future<std::string> loaded_{load()};
  atoll::shared_work<int> peers_{"peers", 1h, [this] { return slowly(++runs_); }};  // good for an hour
};

ATOLL_TEST(docs_futures, are_shared) {
  settings s;
  auto first = s.name();
  EXPECT_EQ(co_await s.name(), "atoll");
  EXPECT_EQ(co_await std::move(first), "atoll");
  auto one = s.peers();
  auto two = s.peers();
  EXPECT_EQ(co_await std::move(one), 1);
  EXPECT_EQ(co_await std::move(two), 1);
  EXPECT_EQ(co_await s.peers(), 1);
  EXPECT_EQ(s.runs(), 1);
}

class account {
 public:
  atoll::future<> deposit(int n) {
    const auto later = [this, n] { return add(n); };  // no coroutine: it returns the future of one
    return atoll::sleep(1ms).then(later);
  }
  int total() const { return total_; }

 private:
  atoll::future<> add(int n) {  // what a coroutine uses after an await: members of an object that lives, and parameters
    co_await atoll::yield();
    total_ += n;
  }
  int total_ = 0;
};

ATOLL_TEST(docs_futures, of_lambdas_that_return_a_coroutines) {
  account a;
  co_await a.deposit(3);
  EXPECT_EQ(a.total(), 3);
}

}  // namespace
