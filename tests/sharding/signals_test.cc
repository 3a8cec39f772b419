// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/signals.hh>

#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <new>
#include <string>
#include <thread>

#include <atoll/actors/io/io_backend.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/offload.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

#include "child_process.hh"

namespace {

using atoll::future;
using atoll::next_signal;
using atoll::status_code;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Blocks signals while it lives, as app::receive() does; what came meanwhile and nobody took is dropped.
class received {
 public:
  explicit received(std::initializer_list<int> signals) {
    ::sigemptyset(&set_);
    for (const int signal : signals) ::sigaddset(&set_, signal);
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
  }
  received(const received&) = delete;
  received& operator=(const received&) = delete;
  ~received() {
    const timespec at_once{};
    while (::sigtimedwait(&set_, nullptr, &at_once) > 0) continue;
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t set_{};
  sigset_t before_{};
};

/// next_signal() that fails instead of hanging the test.
future<int> soon(int signal) {
  return atoll::with_deadline(atoll::mono_now() + seconds(60), [signal] { return next_signal(signal); });
}

TEST(signals, one_that_came_before_the_wait_counts) {
  const received on({SIGUSR1, SIGUSR2});
  atoll::testing::run_test([]() -> future<> {
    ::kill(::getpid(), SIGUSR2);
    const int got = co_await next_signal(SIGUSR1, SIGUSR2);
    EXPECT_EQ(got, SIGUSR2);
  });
}

TEST(signals, several_waits_get_each_its_own) {
  const received on({SIGHUP, SIGUSR1, SIGUSR2});
  atoll::testing::run_test([]() -> future<> {
    auto hangup = soon(SIGHUP);
    auto first = soon(SIGUSR1);
    auto on_other_shard = atoll::submit_to(1, [] { return soon(SIGUSR2); });
    ::kill(::getpid(), SIGUSR1);
    EXPECT_EQ(co_await std::move(first), SIGUSR1);
    EXPECT_FALSE(hangup.available());
    ::kill(::getpid(), SIGUSR2);
    EXPECT_EQ(co_await std::move(on_other_shard), SIGUSR2);
    ::kill(::getpid(), SIGHUP);
    EXPECT_EQ(co_await std::move(hangup), SIGHUP);
  });
}

TEST(signals, a_wait_ends_by_its_deadline_and_leaves_the_signal_to_the_next) {
  const received on({SIGUSR1});
  atoll::testing::run_test([]() -> future<> {
    for (int i = 0; i < 50; ++i) {
      const auto brief = [] { return next_signal(SIGUSR1); };
      const auto none = co_await atoll::as_result(atoll::with_deadline(atoll::mono_now() + milliseconds(1), brief));
      ATOLL_REQUIRE(!none);
      EXPECT_EQ(none.error().code(), status_code::deadline_exceeded);
    }
    ::kill(::getpid(), SIGUSR1);
    EXPECT_EQ(co_await soon(SIGUSR1), SIGUSR1);
  });
}

ATOLL_TEST(signals, one_that_has_its_default_effect_is_an_error) {
  const auto open = co_await atoll::as_result(next_signal(SIGUSR1));
  ATOLL_REQUIRE(!open);
  EXPECT_EQ(open.error().code(), status_code::failed_precondition);
  const auto unknown = co_await atoll::as_result(next_signal(0));
  ATOLL_REQUIRE(!unknown);
  EXPECT_EQ(unknown.error().code(), status_code::invalid_argument);
}

constexpr int storm = 100'000;

/// Takes signals until the last of the storm has been seen: one that was lost would end it by the deadline.
future<> outlast(const std::atomic<int>& sent) {
  while (sent < storm) EXPECT_EQ(co_await soon(SIGUSR1), SIGUSR1);
}

TEST(signals, a_storm_from_a_thread_loses_nothing_that_matters) {
  const received on({SIGUSR1});
  atoll::testing::run_test([]() -> future<> {
    std::atomic<int> sent = 0;
    std::thread sender([&sent] {
      for (int i = 0; i < storm; ++i) {
        ++sent;
        ::kill(::getpid(), SIGUSR1);
      }
    });
    co_await outlast(sent);
    sender.join();
  });
}

TEST(signals, a_storm_from_another_process_loses_nothing_that_matters) {
  const received on({SIGUSR1});
  void* shared = ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto& sent = *::new (shared) std::atomic<int>(0);
  const pid_t target = ::getpid();
  const pid_t sender = ::fork();  // before there are shards
  ASSERT_GE(sender, 0);
  if (sender == 0) {
    for (int i = 0; i < storm; ++i) {
      ++sent;
      ::kill(target, SIGUSR1);
    }
    ::_exit(0);
  }
  atoll::testing::run_test([&sent] { return outlast(sent); });
  int status = 0;
  ::waitpid(sender, &status, 0);
  EXPECT_EQ(status, 0);
  ::munmap(shared, sizeof(std::atomic<int>));
}

/// Starts a program that writes to `out`; its process or -1.
using starter = pid_t (*)(char* const* arguments, int out);

/// The first of the ways that signals.hh tells.
pid_t spawn(char* const* arguments, int out) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  posix_spawnattr_t how;
  ::posix_spawnattr_init(&how);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&how, &none);
  ::posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
  pid_t child = -1;
  if (::posix_spawn(&child, arguments[0], &actions, &how, arguments, environ) != 0) child = -1;
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&how);
  return child;
}

