// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/log.hh>

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace demo {
struct unprintable {};
}  // namespace demo

template <>
struct fmt::formatter<demo::unprintable> {
  static constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  static fmt::format_context::iterator format(const demo::unprintable&, fmt::format_context&) {
    throw std::runtime_error("no text");
  }
};

namespace {

using namespace std::chrono_literals;
using atoll::kv;
using atoll::log_level;
using atoll::logger;
using atoll::rate_limit;
using atoll::this_shard;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::StartsWith;

constexpr logger net_log{"net"};
constexpr logger rpc_log{"rpc"};

/// Takes the lines of this shard while it lives.
class captured : public atoll::log_sink {
 public:
  captured() { this_shard().logs.sink = this; }
  captured(const captured&) = delete;
  captured& operator=(const captured&) = delete;
  ~captured() override { this_shard().logs.sink = nullptr; }
  void write(std::string_view line) noexcept override { lines.emplace_back(line); }

  std::vector<std::string> lines;
};

/// Stands in for the clock of this shard while it lives; nothing may be awaited then.
class hand_clock : public atoll::clock {
 public:
  hand_clock() : before_(std::exchange(this_shard().time, this)) {}
  hand_clock(const hand_clock&) = delete;
  hand_clock& operator=(const hand_clock&) = delete;
  ~hand_clock() override { this_shard().time = before_; }
  atoll::time_point now() noexcept override { return time; }
  atoll::wall_time wall_now() noexcept override { return {}; }

  atoll::time_point time = atoll::time_point(1h);

