// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// rpc.echo/N: a remote call with 64 bytes there and back, N outstanding, between two single-shard processes on two
// processors; calls a second.
#include <sched.h>
#include <spawn.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <stdexcept>

#include <atoll/rpc/cluster.hh>
#include <atoll/sharding/runtime.hh>

#include "bench.hh"

extern char** environ;  // NOLINT: POSIX

namespace bench {
namespace {

class echo {
 public:
  atoll::future<atoll::bytes> call(atoll::bytes payload) {
    return atoll::make_ready_future<atoll::bytes>(std::move(payload));
  }
};
ATOLL_SERVICE(echo, "bench.Echo", ATOLL_METHOD(call, payload));

void run_on(unsigned cpu) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  CPU_SET(cpu, &mask);
  ::sched_setaffinity(0, sizeof mask, &mask);
}

std::vector<atoll::peer> peers_for(std::uint16_t port) {
  return {{1, {"127.0.0.1", static_cast<std::uint16_t>(port + 1)}}, {2, {"127.0.0.1", port}}};
}

/// This program once more, as a server; its standard input is a pipe whose end ends it.
class server_process {
 public:
  explicit server_process(std::uint16_t port) {
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    if (::pipe(in.data()) != 0 || ::pipe(out.data()) != 0) throw std::runtime_error("pipe");
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    ::posix_spawn_file_actions_addclose(&actions, in[1]);
    ::posix_spawn_file_actions_addclose(&actions, out[0]);
    auto path = own_path();
    auto flag = std::string("--rpc-server");
    auto number = std::to_string(port);
    std::array<char*, 4> arguments = {path.data(), flag.data(), number.data(), nullptr};
    const int failed = ::posix_spawn(&pid_, path.c_str(), &actions, nullptr, arguments.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]);
    ::close(out[1]);
    input_ = in[1];
    char ready = 0;
    const bool started = failed == 0 && ::read(out[0], &ready, 1) == 1;
    ::close(out[0]);
    if (!started) throw std::runtime_error("the server process did not start");
  }
  server_process(const server_process&) = delete;
  server_process& operator=(const server_process&) = delete;
  ~server_process() {
    ::close(input_);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  pid_t pid_ = -1;
  int input_ = -1;
};

atoll::future<> call_again(atoll::remote_ref<echo> ref, std::uint64_t calls) {
  const std::string payload(64, 'x');
  for (std::uint64_t i = 0; i < calls; ++i) co_await ref.call(atoll::bytes(payload));
}

atoll::future<int> measure_calls(std::uint16_t port, std::uint32_t outstanding, double& rate) {
  const std::uint64_t calls = outstanding == 1 ? 20'000 : 300'000;
  atoll::cluster cluster({.self = 1, .peers = peers_for(port), .call_timeout = std::chrono::seconds(60)});
  co_await cluster.start();
  co_await cluster.all_up();
  const auto ref = cluster.ref<echo>(2, 0);
  co_await call_again(ref, 1'000);
  const auto begin = atoll::mono_now();
  std::vector<atoll::future<>> callers;
  for (std::uint32_t i = 0; i < outstanding; ++i) callers.push_back(call_again(ref, calls / outstanding));
  for (auto& c : callers) co_await std::move(c);
  const std::chrono::duration<double> took = atoll::mono_now() - begin;
  rate = static_cast<double>(calls / outstanding * outstanding) / took.count();
  co_await cluster.stop();
  co_return 0;
}

double calls_per_second(std::uint32_t outstanding) {
  const auto port = static_cast<std::uint16_t>(21'000 + ::getpid() % 5'000 * 2);
  const server_process server(port);
  run_on(0);
  double rate = 0;
  const auto main = [&] { return measure_calls(port, outstanding, rate); };
  static_cast<void>(atoll::runtime::run({.shards = 1}, main).value());
  return rate;
}

atoll::future<int> serve_echoes(std::uint16_t port) {
  atoll::cluster cluster({.self = 2, .peers = peers_for(port)});
  atoll::sharded<echo> echoes;
  co_await echoes.start();
  co_await cluster.start();
  co_await cluster.serve(echoes.ref());
  std::putchar('r');
  std::fflush(stdout);
  // Until the bench closes our standard input; looked at between calls, now and then.
  for (char c = 0;; co_await atoll::sleep(std::chrono::milliseconds(20))) {
    fd_set in;
    FD_ZERO(&in);
    FD_SET(STDIN_FILENO, &in);
    timeval now{};
    if (::select(STDIN_FILENO + 1, &in, nullptr, nullptr, &now) > 0 && ::read(STDIN_FILENO, &c, 1) <= 0) break;
  }
  co_await cluster.stop();
  co_await echoes.stop();
  co_return 0;
}

}  // namespace

int run_rpc_server(std::uint16_t port) {
  run_on(1);
  const auto main = [port] { return serve_echoes(port); };
  const auto code = atoll::runtime::run({.shards = 1}, main);
  return code ? *code : 1;
}

std::vector<benchmark> rpc_benches() {
  std::vector<benchmark> all;
  for (const std::uint32_t n : {1U, 64U, 256U}) {
    all.push_back({"rpc.echo/" + std::to_string(n), "calls/s", [n] {
                     const double limit = tcp_echoes_per_second(n);
                     return pair{calls_per_second(n), limit};
                   }});
  }
  return all;
}

}  // namespace bench
