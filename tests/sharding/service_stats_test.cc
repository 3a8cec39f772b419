// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What is counted of services, methods and lanes without a line of theirs.
#include <map>

#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/sharding/diagnostics.hh>
#include <atoll/sharding/service_stats.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/testing/atoll_test.hh>

#include "documented_metrics.hh"

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::sharded;
using atoll::status_code;

class desk {
 public:
  static constexpr atoll::service_options options{.slots = 4};

  future<int> answer(int key) {
    if (key < 0) co_await atoll::fail(status_code::out_of_range, "no");
    co_return key;
  }
  future<> wait() { return gate_.wait(); }
  future<> one_at_a_time() { return gate_.wait(); }
  future<> open() {
    gate_.set();
    return atoll::make_ready_future();
  }

 private:
  atoll::event gate_;
};
ATOLL_SERVICE(desk, "test.Desk", ATOLL_METHOD(answer, key(key)), ATOLL_METHOD(wait),
              ATOLL_METHOD_WITH((.concurrency = 1), one_at_a_time), ATOLL_METHOD(open));

/// The sample of a shard with these labels beside `shard`; -1 where there is none. Of a histogram: how many values it has.
future<double> number(std::uint32_t shard, std::string name, atoll::metric_labels labels) {
  std::ranges::sort(labels);
  const auto all = co_await atoll::collect_metrics();
  for (const auto& each : all) {
    if (each.shard != shard) continue;
    for (const auto& family : each.families) {
      if (family.name != name) continue;
      for (const auto& sample : family.samples) {
        if (sample.labels != labels) continue;
        if (const auto* buckets = std::get_if<atoll::bucketed_values>(&sample.value)) {
          double count = 0;
          for (const auto n : buckets->counts) count += static_cast<double>(n);
          co_return count;
        }
        if (const auto* value = std::get_if<double>(&sample.value)) co_return *value;
        co_return static_cast<double>(std::get<std::uint64_t>(sample.value));
      }
    }
  }
  co_return -1;
}
atoll::metric_labels of(std::string method) { return {{"service", "test.Desk"}, {"method", std::move(method)}}; }
atoll::metric_labels of(std::string method, std::string code) {
  return {{"service", "test.Desk"}, {"method", std::move(method)}, {"code", std::move(code)}};
}

atoll::metric_labels to_shard_1() { return {{"to", "1"}}; }
atoll::metric_labels to_shard_1(std::string code) { return {{"to", "1"}, {"code", std::move(code)}}; }

ATOLL_TEST(service_stats, count_the_calls_of_each_method_by_outcome) {
  sharded<desk> desks;
  co_await desks.start();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(co_await desks.at(1).answer(i), i);
  EXPECT_EQ(co_await number(1, "atoll_method_calls_total", of("answer", "out_of_range")), -1);  // never yet
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(co_await as_result(desks.at(1).answer(-1)));
  EXPECT_EQ(co_await number(1, "atoll_method_calls_total", of("answer", "ok")), 5);
  EXPECT_EQ(co_await number(1, "atoll_method_calls_total", of("answer", "out_of_range")), 3);
  EXPECT_EQ(co_await number(0, "atoll_method_calls_total", of("answer", "ok")), 0);
  EXPECT_EQ(co_await number(1, "atoll_method_seconds", of("answer")), 8);
  co_await desks.on_all(&desk::open);
  EXPECT_EQ(co_await number(0, "atoll_method_calls_total", of("open", "ok")), 1);
  co_await desks.on_all([](desk& /*each*/) {});
  EXPECT_EQ(co_await number(0, "atoll_method_calls_total", of("(other)", "ok")), 1);
  co_await desks.stop();
  EXPECT_FALSE(co_await as_result(desks.at(1).answer(1)));
  EXPECT_EQ(co_await number(1, "atoll_method_calls_total", of("answer", "unavailable")), 1);
}

