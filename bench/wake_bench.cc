// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// wake.round_trip: a message to a shard that has slept for a millisecond, and one back a millisecond later to a shard
// that has slept meanwhile; us, both ways together, from the sending to the first line that runs.
// wake.round_trip/ping: calls one after the other between shards that sleep without spinning; us a call.
// idle.cpu/N: what N shards without work use of a processor, percent; the limit is the figure that is asked for.
#include <sys/resource.h>

#include <atoll/actors/future/sleep.hh>
#include <atoll/sharding/submit.hh>

#include "bench.hh"
#include "shard_bench.hh"
#include "shard_limits.hh"

namespace bench {
namespace {

using namespace std::chrono_literals;

/// On the far shard: when it was reached and when it answers.
struct answer {
  std::int64_t reached = 0;
  std::int64_t answered = 0;
};

atoll::future<answer> answer_later() {
  answer a;
  a.reached = steady_ns();
  co_await atoll::sleep(1ms);
  a.answered = steady_ns();
  co_return a;
}

atoll::future<double> round_trip_us() {
  std::vector<double> there, back;
  for (int i = 0; i < 100; ++i) {
    co_await atoll::sleep(1ms);
    const auto sent = steady_ns();
    const auto a = co_await atoll::submit_to(1, &answer_later);
    const auto now = steady_ns();
    there.push_back(static_cast<double>(a.reached - sent) / 1000);
    back.push_back(static_cast<double>(now - a.answered) / 1000);
  }
  co_return median(there) + median(back);
}

int answer_at_once() { return 0; }

atoll::future<double> ping_us() {
  std::vector<double> trips;
  for (int i = 0; i < 500; ++i) {
    const auto begin = steady_ns();
    co_await atoll::submit_to(1, &answer_at_once);
    trips.push_back(static_cast<double>(steady_ns() - begin) / 1000);
  }
  co_return median(trips);
}

double process_cpu_us() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  return static_cast<double>(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
         static_cast<double>(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

atoll::future<double> idle_percent() {
  co_await atoll::sleep(300ms);  // to settle
  const double used = process_cpu_us();
  const auto begin = steady_ns();
  co_await atoll::sleep(1s);
  co_return (process_cpu_us() - used) * 100 / (static_cast<double>(steady_ns() - begin) / 1000);
}

}  // namespace

std::vector<benchmark> wake_benches() {
  constexpr double idle_percent_most = 0.2;
  std::vector<benchmark> all = {{"wake.round_trip", "us",
                                 [] {
                                   const double limit = eventfd_round_trip_us();
                                   return pair{in_runtime({.count = 2}, round_trip_us), limit};
                                 },
                                 ratio_at_most(1.1)},
                                {"wake.round_trip/ping", "us", [] {
                                   const double limit = eventfd_ping_us();
                                   return pair{in_runtime({.count = 2, .spin_for = 0ns}, ping_us), limit};
                                 }}};
  for (const atoll::shard_id shards : {2U, 64U}) {
    all.push_back({"idle.cpu/" + std::to_string(shards), "percent",
                   [shards] { return pair{in_runtime({.count = shards}, idle_percent), idle_percent_most}; },
                   value_at_most(idle_percent_most)});
  }
  return all;
}

}  // namespace bench
