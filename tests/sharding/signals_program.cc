// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// An app that prints the signals it gets, for the tests that need another process. Asked to stop it never does: a further
// signal has to end it.
#include <csignal>
#include <cstdio>

#include <atoll/actors/future/sleep.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/signals.hh>

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

}  // namespace

int main(int argc, char** argv) {
  bool orderly = false;
  atoll::app app("atoll_test_signals", "Prints the signals it gets.");
  app.flag("--orderly", orderly, "end when asked to stop");
  app.receive(SIGHUP);
  return app.run(argc, argv, [&orderly] { return run_until_stopped(orderly); });
}