ATOLL_TEST(service_stats, stay_from_one_start_to_the_next_and_are_shared_by_containers) {
  sharded<desk> first;
  sharded<desk> second;
  for (int round = 1; round <= 2; ++round) {
    co_await first.start();
    co_await second.start();
    EXPECT_EQ(co_await first.at(1).answer(1), 1);
    EXPECT_EQ(co_await second.at(1).answer(2), 2);
    EXPECT_EQ(co_await number(1, "atoll_method_calls_total", of("answer", "ok")), 2 * round);
    co_await first.stop();
    co_await second.stop();
  }
}

ATOLL_TEST(service_stats, tell_what_is_in_flight_and_what_waits_for_its_turn) {
  sharded<desk> desks;
  co_await desks.start();
  std::vector<future<>> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(desks.at(1).wait());
  for (int i = 0; i < 4; ++i) calls.push_back(desks.at(1).one_at_a_time());
  atoll::cancel_source gives_up;
  auto given_up = gives_up.run([&] { return desks.at(1).one_at_a_time(); });
  EXPECT_EQ(co_await number(1, "atoll_method_in_flight", of("wait")), 3);
  EXPECT_EQ(co_await number(1, "atoll_method_in_flight", of("one_at_a_time")), 1);
  EXPECT_EQ(co_await number(1, "atoll_method_queued", of("one_at_a_time")), 4);
  EXPECT_EQ(co_await number(0, "atoll_lane_calls_in_flight", to_shard_1()), 9);  // the one that asks, too
  gives_up.cancel();
  EXPECT_FALSE(co_await as_result(std::move(given_up)));
  co_await desks.at(1).open();
  for (auto& each : calls) co_await std::move(each);
  EXPECT_EQ(co_await number(1, "atoll_method_in_flight", of("wait")), 0);
  EXPECT_EQ(co_await number(1, "atoll_method_in_flight", of("one_at_a_time")), 0);
  EXPECT_EQ(co_await number(1, "atoll_method_queued", of("one_at_a_time")), 0);
  EXPECT_EQ(co_await number(0, "atoll_lane_calls_total", to_shard_1("cancelled")), 1);
  co_await desks.stop();
}

ATOLL_TEST(service_stats, tell_where_slots_are_and_how_they_moved) {
  sharded<desk> desks;
  co_await desks.start();
  const atoll::metric_labels service{{"service", "test.Desk"}};
  EXPECT_EQ(co_await number(0, "atoll_slots_owned", service), 2);
  co_await desks.slots().move(0, 1);
  EXPECT_EQ(co_await number(0, "atoll_slots_owned", service), 1);
  EXPECT_EQ(co_await number(1, "atoll_slots_owned", service), 3);
  const atoll::metric_labels moved{{"service", "test.Desk"}, {"code", "ok"}};
  EXPECT_EQ(co_await number(0, "atoll_slots_moves_total", moved), 1);
  EXPECT_EQ(co_await number(1, "atoll_slots_calls_waiting", service), 0);
  const auto all = co_await atoll::collect_metrics();
  EXPECT_EQ(demo::exported_metrics(all).contains("atoll_slots_owned gauge"), true);
  for (const auto& name : demo::documented_metrics({"Services", "Slots"})) {
    EXPECT_TRUE(demo::exported_metrics(all).contains(name) || name == "atoll_method_seconds histogram") << name;
  }
  co_await desks.stop();
}

TEST(timed_calls, all_are_measured_where_there_are_few_and_the_weights_of_many_add_up) {
  atoll::timed_calls timed;
  atoll::time_point now{};
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(timed.weigh(now), 1U);
    now += 1ms;
  }
  std::uint64_t measured = 0;
  std::uint64_t weights = 0;
  for (int i = 0; i < 64'000; ++i) {
    const auto weight = timed.weigh(now);
    weights += weight;
    measured += weight == 0 ? 0 : 1;
  }
  EXPECT_LT(measured, 1'100U);
  EXPECT_LE(weights, 64'000U);
  EXPECT_GT(weights, 64'000U - 64);
}

}  // namespace
