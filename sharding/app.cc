// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/app.hh>

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <optional>
#include <span>

#include <CLI/CLI.hpp>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/base/printable.hh>
#include <atoll/actors/future/cancel.hh>
#include <atoll/actors/io/io_backend.hh>
#include <atoll/sharding/config_file.hh>
#include <atoll/sharding/diagnostics.hh>
#include <atoll/sharding/doctor.hh>
#include <atoll/sharding/option_kinds.hh>
#include <atoll/sharding/shard_local.hh>
#include <atoll/sharding/signals.hh>
#include <atoll/sharding/stop_signals.hh>

namespace atoll_root::atoll {
namespace {

constexpr int dump_signal = SIGUSR1;

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;
constexpr int exit_by_signal = 128;  // and its number, as shells say it

constexpr const char* config_environment = "ATOLL_CONFIG";
/// No options, and no misspelt ones either: --config, and what tests read.
constexpr std::array<std::string_view, 2> known_environment = {config_environment, "ATOLL_TEST_*"};

/// What is no setting: it can't stand in a file.
constexpr std::array<std::string_view, 4> commands = {"help", "config", "print-config", "doctor"};
constexpr std::string_view commands_help =
    "  --config FILE\n      read settings from this file: lines of KEY = VALUE, KEY as the flag without its dashes\n"
    "      at most 1MiB; default: none; env: ATOLL_CONFIG\n"
    "  --print-config\n      print each setting and where it came from, as such a file, and exit\n"
    "  --doctor\n      print what was found of this machine and the plan for it, and exit: 0, or 1 if it can't start\n"
    "  --help\n      print this and exit\n"
    "SIGUSR1 makes it write to stderr what each coroutine waits for. A second SIGINT or SIGTERM ends it at once.\n"
    "A flag overrules the environment, that the file, that the default. An empty variable is not set; of those that\n"
    "begin with ATOLL_ and set nothing, one is named on stderr.\n";

sigset_t set_of(std::span<const int> signals) noexcept {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : signals) ::sigaddset(&set, signal);
  return set;
}

/// Blocks signals on this thread, and so in every thread made meanwhile; the mask is as before when it goes.
class blocked_signals {
 public:
  explicit blocked_signals(std::vector<int> signals) {
    signals.push_back(stop_handler::request_number());
    const sigset_t set = set_of(signals);
    ::pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  blocked_signals(const blocked_signals&) = delete;
  blocked_signals& operator=(const blocked_signals&) = delete;
  ~blocked_signals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

/// What stands on the command line, not yet checked but for the names.
struct command_line {
  bool help = false;
  bool print_config = false;
  bool doctor = false;
  std::vector<std::string> config;
  std::vector<std::vector<std::string>> values;  // by option of the table; none: not given

  result<void> parse(const option_table& table, int argc, char** argv);
};

/// The arguments, with `--name=` as the two `--name` and an empty one: the parser would take the argument after it.
result<std::vector<std::string>> split_empty_values(const option_table& table, int argc, char** argv) {
  std::vector<std::string> arguments;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    const bool empty_value = argument.starts_with("--") && argument.ends_with('=');
    const std::string name = empty_value ? argument.substr(2, argument.size() - 3) : std::string();
    const auto* const entry = table.find(name);
    if (entry != nullptr && entry->kind.empty()) {
      return error(status_code::invalid_argument, "flag --" + name + ": wants " + entry->accepted + ", not ''");
    }
    if (name == "config" || entry != nullptr) {
      arguments.push_back("--" + name);
      argument.clear();
    }
    arguments.push_back(std::move(argument));
  }
  return arguments;
}

result<void> command_line::parse(const option_table& table, int argc, char** argv) {
  CLI::App parser;
  parser.set_help_flag();
  parser.add_flag("-h,--help", help);
  parser.add_flag("--print-config", print_config);
  parser.add_flag("--doctor", doctor);
  parser.add_option("--config", config)->allow_extra_args(false)->type_name("FILE");
  values.resize(table.entries().size());
  std::vector<CLI::Option*> switches(values.size(), nullptr);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto& entry = table.entries()[i];
    if (entry.kind.empty()) {
      switches[i] = parser.add_flag("--" + entry.name);
    } else {
      parser.add_option("--" + entry.name, values[i])->allow_extra_args(false)->type_name(entry.kind);
    }
  }
  auto arguments = split_empty_values(table, argc, argv);
  if (!arguments) return std::move(arguments).error();
  std::ranges::reverse(*arguments);  // as the parser takes them
  try {
    parser.parse(*std::move(arguments));
  } catch (const CLI::ParseError& e) {
    if (help) return {};
    constexpr std::size_t message_bytes_max = 200;
    return error(status_code::invalid_argument, "flags: " + printable(e.what(), message_bytes_max));
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (switches[i] != nullptr) values[i] = switches[i]->results();
  }
  return {};
}

result<void> read_config(option_table& table, const std::string& path, std::string_view source) {
  auto text = read_config_file(path);
  if (text) return table.apply_config(path, *text);
  return error(status_code::invalid_argument, std::string(source) + ": wants a file of settings, but '" +
                                                  printable(path) + "' " + std::string(text.error().message()));
}

/// Reads every source, in rising precedence.
result<void> apply(option_table& table, const command_line& given) {
  if (given.config.size() > 1) return error(status_code::invalid_argument, "flag --config: takes one file");
  const char* const in_environment = std::getenv(config_environment);
  result<void> done;
  if (!given.config.empty()) {
    done = read_config(table, given.config.front(), "flag --config");
  } else if (in_environment != nullptr && *in_environment != '\0') {
    done = read_config(table, in_environment, "environment " + std::string(config_environment));
  }
  if (done) done = table.apply_environment([](const char* name) { return std::getenv(name); });
  for (std::size_t i = 0; done && i < given.values.size(); ++i) {
    if (!given.values[i].empty()) done = table.apply_flag(table.entries()[i].name, given.values[i]);
  }
  return done;
}

/// Runs main with what signals do: the task dump, and the stop.
future<int> run_with_signals(runtime::main_function main, bool dumps) {
  cancel_source end;
  cancel_source main_ends;
  auto stops = end.run([&main_ends] { return watch_for_stop(main_ends); });
  auto dumping = make_ready_future();
  if (dumps) dumping = end.run([] { return detail::dump_tasks_at(dump_signal); });
  auto outcome = co_await as_result(main_ends.run(main));
  end.cancel();
  static_cast<void>(co_await as_result(std::move(stops)));
  static_cast<void>(co_await as_result(std::move(dumping)));
  // It did not ask for the signal, which ended its waits: the exit code is that of a process that it ended.
  if (!outcome && main_ends.cancelled() && outcome.error().code() == status_code::cancelled) {
    co_return exit_by_signal + local_sharding().stop.signal;
  }
  co_return co_await or_fail(future<int>::from_result(std::move(outcome)));
}

/// Starts the shards and stops them, to see that they can.
int run_doctor(const runtime_options& options) {
  auto found = examine(probe_machine(), options);
  if (found.can_start) {
    const auto started = runtime::run(options, [] { return make_ready_future<int>(0); });
    const auto failure = started ? std::string() : printable(started.error().to_string(), 300);
    found.can_start = started.has_value();
    found.report += to_line({started ? fact_state::ok : fact_state::missing, "start of shards",
                             started ? "done, and stopped again" : failure, started ? "" : "the app does not start"});
  }
  std::fputs(found.report.c_str(), stdout);
  return found.can_start ? 0 : exit_failed;
}

}  // namespace

