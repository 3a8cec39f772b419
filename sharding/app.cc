// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/app.hh>

#include <pthread.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <limits>
#include <span>

#include <CLI/CLI.hpp>

#include <atoll/actors/base/log.hh>
#include <atoll/sharding/signals.hh>

namespace atoll_root::atoll {
namespace {

constexpr std::array<int, 2> stop_signals = {SIGINT, SIGTERM};

constexpr int exit_failed = 1;
constexpr int exit_usage = 2;

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
    signals.insert(signals.end(), stop_signals.begin(), stop_signals.end());
    const sigset_t set = set_of(signals);
    ::pthread_sigmask(SIG_BLOCK, &set, &before_);
  }
  blocked_signals(const blocked_signals&) = delete;
  blocked_signals& operator=(const blocked_signals&) = delete;
  ~blocked_signals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_{};
};

}  // namespace

struct app::command_line {
  command_line(std::string name, std::string description) : parser(std::move(description), std::move(name)) {}

  /// A number without a sign that the type can hold, whatever the parser would make of others.
  template <class Number>
  void add_number(const std::string& option, Number& value, const std::string& help) {
    parser.add_option(option, value, help)->capture_default_str()->check([](const std::string& text) {
      Number parsed = 0;
      const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), parsed);
      if (failed == std::errc() && end == text.data() + text.size()) return std::string();
      return "wants a number from 0 to " + std::to_string(std::numeric_limits<Number>::max()) + ", not '" + text + "'";
    });
  }

  CLI::App parser;
  runtime_options runtime;
};

app::app(std::string name, std::string description)
    : line_(std::make_unique<command_line>(std::move(name), std::move(description))) {
  auto& runtime = line_->runtime;
  line_->parser
      .add_option("--shards", runtime.shards,
                  "shards to run, one thread each (default: one a processor this process may use)")
      ->check(CLI::Range(shard_id{1}, runtime_options::shards_max));
  line_->parser.add_flag("--no-pin{false}", runtime.pin, "don't bind shards to processors");
}

app::~app() = default;

void app::option(const std::string& name, std::string& value, const std::string& help) {
  line_->parser.add_option(name, value, help)->capture_default_str();
}
void app::option(const std::string& name, std::uint16_t& value, const std::string& help) {
  line_->add_number(name, value, help);
}
void app::option(const std::string& name, std::uint32_t& value, const std::string& help) {
  line_->add_number(name, value, help);
}
void app::option(const std::string& name, std::uint64_t& value, const std::string& help) {
  line_->add_number(name, value, help);
}
void app::option(const std::string& name, std::vector<std::string>& value, const std::string& help) {
  line_->parser.add_option(name, value, help)->allow_extra_args(false);
}
void app::flag(const std::string& name, bool& value, const std::string& help) {
  line_->parser.add_flag(name, value, help);
}

int app::run(int argc, char** argv, runtime::main_function main) {
  const auto& name = line_->parser.get_name();
  try {
    line_->parser.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(line_->parser.help().c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& e) {
    std::fprintf(stderr, "%s: %s (--help tells more)\n", name.c_str(), e.what());
    return exit_usage;
  }
  const auto outcome = [&] {
    const blocked_signals left_to_futures(signals_);
    return runtime::run(line_->runtime, std::move(main));
  }();
  if (outcome) return *outcome;
  std::fprintf(stderr, "%s: %s\n", name.c_str(), outcome.error().to_string().c_str());
  return exit_failed;
}

future<int> stop_signal() {
  const int signal = co_await next_signal(SIGINT, SIGTERM);
  log_info("{}: stopping; a second signal ends the process at once", signal == SIGINT ? "SIGINT" : "SIGTERM");
  // Unblocked on this thread, a further signal has its default effect.
  const sigset_t set = set_of(stop_signals);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  co_return signal;
}

}  // namespace atoll_root::atoll
