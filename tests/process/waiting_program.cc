// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A program whose coroutines wait at known lines, for the debugger's script: it prints these and then "ready", and with
// --abort it ends with a signal then.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include <atoll/actors/future/cancel.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/submit.hh>

namespace waiting {

using atoll::future;

constexpr int line_of_innermost = __LINE__ + 1;
future<> innermost() { co_await atoll::sleep(std::chrono::hours(1)); }
constexpr int line_of_outermost = __LINE__ + 1;
future<> outermost() { co_await innermost(); }
constexpr int line_of_bounded = __LINE__ + 1;
future<> bounded() { co_await atoll::sleep(std::chrono::hours(1)); }
constexpr int line_of_one_of_many = __LINE__ + 1;
future<> one_of_many() { co_await atoll::sleep(std::chrono::hours(1)); }

void start_on_this_shard(std::vector<future<>>& all) {
  all.push_back(outermost());
  all.push_back(atoll::with_timeout(std::chrono::minutes(30), [] { return bounded(); }));
  for (int i = 0; i < 1000; ++i) all.push_back(one_of_many());
}

future<int> run(bool abort_then) {
  std::vector<std::vector<future<>>> all(2);
  start_on_this_shard(all[0]);
  co_await atoll::submit_to(1, [&all] { start_on_this_shard(all[1]); });
  std::printf("innermost:%d outermost:%d bounded:%d one_of_many:%d\nready\n", line_of_innermost, line_of_outermost,
              line_of_bounded, line_of_one_of_many);
  std::fflush(stdout);
  if (abort_then) std::abort();
  co_await atoll::sleep(std::chrono::hours(1));
  co_return 0;
}

}  // namespace waiting

int main(int argc, char** argv) {
  bool abort_then = false;
  atoll::app app("atoll_test_waiting", "Waits.");
  app.flag("--abort", abort_then, "end with SIGABRT once everything waits");
  return app.run(argc, argv, [&abort_then] { return waiting::run(abort_then); });
}
