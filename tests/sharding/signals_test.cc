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
#include <new>
#include <string>
#include <thread>

#include <atoll/actors/io/io_backend.hh>
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
  atoll::testing::run_test([&sent]() -> future<> { co_await outlast(sent); });
  int status = 0;
  ::waitpid(sender, &status, 0);
  EXPECT_EQ(status, 0);
  ::munmap(shared, sizeof(std::atomic<int>));
}

/// What a shell command prints, started as signals.hh tells.
std::string output_of(const std::string& command) {
  std::array<int, 2> out{};
  if (::pipe2(out.data(), O_CLOEXEC) != 0) return {};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
  posix_spawnattr_t how;
  ::posix_spawnattr_init(&how);
  sigset_t none;
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&how, &none);
  ::posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
  std::string shell = "/bin/sh";
  std::string option = "-c";
  std::string line = command;
  const std::array<char*, 4> arguments = {shell.data(), option.data(), line.data(), nullptr};
  pid_t child = -1;
  const int failed = ::posix_spawn(&child, shell.c_str(), &actions, &how, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&how);
  ::close(out[1]);
  std::string text;
  std::array<char, 4096> piece{};
  for (ssize_t n = 0; failed == 0 && (n = ::read(out[0], piece.data(), piece.size())) > 0;) {
    text.append(piece.data(), static_cast<std::size_t>(n));
  }
  ::close(out[0]);
  if (failed == 0) ::waitpid(child, nullptr, 0);
  return text;
}

TEST(signals, a_child_process_has_no_descriptors_of_ours_and_can_be_signalled) {
  const std::string descriptors = "ls /proc/self/fd | wc -l";
  const std::string mask = "grep SigBlk /proc/self/status";
  const auto none_blocked = std::string("SigBlk:\t") + std::string(16, '0') + "\n";
  const auto before = output_of(descriptors);
  ASSERT_FALSE(before.empty());
  const received on({SIGINT, SIGTERM, SIGHUP});
  atoll::testing::run_test([&]() -> future<> {
    auto waiting = soon(SIGHUP);
    auto listener = atoll::this_shard().io->listen({"127.0.0.1", 0}, {});
    ATOLL_REQUIRE(listener);
    auto accepted = (*listener)->accept();
    const auto address = (*listener)->address();
    const auto near = co_await atoll::this_shard().io->connect(address);
    const auto far = co_await std::move(accepted);
    EXPECT_EQ(output_of(descriptors), before);  // on a shard
    EXPECT_EQ(output_of(mask), none_blocked);
    const auto list = [descriptors] { return output_of(descriptors); };
    const auto show = [mask] { return output_of(mask); };
    EXPECT_EQ(co_await atoll::offload(list), before);
    EXPECT_EQ(co_await atoll::offload(show), none_blocked);
    ::kill(::getpid(), SIGHUP);
    co_await std::move(waiting);
  });
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

TEST(signals, an_app_ends_in_order) {
  demo::child_process app({ATOLL_TEST_SIGNALS, "--shards", "2", "--orderly"});
  ASSERT_EQ(app.read_line(), "ready");
  app.signal(SIGTERM);
  ASSERT_EQ(app.read_line(), "stopping");
  EXPECT_EQ(app.wait(), 0);
}

}  // namespace