/// The second.
pid_t fork_and_execute(char* const* arguments, int out) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  ::dup2(out, STDOUT_FILENO);
  ::execve(arguments[0], arguments, environ);
  ::_exit(127);
}

/// What a shell command prints and how it ended: all of that is empty where it could not be started.
std::string output_of(std::string command, starter start) {
  std::array<int, 2> out{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0) return {};
  std::string shell = "/bin/sh";
  std::string option = "-c";
  const std::array<char*, 4> arguments = {shell.data(), option.data(), command.data(), nullptr};
  const pid_t child = start(arguments.data(), out[1]);
  ::close(out[1]);
  std::string text;
  std::array<char, 4096> piece{};
  for (ssize_t n = 0; (n = ::read(out[0], piece.data(), piece.size())) > 0;) {
    text.append(piece.data(), static_cast<std::size_t>(n));
  }
  ::close(out[0]);
  int status = 0;
  if (child < 0 || ::waitpid(child, &status, 0) != child) return {};
  return text + "status " + std::to_string(status);
}

/// Sends and receives on a socket of this shard, and sleeps, until it is told to stop.
future<> keep_busy(const std::atomic<bool>& stop, std::atomic<int>& rounds) {
  auto& io = *atoll::this_shard().io;
  const auto listener = io.listen({"127.0.0.1", 0}, {}).value();
  auto accepted = listener->accept();
  const auto address = listener->address();
  const auto near = co_await io.connect(address);
  const auto far = co_await std::move(accepted);
  std::array<char, 16> buffer{};
  while (!stop) {
    co_await near->write_all("ping");
    EXPECT_EQ(co_await far->read_some(buffer), 4U);
    co_await atoll::sleep(std::chrono::microseconds(100));
    ++rounds;
  }
}

/// Until more has been done on the other shard, or a minute.
future<bool> goes_on(const std::atomic<int>& rounds) {
  const int before = rounds;
  const auto end = atoll::mono_now() + seconds(60);
  while (rounds < before + 3 && atoll::mono_now() < end) co_await atoll::sleep(milliseconds(1));
  co_return rounds >= before + 3;
}

future<> start_children(auto& expected, auto& look) {
  auto waiting = soon(SIGHUP);
  std::atomic<bool> stop = false;
  std::array<std::atomic<int>, 2> rounds{};
  auto here = keep_busy(stop, rounds[0]);
  const auto on_the_other = [&] { return keep_busy(stop, rounds[1]); };
  auto there = atoll::submit_to(1, on_the_other);
  // UndefinedBehaviorSanitizer opens a pipe, which a child gets, where it meets a dynamic type for the first time.
  EXPECT_TRUE(co_await goes_on(rounds[0]));
  EXPECT_TRUE(co_await goes_on(rounds[1]));
  for (const auto& [start, text] : expected) {
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(output_of(look, start), text) << "on a shard, which gets ticks meanwhile";
      const auto elsewhere = [look, start = start] { return output_of(look, start); };
      EXPECT_EQ(co_await atoll::offload(elsewhere), text);
      EXPECT_TRUE(co_await goes_on(rounds[0]));
      EXPECT_TRUE(co_await goes_on(rounds[1]));
    }
  }
  stop = true;
  co_await std::move(here);
  co_await std::move(there);
  ::kill(::getpid(), SIGHUP);
  EXPECT_EQ(co_await std::move(waiting), SIGHUP);
}

TEST(signals, child_processes_inherit_nothing_of_ours_while_shards_are_busy) {
  const std::string look = "ls /proc/self/fd; grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status; exit 3";
  // The C library's spawn ignores two signals of its own in the child.
  const std::map<starter, std::string> expected = {{&spawn, output_of(look, &spawn)},
                                                   {&fork_and_execute, output_of(look, &fork_and_execute)}};
  for (const auto& [start, text] : expected) {
    ASSERT_NE(text.find("SigBlk:\t0000000000000000"), std::string::npos) << text;
    ASSERT_TRUE(text.ends_with("status " + std::to_string(3 << 8))) << text;
  }
  const received on({SIGINT, SIGTERM, SIGHUP});
  atoll::testing::run_test([&] { return start_children(expected, look); });
}

