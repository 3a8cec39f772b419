// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Two scheduling groups that want all of a shard: what each gets of it, and how long urgent work waits for its turn.
#include <cstdint>
#include <cstdio>

#include <atoll/actors/future/group.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/groups.hh>

using namespace std::chrono_literals;

/// Computes until then, and gives way to others when its time is over. How many steps it came.
atoll::future<std::uint64_t> compute_until(atoll::time_point end) {
  std::uint64_t steps = 0;
  for (; atoll::mono_now() < end; ++steps) co_await atoll::maybe_yield();
  co_return steps;
}

/// Something short, every 2 ms.
atoll::future<std::uint64_t> answer_until(atoll::time_point end) {
  std::uint64_t answers = 0;
  for (; atoll::mono_now() < end; ++answers) co_await atoll::sleep(2ms);
  co_return answers;
}

void print(atoll::scheduling_group group) {
  const auto stats = atoll::this_shard().tasks.stats(group).value();
  std::printf("%-7s %5u shares, ran %6lld us; ready %llu times, waited for its turn: median %llu ns, p99 %llu ns\n",
              stats.name.c_str(), stats.shares, static_cast<long long>(stats.ran / 1us),
              static_cast<unsigned long long>(stats.wakeups),
              static_cast<unsigned long long>(stats.latency.quantile(0.5)),
              static_cast<unsigned long long>(stats.latency.quantile(0.99)));
}

atoll::future<int> demo() {
  const auto urgent = (co_await atoll::create_scheduling_group("urgent", 1000)).value();
  const auto batch = (co_await atoll::create_scheduling_group("batch", 200)).value();
  const auto scan = (co_await atoll::create_scheduling_group("scan", 100)).value();
  const auto end = atoll::mono_now() + 300ms;
  auto answers = atoll::with_group(urgent, [end] { return answer_until(end); });
  auto batches = atoll::with_group(batch, [end] { return compute_until(end); });  // these two take all that is left,
  auto scanned = atoll::with_group(scan, [end] { return compute_until(end); });   // in the proportion of their shares
  const bool answered = co_await std::move(answers) > 0;
  const bool batch_ran = co_await std::move(batches) > 0;
  const bool scan_ran = co_await std::move(scanned) > 0;
  for (const auto group : {urgent, batch, scan}) print(group);
  const bool all_ran = answered && batch_ran && scan_ran;
  co_return all_ran ? 0 : 1;
}

int main(int argc, char** argv) {
  atoll::app app("scheduling", "Shows scheduling groups.");
  return app.run(argc, argv, [] { return demo(); });
}
