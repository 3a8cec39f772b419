// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// app: a program that runs on shards. Reads the command line, starts the runtime, maps errors to an exit code.
//
//   int main(int argc, char** argv) {
//     atoll::app app("counterd", "Counts things.");
//     std::uint16_t port = 7000;
//     app.option("--port", port, "TCP port to serve on");
//     return app.run(argc, argv, [&]() -> atoll::future<int> { ...; co_await atoll::stop_signal(); co_return 0; });
//   }
//
// Every app has --shards N and --help. A flag that is unknown, malformed or out of range gives one line on stderr
// and exit code 2; a failed main one line and exit code 1. SIGINT and SIGTERM don't kill an app: it awaits
// them with stop_signal(); the second one ends the process at once.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <atoll/sharding/runtime.hh>

namespace atoll_root::atoll {

class app {
 public:
  app(std::string name, std::string description);
  app(const app&) = delete;
  app& operator=(const app&) = delete;
  ~app();

  /// Declares an option that sets `value`, which keeps what it has where the option is not given.
  void option(const std::string& name, std::string& value, const std::string& help);
  void option(const std::string& name, std::uint16_t& value, const std::string& help);
  void option(const std::string& name, std::uint32_t& value, const std::string& help);
  void option(const std::string& name, std::uint64_t& value, const std::string& help);
  /// May be given several times.
  void option(const std::string& name, std::vector<std::string>& value, const std::string& help);
  void flag(const std::string& name, bool& value, const std::string& help);

  /// Leaves these signals to next_signal() (signals.hh), from the start of run() to its end, instead of their default
  /// effect. SIGINT and SIGTERM are left to stop_signal() always.
  template <std::same_as<int>... Signals>
  void receive(Signals... signals) {
    (signals_.push_back(signals), ...);
  }

  /// The exit code of the process. The signal mask is afterwards what it was.
  int run(int argc, char** argv, runtime::main_function main);

 private:
  struct command_line;
  std::unique_ptr<command_line> line_;
  std::vector<int> signals_;
};

/// Ready with the number of the SIGINT or SIGTERM that asks this process to stop. On shard 0; the signal after
/// it ends the process at once, with the exit status of that signal.
future<int> stop_signal();

}  // namespace atoll_root::atoll
