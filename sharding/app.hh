// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// app: a program that runs on shards. Reads its options, starts the runtime, maps errors to an exit code.
//
//   int main(int argc, char** argv) {
//     atoll::app app("counterd", "Counts things.");
//     std::uint16_t port = 7000;
//     atoll::duration idle = 10s;
//     app.option("--port", port, "TCP port to serve on");
//     app.option("--idle", atoll::duration_option{.value = idle, .min = 1ms, .max = 1h}, "close it after that");
//     return app.run(argc, argv, [&] { return serve(port, idle); });   // atoll::future<int> serve(...): a coroutine
//   }
//
// A value comes from the flag (`--port 80`, `--port=80`), else from the environment (COUNTERD_PORT; ATOLL_SHARDS for
// what every app has; an empty variable is not set), else from the file that --config or ATOLL_CONFIG names (`port =
// 80`; config_file.hh has the format), else it stays as built in. Every app has --help, --print-config (each setting,
// and where it came from), --doctor (what was found of the machine, the plan, and whether it can start) and the options
// of runtime_options. What is unknown, malformed, out of range or given twice, in whatever source, gives one line on
// stderr that names source, option and what it takes, and exit code 2; a failed main one line and exit code 1. The
// first SIGINT or SIGTERM makes stop_signal() ready; where nobody waits for it, main is cancelled, and the exit code is 128
// and the signal's number. The second one ends the process at once, whatever its shards are doing. SIGUSR1
// makes it write to stderr what every coroutine waits for (diagnostics.hh), unless it receives that signal itself.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <atoll/actors/base/units.hh>
#include <atoll/sharding/runtime.hh>

namespace atoll_root::atoll {

class app {
 public:
  app(std::string name, std::string description);
  app(const app&) = delete;
  app& operator=(const app&) = delete;
  ~app();

  /// Declares an option, "--name", that sets `value`, which keeps what it has where the option is not given. Options
  /// are declared before run(), and the values last until it returns.
  void option(const std::string& name, std::string& value, const std::string& help);
  void option(const std::string& name, std::uint16_t& value, const std::string& help);
  void option(const std::string& name, std::uint32_t& value, const std::string& help);
  void option(const std::string& name, std::uint64_t& value, const std::string& help);
  void option(const std::string& name, duration_option value, const std::string& help);
  void option(const std::string& name, bytes_option value, const std::string& help);
  /// May be given several times: as flags and as lines of a file. The environment gives one.
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
  struct settings;
  std::unique_ptr<settings> settings_;
  std::vector<int> signals_;
};

/// Ready with the number of the SIGINT or SIGTERM that asks this process to stop, for all who wait; at once where it has come
/// already. On any shard of an app. The signal after it ends the process at once, with the exit status of that signal.
/// Errors: `failed_precondition` where no app::run() runs; those of the caller's context.
future<int> stop_signal();

}  // namespace atoll_root::atoll