future<> start_child_elsewhere(auto& look, auto& expected) {
  const auto elsewhere = [look] { return output_of(look, &spawn); };
  EXPECT_EQ(co_await atoll::offload(elsewhere), expected);
}

TEST(signals, a_child_process_of_an_offloaded_function_may_run_on_all_processors) {
  const std::string look = "grep Cpus_allowed_list /proc/self/status";
  const auto expected = output_of(look, &spawn);
  atoll::testing::run_test([&] { return start_child_elsewhere(look, expected); });
}

TEST(signals, an_app_receives_what_it_named_and_a_second_stop_signal_ends_it) {
  for (const int first : {SIGINT, SIGTERM}) {
    for (const int second : {SIGINT, SIGTERM}) {
      demo::child_process app({ATOLL_TEST_SIGNALS, "--shards", "2"});
      ASSERT_EQ(app.read_line(), "ready");
      for (int i = 0; i < 3; ++i) {
        app.signal(SIGHUP);
        ASSERT_EQ(app.read_line(), "hangup");
      }
      app.signal(first);
      ASSERT_EQ(app.read_line(), "stopping");
      app.signal(second);
      EXPECT_EQ(app.wait(), -second);
    }
  }
}

TEST(signals, an_app_that_does_not_wait_for_a_stop_signal_is_cancelled_by_it) {
  for (const int signal : {SIGINT, SIGTERM}) {
    demo::child_process app({ATOLL_TEST_SIGNALS, "--shards", "2", "--silent"});
    ASSERT_EQ(app.read_line(), "ready");
    app.signal(signal);
    EXPECT_NE(app.read_line().find(signal == SIGINT ? "SIGINT" : "SIGTERM"), std::string::npos);
    EXPECT_EQ(app.read_line(), "cleaned up");
    EXPECT_EQ(app.wait(), 128 + signal);
  }
}

TEST(signals, all_who_wait_for_the_stop_signal_are_told) {
  demo::child_process app({ATOLL_TEST_SIGNALS, "--shards", "2", "--thrice"});
  ASSERT_EQ(app.read_line(), "ready");
  app.signal(SIGTERM);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(app.read_line(), "one");
  EXPECT_EQ(app.wait(), 0);
}

TEST(signals, a_second_stop_signal_ends_an_app_whose_shard_0_never_looks) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  GTEST_SKIP() << "it keeps signals back until a system call";
#endif
#endif
  for (const bool waits : {true, false}) {
    std::vector<std::string> command{ATOLL_TEST_SIGNALS, "--shards", "2", "--busy"};
    if (!waits) command.emplace_back("--orderly");
    demo::child_process app(command);
    ASSERT_EQ(app.read_line(), "ready");
    app.signal(SIGTERM);
    app.signal(SIGINT);
    const int status = app.wait();  // which of them is seen first, the kernel says
    EXPECT_TRUE(status == -SIGTERM || status == -SIGINT) << status;
  }
}

ATOLL_TEST(signals, the_stop_signal_needs_an_app) {
  const auto here = co_await atoll::as_result(atoll::stop_signal());
  EXPECT_EQ(here.error().code(), status_code::failed_precondition);
}

TEST(signals, a_wait_that_ends_says_what_it_waited_for) {
  const received on({SIGUSR1});
  atoll::testing::run_test([]() -> future<> {
    const auto wait = [] { return next_signal(SIGUSR1); };
    const auto late = co_await atoll::as_result(atoll::with_timeout(milliseconds(1), wait));
    EXPECT_NE(late.error().message().find("wait for a signal"), std::string_view::npos) << late.error().message();
    atoll::cancel_source source;
    auto cancelled = source.run(wait);
    source.cancel();
    const auto outcome = co_await atoll::as_result(std::move(cancelled));
    EXPECT_EQ(outcome.error().code(), status_code::cancelled);
    EXPECT_NE(outcome.error().message().find("wait for a signal"), std::string_view::npos) << outcome.error().message();
  });
}

TEST(signals, an_app_ends_in_order) {
  demo::child_process app({ATOLL_TEST_SIGNALS, "--shards", "2", "--orderly"});
  ASSERT_EQ(app.read_line(), "ready");
  app.signal(SIGTERM);
  ASSERT_EQ(app.read_line(), "stopping");
  EXPECT_EQ(app.wait(), 0);
}

}  // namespace
