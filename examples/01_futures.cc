// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Futures and coroutines: several at once, the first of several, failures as values, trying again.
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include <atoll/actors/future/combinators.hh>
#include <atoll/sharding/app.hh>

using namespace std::chrono_literals;

/// A replica answers after a while, or is down.
atoll::future<int> ask(std::string replica) {
  if (replica == "down") co_await atoll::fail(atoll::status_code::unavailable, "no route to " + replica);
  co_await atoll::or_fail(atoll::sleep(replica == "near" ? 1ms : 1h));
  co_return 42;
}

/// It answers from the third time on.
class shaky {
 public:
  atoll::future<int> ask() {
    if (++asked_ < 3) co_return atoll::error(atoll::status_code::unavailable, "not yet");
    co_return asked_;
  }

 private:
  int asked_ = 0;
};

atoll::future<int> demo() {
  std::vector<std::string> near(10, "near");
  const int sum = co_await atoll::map_reduce(near, &ask, 0, std::plus<>());  // all ten at once
  std::printf("ten replicas: %d\n", sum);

  // Whoever is first; the other is cancelled, and has ended when we go on.
  const auto first = co_await atoll::when_any([] { return ask("far"); }, [] { return ask("near"); });
  std::printf("the first was number %zu\n", first.index);

  const auto down = co_await atoll::as_result(ask("down"));  // a failure as a value
  std::printf("down: %s\n", down ? "answered" : down.error().to_string().c_str());

  const auto late = co_await atoll::as_result(atoll::with_timeout(5ms, [] { return ask("far"); }));
  std::printf("far: %s\n", late ? "answered" : late.error().to_string().c_str());

  shaky service;
  const atoll::retry_policy policy{.attempts_max = 5, .first_pause = 1ms};
  const int attempts = co_await atoll::retry(policy, [&service] { return service.ask(); });
  std::printf("shaky: answered at attempt %d\n", attempts);

  const bool held = sum == 420 && first.index == 1 && !down && !late && attempts == 3;
  co_return held ? 0 : 1;
}

int main(int argc, char** argv) {
  atoll::app app("futures", "Shows futures and coroutines.");
  return app.run(argc, argv, [] { return demo(); });
}
