// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// An app that prints the signals it gets, for the tests that need another process. Asked to stop it never does: a further
// signal has to end it. Its flags make it behave otherwise.
#include <csignal>
#include <cstdio>
#include <string>

#include <atoll/actors/future/sleep.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/signals.hh>
#include <atoll/sharding/submit.hh>

namespace {

void say(const char* what) {
  std::puts(what);
  std::fflush(stdout);
}

atoll::future<> print_hangups() {
  while (true) {
    co_await atoll::next_signal(SIGHUP);
    say("hangup");
  }
}

atoll::future<int> run_until_stopped(bool orderly) {
  if (!orderly) static_cast<void>(print_hangups());
  say("ready");
  co_await atoll::stop_signal();
  say("stopping");
  if (!orderly) co_await atoll::sleep(std::chrono::hours(1));
  co_return 0;
}

/// Never asks for a signal.
atoll::future<int> sleep_on() {
  say("ready");
  const auto slept = co_await atoll::as_result(atoll::sleep(std::chrono::hours(1)));
  say(slept ? "slept" : std::string(slept.error().message()).c_str());
  const auto clean_up = [] { return atoll::sleep(std::chrono::milliseconds(5)); };
  co_await atoll::shielded(clean_up);
  say("cleaned up");
  if (!slept) co_await atoll::fail(slept.error());
  co_return 0;
}

atoll::future<> say_when_asked(const char* what) {
  co_await atoll::stop_signal();
  say(what);
}

/// Three who wait, on two shards.
atoll::future<int> wait_thrice() {
  auto first = say_when_asked("one");
  auto other = atoll::submit_to(1, [] { return say_when_asked("one"); });
  auto last = say_when_asked("one");
  co_await atoll::submit_to(1, [] {});  // behind its call
  say("ready");
  co_await std::move(first);
  co_await std::move(other);
  co_await std::move(last);
  co_await atoll::stop_signal();  // came already
  co_return 0;
}

/// Shard 0 computes for ever; the wait is under way or isn't.
atoll::future<int> compute(bool waits) {
  auto wait = waits ? say_when_asked("told") : atoll::make_ready_future();
  say("ready");
  for (volatile bool on = true; on;) {
  }
  co_await std::move(wait);
  co_return 0;
}

}  // namespace

int main(int argc, char** argv) {
  bool orderly = false;
  atoll::app app("atoll_test_signals", "Prints the signals it gets.");
  app.flag("--orderly", orderly, "end when asked to stop");
  bool silent = false;
  app.flag("--silent", silent, "never ask for a signal");
  bool thrice = false;
  app.flag("--thrice", thrice, "wait three times at once");
  bool busy = false;
  app.flag("--busy", busy, "keep shard 0 busy");
  app.receive(SIGHUP);
  return app.run(argc, argv, [&] {
    if (silent) return sleep_on();
    if (thrice) return wait_thrice();
    if (busy) return compute(!orderly);
    return run_until_stopped(orderly);
  });
}