 private:
  atoll::clock* before_;
};

std::string line_of(std::string_view key, std::string_view value) {
  captured log;
  net_log.info("m", kv(key, value));
  return log.lines.empty() ? "" : log.lines[0];
}

ATOLL_TEST(log, has_level_shard_name_message_and_pairs) {
  captured log;
  const auto e = atoll::error(atoll::status_code::unavailable, "no route");
  net_log.warning("peer is down", kv("peer", 3), kv("why", e.to_string()));
  net_log.info("{} of {} are up", 2, "three");
  net_log.error("{}: {}", "a", 1, kv("b", 2.5), kv("c", true), kv("d", 'x'), kv("e", "lit"));
  atoll::log_info("plain {}", 1);
  atoll::log_error("plain", kv("k", 1));
  EXPECT_THAT(log.lines, ElementsAre("warning [shard 0] net: peer is down peer=3 why=\"unavailable: no route\"\n",
                                     "info [shard 0] net: 2 of three are up\n",
                                     "error [shard 0] net: a: 1 b=2.5 c=true d=x e=lit\n", "info [shard 0] plain 1\n",
                                     "error [shard 0] plain k=1\n"));
  co_return;
}

ATOLL_TEST(log, names_the_shard_it_runs_on) {
  const auto take = [] {
    captured log;
    atoll::log_info("here");
    return log.lines.at(0);
  };
  EXPECT_EQ(co_await atoll::submit_to(1, take), "info [shard 1] here\n");
}

ATOLL_TEST(log, quotes_values_as_logfmt_does) {
  const std::vector<std::pair<std::string_view, std::string_view>> cases = {
      {"plain-1.5/x:y", "plain-1.5/x:y"},
      {"", R"("")"},
      {"two words", R"("two words")"},
      {"a=b", R"("a=b")"},
      {R"(say "hi")", R"("say \"hi\"")"},
      {R"(back\slash)", R"("back\\slash")"},
      {"two\nlines\r\n", R"("two\nlines\r\n")"},
      {"\ttab", R"("\ttab")"},
      {std::string_view("nul\0", 4), R"("nul\x00")"},
      {"\x1b[31m", R"("\x1b[31m")"},
      {"\x7f", R"("\x7f")"},
      {"gr\xc3\xbc\xc3\x9f", "\"gr\xc3\xbc\xc3\x9f\""},
      {"\xc2\x9b", R"("\xc2\x9b")"},          // CSI, a control character past ASCII
      {"\xe2\x80\xa8", R"("\xe2\x80\xa8")"},  // LINE SEPARATOR
      {"\xff\xc3", R"("\xff\xc3")"},          // no UTF-8
  };
  for (const auto& [value, written] : cases) {
    EXPECT_EQ(line_of("k", value), "info [shard 0] net: m k=" + std::string(written) + "\n");
  }
  co_return;
}

ATOLL_TEST(log, keeps_keys_apart_from_values) {
  EXPECT_EQ(line_of("a b=\"c\"\n", "v"), "info [shard 0] net: m a_b__c__=v\n");
  EXPECT_EQ(line_of("", "v"), "info [shard 0] net: m _=v\n");
  EXPECT_EQ(line_of("http.status/x", "v"), "info [shard 0] net: m http.status/x=v\n");
  co_return;
}

ATOLL_TEST(log, is_one_line_whatever_the_message_holds) {
  captured log;
  atoll::log_info("{}", "two\nlines\x1b[2J\x01\xff\\");
  const logger odd{"od\nd"};
  odd.info("x\ty");
  EXPECT_THAT(log.lines,
              ElementsAre("info [shard 0] two\\nlines\\x1b[2J\\x01\\xff\\\n", "info [shard 0] od\\nd: x\\ty\n"));
  co_return;
}

ATOLL_TEST(log, cuts_a_long_line_between_two_characters) {
  captured log;
  std::string umlauts;
  while (umlauts.size() < atoll::log_line_bytes_max) umlauts += "\xc3\xa4";
  atoll::log_info("{}", umlauts);
  atoll::log_info("x{}", umlauts);
  const std::string fits(atoll::log_line_bytes_max - std::string_view("info [shard 0] \n").size(), 'x');
  atoll::log_info("{}", fits);
  ATOLL_REQUIRE(log.lines.size() == 3);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_LE(log.lines[i].size(), atoll::log_line_bytes_max);
    EXPECT_GE(log.lines[i].size(), atoll::log_line_bytes_max - 1);
    EXPECT_THAT(log.lines[i], EndsWith("\xc3\xa4...\n"));
  }
  EXPECT_EQ(log.lines[2].size(), atoll::log_line_bytes_max);
  EXPECT_THAT(log.lines[2], EndsWith("xx\n"));
  co_return;
}

ATOLL_TEST(log, says_so_when_an_argument_can_not_be_formatted) {
  captured log;
  atoll::log_info("{}", demo::unprintable());
  net_log.info("m", kv("k", demo::unprintable()));
  EXPECT_THAT(log.lines, ElementsAre("error a log line was lost: it can't be formatted\n",
                                     "error a log line was lost: it can't be formatted\n"));
  co_return;
}

ATOLL_TEST(log, leaves_errno_as_it_was) {
  struct full_disk : atoll::log_sink {
    void write(std::string_view) noexcept override { errno = ENOSPC; }
  } disk;
  this_shard().logs.sink = &disk;
  errno = ENOENT;
  atoll::log_info("{}", 1);
  EXPECT_EQ(errno, ENOENT);
  this_shard().logs.sink = nullptr;
  co_return;
}

ATOLL_TEST(log, goes_to_stderr_without_a_sink) {
  ::testing::internal::CaptureStderr();
  net_log.info("to stderr", kv("k", 1));
  EXPECT_THAT(
      ::testing::internal::GetCapturedStderr(),
      ::testing::MatchesRegex("[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9.]+Z info .shard 0. net: to stderr k=1\n"));
  co_return;
}

ATOLL_TEST(log, takes_the_time_from_the_clock_of_the_shard) {
  const hand_clock clock;
  ::testing::internal::CaptureStderr();
  net_log.info("first");
  this_shard().logs.times = false;
  net_log.info("second");
  this_shard().logs.times = true;
  EXPECT_EQ(::testing::internal::GetCapturedStderr(),
            "1970-01-01T00:00:00.000000Z info [shard 0] net: first\ninfo [shard 0] net: second\n");
  co_return;
}

ATOLL_TEST(log_levels, are_of_each_logger_and_shard) {
  captured log;
  EXPECT_TRUE(this_shard().logs.set("warning,net=debug"));
  net_log.debug("seen");
  rpc_log.info("not seen");
  atoll::log_info("not seen");
  rpc_log.warning("seen");
  EXPECT_TRUE(net_log.enabled(log_level::debug));
  EXPECT_FALSE(rpc_log.enabled(log_level::info));
  EXPECT_THAT(log.lines, ElementsAre("debug [shard 0] net: seen\n", "warning [shard 0] rpc: seen\n"));
  const auto there = [] { return this_shard().logs.to_string(); };
  EXPECT_EQ(co_await atoll::submit_to(1, there), atoll::initial_log_levels().to_string());
  EXPECT_EQ(this_shard().logs.sink, &log);
}

TEST(log_levels, decide_for_each_level) {
  atoll::log_levels levels;
  for (const auto least : {log_level::debug, log_level::info, log_level::warning, log_level::error}) {
    ASSERT_TRUE(levels.set("net=" + std::string(to_string(least)) + ",warning"));
    for (const auto level : {log_level::debug, log_level::info, log_level::warning, log_level::error}) {
      EXPECT_EQ(levels.enabled("net", level), level >= least);
      EXPECT_EQ(levels.enabled("net2", level), level >= log_level::warning);
      EXPECT_EQ(levels.enabled("", level), level >= log_level::warning);
    }
  }
}

TEST(log_levels, are_read_from_text_and_written) {
  atoll::log_levels levels;
  EXPECT_EQ(levels.to_string(), "info");
  ASSERT_TRUE(levels.set("error"));
  EXPECT_EQ(levels.to_string(), "error");
  ASSERT_TRUE(levels.set(" net = debug\t, rpc.Client-1_x=error"));
  EXPECT_EQ(levels.to_string(), "info,net=debug,rpc.Client-1_x=error");
  EXPECT_EQ(levels.least("net"), log_level::debug);
  EXPECT_EQ(levels.least("rpc.Client-1_x"), log_level::error);
  EXPECT_EQ(levels.least("rpc"), log_level::info);
}

TEST(log_levels, stay_as_they_are_when_the_text_is_bad) {
  atoll::log_levels levels;
  ASSERT_TRUE(levels.set("warning,net=debug"));
  for (const std::string_view text : {"", " ", ",", "loud", "Info", "info,", ",info", "net=", "=info", "net==info",
                                      "n et=info", "n\nt=info", "info,info", "net=info,net=info", "net=loud",
                                      "info;net=debug", "n\xc3\xa4t=info", "info\n", "debug=debug=debug"}) {
    const auto set = levels.set(text);
    ASSERT_FALSE(set) << text;
    EXPECT_EQ(set.error().code(), atoll::status_code::invalid_argument);
    EXPECT_THAT(std::string(set.error().message()), StartsWith("log levels: "));
    EXPECT_EQ(set.error().message().find('\n'), std::string_view::npos);
    EXPECT_EQ(levels.to_string(), "warning,net=debug");
  }
  const auto set = levels.set(std::string(100'000, 'x'));
  ASSERT_FALSE(set);
  EXPECT_LT(set.error().message().size(), 200U);
}

TEST(log_levels, name_the_bad_part) {
  atoll::log_levels levels;
  EXPECT_EQ(levels.set("info, net=lo\nud").error().message(),
            R"(log levels: "net=lo\nud": its level has to be debug, info, warning or error)");
}

TEST(log_levels, bound_the_loggers_they_name) {
  std::string text = "n0=debug";
  for (std::size_t i = 1; i < atoll::log_levels::named_max; ++i) text += ",n" + std::to_string(i) + "=debug";
  atoll::log_levels levels;
  EXPECT_TRUE(levels.set(text));
  const auto set = levels.set(text + ",past=debug");
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().code(), atoll::status_code::resource_exhausted);
  EXPECT_EQ(levels.to_string(), "info," + text);
}

// These run in processes of their own, for ATOLL_LOG is read once in each.
class log_environment : public ::testing::Test {
 protected:
  void SetUp() override {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    ::setenv("ATOLL_NO_LOG_TIMES", "1", 1);
  }
  void TearDown() override {
    ::unsetenv("ATOLL_LOG");
    ::unsetenv("ATOLL_NO_LOG_TIMES");
    ::unsetenv("JOURNAL_STREAM");
  }

  static void log_some() {
    net_log.debug("net");
    rpc_log.info("rpc");
    atoll::log_warning("others");
    std::exit(0);
  }
};

TEST_F(log_environment, sets_the_levels_of_threads_that_are_no_shard) {
  ::setenv("ATOLL_LOG", "warning,net=debug", 1);
  EXPECT_EXIT(log_some(), ::testing::ExitedWithCode(0), ::testing::StrEq("debug net: net\nwarning others\n"));
}

TEST_F(log_environment, sets_the_levels_shards_begin_with) {
  ::setenv("ATOLL_LOG", "error,net=debug", 1);
  const auto print = [] {
    atoll::testing::run_test([]() -> atoll::future<> {
      const auto log = [] {
        net_log.debug("");
        rpc_log.warning("");
      };
      co_await atoll::submit_to(1, log);
    });
    std::exit(0);
  };
  EXPECT_EXIT(print(), ::testing::ExitedWithCode(0), ::testing::StrEq("debug [shard 1] net: \n"));
}

TEST_F(log_environment, says_whether_lines_begin_with_the_time) {
  const auto log_one = [] {
    atoll::log_warning("w");
    std::exit(0);
  };
  const auto timed = ::testing::MatchesRegex("[-0-9]+T[:0-9.]+Z warning w\n");
  for (const char* const off : {"0", "false", "no", "off", ""}) {
    ::setenv("ATOLL_NO_LOG_TIMES", off, 1);
    EXPECT_EXIT(log_one(), ::testing::ExitedWithCode(0), timed) << off;
  }
  ::setenv("JOURNAL_STREAM", "1:2", 1);  // of a stderr that was redirected since
  EXPECT_EXIT(log_one(), ::testing::ExitedWithCode(0), timed);
  const auto log_to_journal = [&log_one] {
    struct stat of{};
    ::fstat(STDERR_FILENO, &of);
    ::setenv("JOURNAL_STREAM", (std::to_string(of.st_dev) + ":" + std::to_string(of.st_ino)).c_str(), 1);
    log_one();
  };
  EXPECT_EXIT(log_to_journal(), ::testing::ExitedWithCode(0), ::testing::StrEq("warning w\n"));
}

TEST_F(log_environment, is_as_good_as_unset_when_empty) {
  ::setenv("ATOLL_LOG", "", 1);
  EXPECT_EXIT(log_some(), ::testing::ExitedWithCode(0), ::testing::StrEq("info rpc: rpc\nwarning others\n"));
}

TEST_F(log_environment, that_is_bad_is_reported_once_and_ignored) {
  ::setenv("ATOLL_LOG", "loud\n", 1);
  EXPECT_EXIT(
      log_some(), ::testing::ExitedWithCode(0),
      ::testing::StrEq("warning ATOLL_LOG is ignored: log levels: \"loud\\n\": its level has to be debug, info, "
                       "warning or error\ninfo rpc: rpc\nwarning others\n"));
}

ATOLL_TEST(rate_limit, says_how_many_lines_it_kept_back) {
  captured log;
  hand_clock clock;
  rate_limit limit(10s);
  net_log.warning(limit, "{}", 1);
  net_log.warning(limit, "{}", 2);
  clock.time += 10s - 1ns;
  net_log.error(limit, "{}", 3, kv("k", 1));
  EXPECT_THAT(log.lines, ElementsAre("warning [shard 0] net: 1\n"));
  clock.time += 1ns;
  net_log.info(limit, "{}", 4, kv("k", 1));
  clock.time += 1h;
  net_log.info(limit, "{}", 5);
  EXPECT_THAT(log.lines, ElementsAre("warning [shard 0] net: 1\n", "info [shard 0] net: 4 k=1 suppressed=2\n",
                                     "info [shard 0] net: 5\n"));
  co_return;
}

ATOLL_TEST(rate_limit, does_not_count_what_the_level_hides) {
  captured log;
  hand_clock clock;
  rate_limit limit(10s);
  net_log.debug(limit, "hidden");
  net_log.info(limit, "first");
  net_log.debug(limit, "hidden");
  clock.time += 10s;
  net_log.info(limit, "second");
  EXPECT_THAT(log.lines, ElementsAre("info [shard 0] net: first\n", "info [shard 0] net: second\n"));
  co_return;
}

TEST(rate_limit, lets_its_count_pass_in_each_interval) {
  rate_limit limit(1s, 3);
  const atoll::time_point start(5s);
  int passed = 0;
  for (int ms = 0; ms < 3000; ++ms) passed += limit.pass(start + ms * 1ms) ? 1 : 0;
  EXPECT_EQ(passed, 9);
  EXPECT_EQ(limit.take_suppressed(), 3000U - 9U);
  EXPECT_EQ(limit.take_suppressed(), 0U);
}

TEST(rate_limit, has_ends_that_are_of_use) {
  const atoll::time_point now(5s);
  rate_limit nothing(1s, 0);
  EXPECT_FALSE(nothing.pass(now));
  rate_limit everything(0s);
  EXPECT_TRUE(everything.pass(now) && everything.pass(now));
  rate_limit once(atoll::duration::max());
  EXPECT_TRUE(once.pass(now));
  EXPECT_FALSE(once.pass(now + 24h * 365 * 100));
}

TEST(rate_limit, works_where_no_shard_runs) {
  ::testing::internal::CaptureStderr();
  rate_limit limit(1h);
  net_log.warning(limit, "one");
  net_log.warning(limit, "two");
  const auto text = ::testing::internal::GetCapturedStderr();
  EXPECT_TRUE(text.ends_with("warning net: one\n")) << text;
}

}  // namespace