struct app::settings {
  void add(const std::string& flag, option_entry entry, const std::string& help);

  std::string name;
  std::string description;
  runtime_options runtime{};
  option_table table{};
};

void app::settings::add(const std::string& flag, option_entry entry, const std::string& help) {
  ATOLL_ASSERT(flag.starts_with("--"), "an option is declared as --name");
  entry.name = flag.substr(2);
  ATOLL_ASSERT(!entry.name.empty(), "and the name is not empty");
  ATOLL_ASSERT(std::ranges::count(commands, entry.name) == 0, "every app has this one");
  entry.environment = environment_name(name, entry.name);
  entry.help = help;
  table.add(std::move(entry));
}

app::app(std::string name, std::string description)
    : settings_(std::make_unique<settings>(settings{.name = std::move(name), .description = std::move(description)})) {
  add_runtime_options(settings_->table, settings_->runtime);
}

app::~app() = default;

void app::option(const std::string& name, std::string& value, const std::string& help) {
  settings_->add(name, entry_of(value), help);
}
void app::option(const std::string& name, std::uint16_t& value, const std::string& help) {
  settings_->add(name, entry_of(number_option<std::uint16_t>{.value = value}), help);
}
void app::option(const std::string& name, std::uint32_t& value, const std::string& help) {
  settings_->add(name, entry_of(number_option<std::uint32_t>{.value = value}), help);
}
void app::option(const std::string& name, std::uint64_t& value, const std::string& help) {
  settings_->add(name, entry_of(number_option<std::uint64_t>{.value = value}), help);
}
void app::option(const std::string& name, duration_option value, const std::string& help) {
  settings_->add(name, entry_of(value), help);
}
void app::option(const std::string& name, bytes_option value, const std::string& help) {
  settings_->add(name, entry_of(value), help);
}
void app::option(const std::string& name, std::vector<std::string>& value, const std::string& help) {
  settings_->add(name, entry_of(value), help);
}
void app::flag(const std::string& name, bool& value, const std::string& help) {
  settings_->add(name, entry_of(value), help);
}

int app::run(int argc, char** argv, runtime::main_function main) {
  auto& [name, description, options, table] = *settings_;
  command_line given;
  auto done = given.parse(table, argc, argv);
  if (done && given.help) {
    const std::string own = table.help("");
    const std::string text = description + "\nUsage: " + name + " [options]\n" + (own.empty() ? "" : "\nOptions:\n") +
                             own + "\nOptions of every app:\n" + table.help(runtime_group) + std::string(commands_help);
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  if (done) done = apply(table, given);
  if (!done) {
    std::fprintf(stderr, "%s: %s (--help tells more)\n", name.c_str(), std::string(done.error().message()).c_str());
    return exit_usage;
  }
  if (const auto unknown = table.first_unknown(environ, "ATOLL_", known_environment); !unknown.empty()) {
    std::fprintf(stderr, "%s: environment %s: no option is set by it\n", name.c_str(), printable(unknown).c_str());
  }
  if (given.print_config) {
    std::fputs(table.print().c_str(), stdout);
    return 0;
  }
  if (given.doctor) return run_doctor(options);
  auto received = signals_;
  const bool dumps = std::ranges::count(received, dump_signal) == 0;
  if (dumps) received.push_back(dump_signal);
  const auto outcome = [&] {
    const blocked_signals left_to_futures(std::move(received));
    const stop_handler stops;
    return runtime::run(options, [&main, dumps] { return run_with_signals(main, dumps); });
  }();
  if (outcome) return *outcome;
  std::fprintf(stderr, "%s: %s\n", name.c_str(), outcome.error().to_string().c_str());
  return exit_failed;
}

}  // namespace atoll_root::atoll
