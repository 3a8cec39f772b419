// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/diagnostics.hh>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

#include <atoll/actors/future/combinators.hh>
#include <atoll/actors/metrics/shard_metrics.hh>
#include <atoll/sharding/describe.hh>
#include <atoll/sharding/foreign.hh>
#include <atoll/sharding/offload.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

#include "child_process.hh"
#include "documented_metrics.hh"

namespace diagnosed {

class sometimes {
 public:
  atoll::future<int> get(int n) const {
    if (n < 0) co_await atoll::fail(atoll::status_code::out_of_range, "negative");
    co_return n;
  }
};
ATOLL_SERVICE(sometimes, "test.v1.Sometimes", ATOLL_METHOD(get, n));

}  // namespace diagnosed

namespace {

using atoll::future;
using atoll::promise;

future<> waits_here(future<> f) { co_await std::move(f); }

/// A sample's value by the text that stands before it; -1 where there is none.
double value_of(const std::string& page, const std::string& series) {
  const auto at = ("\n" + page).find("\n" + series + " ");
  return at == std::string::npos ? -1 : std::stod(page.substr(at + series.size()));
}

ATOLL_TEST_ON(diagnostics, dumps_the_tasks_of_every_shard, 3) {
  static promise<>* on_other = nullptr;
  const auto wait_there = [] {
    on_other = new promise<>();
    return waits_here(on_other->get_future());
  };
  auto waiting = atoll::submit_to(2, wait_there);
  while (co_await atoll::submit_to(2, [] { return on_other == nullptr; })) co_await atoll::yield();
  const auto text = co_await atoll::dump_tasks_everywhere();
  const auto second = text.find("\nshard 2: ");
  EXPECT_TRUE(text.starts_with("shard 0: ")) << text;
  EXPECT_NE(text.find("\nshard 1: "), std::string::npos) << text;
  ATOLL_REQUIRE(second != std::string::npos);
  EXPECT_GT(text.find("waits_here"), second) << text;
  const auto set = [] {
    on_other->set_value();
    delete on_other;
  };
  co_await atoll::submit_to(2, set);
  co_await std::move(waiting);
}

ATOLL_TEST(diagnostics, says_which_shard_does_not_answer) {
  static std::atomic<bool> go_on;
  go_on = false;
  auto stuck = atoll::submit_to(1, [] {
    while (!go_on) continue;
  });
  atoll::diagnostics_options brief;
  brief.answer_within = std::chrono::milliseconds(50);
  const auto text = co_await atoll::dump_tasks_everywhere(brief);
  EXPECT_TRUE(text.starts_with("shard 0: ")) << text;
  EXPECT_NE(text.find("\nshard 1: no answer: deadline_exceeded"), std::string::npos) << text;
  const auto metrics = co_await atoll::collect_metrics(brief.answer_within);
  ATOLL_REQUIRE(metrics.size() == 1);
  EXPECT_EQ(value_of(atoll::render_prometheus(metrics), "atoll_shards_unanswered{shard=\"0\"}"), 1);
  go_on = true;
  co_await std::move(stuck);
}

ATOLL_TEST(diagnostics, renders_the_metrics_of_every_shard) {
  const auto batch = atoll::this_shard().tasks.create_group("batch \"a\"", 50);
  ATOLL_REQUIRE(batch);
  atoll::sharded<diagnosed::sometimes> services;
  co_await services.start();
  for (int n = -2; n < 5; ++n) static_cast<void>(co_await atoll::as_result(services.at(1).get(n)));
  co_await atoll::offload([] {});
  const auto port = atoll::foreign_port::of_this_process();
  std::thread caller([&port] { port.submit_to(1, [] {}).get(); });
  co_await atoll::sleep(std::chrono::milliseconds(1));
  auto end = atoll::offload([&caller] { caller.join(); });
  co_await std::move(end);
  const auto page = co_await atoll::render_metrics();
  EXPECT_EQ(value_of(page, "atoll_calls_served_total{code=\"ok\",shard=\"1\"}"), 5) << page;
  EXPECT_EQ(value_of(page, "atoll_calls_served_total{code=\"out_of_range\",shard=\"1\"}"), 2);
  EXPECT_EQ(value_of(page, "atoll_calls_served_total{code=\"ok\",shard=\"0\"}"), 0);
  EXPECT_EQ(value_of(page, "atoll_group_shares{group=\"batch \\\"a\\\"\",shard=\"0\"}"), 50);
  EXPECT_EQ(value_of(page, "atoll_group_shares{group=\"main\",shard=\"1\"}"), 1000);
  EXPECT_GT(value_of(page, "atoll_group_run_seconds_total{group=\"main\",shard=\"0\"}"), 0);
  EXPECT_EQ(value_of(page, "atoll_group_wait_seconds_count{group=\"main\",shard=\"0\"}"), 0);
  EXPECT_GE(value_of(page, "atoll_lane_tasks_sent_total{shard=\"0\"}"), 7);
  EXPECT_GE(value_of(page, "atoll_lane_tasks_received_total{shard=\"0\"}"), 7);
  EXPECT_GE(value_of(page, "atoll_lane_tasks_received_total{shard=\"1\"}"), 7);
  EXPECT_EQ(value_of(page, "atoll_foreign_calls_total{shard=\"1\"}"), 1);
  EXPECT_EQ(value_of(page, "atoll_foreign_calls_total{shard=\"0\"}"), 0);
  EXPECT_EQ(value_of(page, "atoll_foreign_calls_in_flight{shard=\"1\"}"), 0);
  EXPECT_GE(value_of(page, "atoll_shard_timers_armed_total{shard=\"0\"}"), 1);
  EXPECT_GE(value_of(page, "atoll_shard_timers_fired_total{shard=\"0\"}"), 1);
  EXPECT_EQ(value_of(page, "atoll_offload_run_total{shard=\"0\"}"), 2);
  EXPECT_GE(value_of(page, "atoll_offload_threads{shard=\"0\"}"), 1);
  EXPECT_EQ(value_of(page, "atoll_offload_threads{shard=\"1\"}"), -1);
  EXPECT_EQ(value_of(page, "atoll_shards_unanswered{shard=\"0\"}"), 0);
  EXPECT_EQ(value_of(page, "atoll_metrics_refused_total{shard=\"0\"}"), 0);
  const auto summed = co_await atoll::render_metrics({.sum_shards = true});
  EXPECT_EQ(value_of(summed, "atoll_calls_served_total{code=\"ok\"}"), 5) << summed;
  co_await services.stop();
}

ATOLL_TEST(diagnostics, counts_calls_that_wait) {
  atoll::sharded<diagnosed::sometimes> services;
  co_await services.start();
  // More than may be under way to a shard, in one go: what is too much waits at home.
  std::vector<future<int>> calls;
  constexpr auto extra = 100U;
  for (std::uint32_t i = 0; i < atoll::outbox::calls_in_flight_max + extra; ++i) calls.push_back(services.at(1).get(1));
  const auto here = atoll::shard_metrics()->collect();
  const auto page = atoll::render_prometheus(std::span(&here, 1));
  EXPECT_EQ(value_of(page, "atoll_calls_waiting{shard=\"0\"}"), extra) << page;
  EXPECT_EQ(value_of(page, "atoll_calls_in_flight{shard=\"0\"}"), atoll::outbox::calls_in_flight_max);
  for (auto& each : calls) co_await std::move(each);
  const auto after = atoll::shard_metrics()->collect();
  EXPECT_EQ(value_of(atoll::render_prometheus(std::span(&after, 1)), "atoll_calls_waiting{shard=\"0\"}"), 0);
  co_await services.stop();
}

ATOLL_TEST(diagnostics, a_call_that_gives_up_while_it_waits_waits_no_more) {
  atoll::sharded<diagnosed::sometimes> services;
  co_await services.start();
  std::vector<future<int>> calls;
  for (std::uint32_t i = 0; i < atoll::outbox::calls_in_flight_max; ++i) calls.push_back(services.at(1).get(1));
  atoll::cancel_source source;
  auto waiting = source.run([&services] { return services.at(1).get(1); });
  const auto number = [] {
    const auto here = atoll::shard_metrics()->collect();
    return value_of(atoll::render_prometheus(std::span(&here, 1)), "atoll_calls_waiting{shard=\"0\"}");
  };
  EXPECT_EQ(number(), 1);
  source.cancel();
  EXPECT_EQ(number(), 0);
  EXPECT_FALSE(co_await atoll::as_result(std::move(waiting)));
  for (auto& each : calls) co_await std::move(each);
  co_await services.stop();
}

static_assert(atoll::sendable<atoll::metrics_snapshot>);
static_assert(atoll::sendable<std::vector<atoll::metrics_snapshot>>);

ATOLL_TEST(diagnostics, the_names_are_those_of_the_documentation) {
  const auto all = co_await atoll::collect_metrics();
  EXPECT_EQ(demo::exported_metrics(all), demo::documented_metrics({"A shard", "Shards of a process", "Lanes"}));
}

TEST(diagnostics, an_app_dumps_its_tasks_at_a_signal) {
  demo::child_process app({"/bin/sh", "-c", std::string("exec ") + ATOLL_TEST_SIGNALS + " --shards 2 --orderly 2>&1"});
  ASSERT_EQ(app.read_line(), "ready");
  for (int i = 0; i < 2; ++i) {
    app.signal(SIGUSR1);
    const auto first = app.read_line();
    EXPECT_TRUE(first.starts_with("shard 0: ")) << first;
    std::string line;
    bool found = false;
    while (!(line = app.read_line()).starts_with("shard 1: ")) {
      ASSERT_FALSE(line.empty());
      found = found || (line.find("run_until_stopped") != std::string::npos &&
                        line.find("signals_program.cc:") != std::string::npos);
    }
    EXPECT_TRUE(found);
    EXPECT_EQ(line, "shard 1: 0 coroutines");
  }
  app.signal(SIGTERM);
  while (app.read_line() != "stopping") continue;
  EXPECT_EQ(app.wait(), 0);
}

ATOLL_TEST(diagnostics, count_what_waits) {
  promise<> go_on;
  auto waiting = waits_here(go_on.get_future());
  std::vector<future<>> asleep;
  for (int i = 0; i < 20; ++i) asleep.push_back(atoll::sleep(std::chrono::milliseconds(20)));
  auto ready = [](int n) -> future<> {
    for (int i = 0; i < n; ++i) co_await atoll::yield();
  };
  std::vector<future<>> runnable;
  for (int i = 0; i < 30; ++i) runnable.push_back(ready(1));
  const auto here = atoll::shard_metrics()->collect();
  const auto page = atoll::render_prometheus(std::span(&here, 1));
  EXPECT_GE(value_of(page, "atoll_shard_coroutines_suspended{shard=\"0\"}"), 31) << page;
  EXPECT_GE(value_of(page, "atoll_shard_timers_waiting{shard=\"0\"}"), 20) << page;
  EXPECT_GE(value_of(page, "atoll_group_tasks_ready{group=\"main\",shard=\"0\"}"), 30) << page;
  go_on.set_value();
  for (auto& each : asleep) co_await std::move(each);
  for (auto& each : runnable) co_await std::move(each);
  co_await std::move(waiting);
}

ATOLL_TEST(diagnostics, tell_how_many_are_missing_where_nobody_answers) {
  atoll::cancel_source too_late;
  too_late.cancel();
  const auto metrics = co_await too_late.run([] { return atoll::collect_metrics(); });
  ATOLL_REQUIRE(metrics.size() == 1);
  EXPECT_EQ(value_of(atoll::render_prometheus(metrics), "atoll_shards_unanswered{shard=\"0\"}"), 2);
}

}  // namespace
