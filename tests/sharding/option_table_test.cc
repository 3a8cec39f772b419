// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/option_table.hh>

#include <map>

#include <gtest/gtest.h>

#include <atoll/sharding/option_kinds.hh>

namespace {

using namespace std::chrono_literals;

/// A table with the runtime's options and one that repeats, and an environment.
struct fixture {
  fixture() {
    atoll::add_runtime_options(table, options);
    auto entry = atoll::entry_of(peers);
    entry.name = "peer";
    entry.environment = "DEMO_PEER";
    table.add(std::move(entry));
  }

  atoll::result<void> environment(std::map<std::string, std::string> variables) {
    return table.apply_environment([&variables](const char* name) -> const char* {
      const auto found = variables.find(name);
      return found == variables.end() ? nullptr : found->second.c_str();
    });
  }
  atoll::result<void> file(std::string_view text) { return table.apply_config("c.conf", text); }
  std::string where(std::string_view name) const { return table.find(name)->where; }

  atoll::runtime_options options;
  std::vector<std::string> peers;
  atoll::option_table table;
};

void expect_refused(const atoll::result<void>& done, std::string_view message) {
  ASSERT_FALSE(done) << message;
  EXPECT_EQ(done.error().code(), atoll::status_code::invalid_argument);
  EXPECT_EQ(done.error().message(), message);
}

TEST(option_table, the_later_source_wins_and_is_remembered) {
  fixture f;
  ASSERT_TRUE(f.file("# c\nshards = 1\nseed = 11\npoll-time = 1us\nmemory = 1G\n"));
  ASSERT_TRUE(f.environment({{"ATOLL_SHARDS", "2"}, {"ATOLL_SEED", "22"}, {"ATOLL_POLL_TIME", ""}}));
  ASSERT_TRUE(f.table.apply_flag("shards", {"3"}));
  EXPECT_EQ(f.options.shards, 3U);
  EXPECT_EQ(f.options.seed, 22U);
  EXPECT_EQ(f.options.spin_for, 1us);
  EXPECT_EQ(f.options.memory_bytes, 1U << 30U);
  EXPECT_EQ(f.options.task_quota, 500us);
  EXPECT_EQ(f.where("shards"), "flag --shards");
  EXPECT_EQ(f.where("seed"), "environment ATOLL_SEED");
  EXPECT_EQ(f.where("poll-time"), "file c.conf line 4");
  EXPECT_EQ(f.table.find("task-quota")->source, atoll::setting_source::built_in);
}

TEST(option_table, sets_every_option_of_the_runtime) {
  fixture f;
  const auto cpu = std::to_string(atoll::allowed_processors().back().cpu);
  const auto done = f.file("shards = 256\nno-pin = yes\ncpuset = " + cpu + "\nmemory = 512M\nreserve-memory = 0\n" +
                           "poll-time = 0\ntask-quota = 1ms\nstall-threshold = 0\noffload-threads = 3\noffload-queue = "
                           "5\nlog = debug\nseed = 18446744073709551615\n");
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(f.options.shards, 256U);
  EXPECT_FALSE(f.options.pin);
  EXPECT_EQ(f.options.cpus, std::vector{atoll::allowed_processors().back().cpu});
  EXPECT_EQ(f.options.memory_bytes, 512U << 20U);
  EXPECT_EQ(f.options.reserve_memory_bytes, 0U);
  EXPECT_EQ(f.options.spin_for, 0ns);
  EXPECT_EQ(f.options.task_quota, 1ms);
  EXPECT_EQ(f.options.stall_threshold, 0ns);
  EXPECT_EQ(f.options.offload.threads_max, 3U);
  EXPECT_EQ(f.options.offload.queue_max, 5U);
  EXPECT_EQ(f.options.log, "debug");
  EXPECT_EQ(f.options.seed, std::numeric_limits<std::uint64_t>::max());
}

TEST(option_table, the_values_of_a_higher_source_replace_those_of_a_lower) {
  fixture f;
  ASSERT_TRUE(f.file("peer = a\npeer = b\n"));
  EXPECT_EQ(f.peers, (std::vector<std::string>{"a", "b"}));
  ASSERT_TRUE(f.environment({{"DEMO_PEER", "c,d"}}));
  EXPECT_EQ(f.peers, std::vector<std::string>{"c,d"});
  ASSERT_TRUE(f.table.apply_flag("peer", {"e", "f"}));
  EXPECT_EQ(f.peers, (std::vector<std::string>{"e", "f"}));
}

TEST(option_table, refuses_with_source_option_and_what_is_accepted) {
  fixture f;
  expect_refused(f.file("\nshards = 0"), "file c.conf line 2: shards: wants a number from 1 to 256, not '0'");
  expect_refused(f.file("shards ="), "file c.conf line 1: shards: wants a number from 1 to 256, not ''");
  expect_refused(f.file("shards = 1\nseed = 2\nshards = 1"),
                 "file c.conf line 3: shards is set a second time, after line 1");
  expect_refused(f.file("seed = 1\nshard = 2"), "file c.conf line 2: no option is named 'shard'");
  expect_refused(f.file("config = x"), "file c.conf line 1: no option is named 'config'");
  expect_refused(f.file("x"), "file c.conf line 1: wants KEY = VALUE, not 'x'");
  expect_refused(f.environment({{"ATOLL_SHARDS", "257"}}),
                 "environment ATOLL_SHARDS: wants a number from 1 to 256, not '257'");
  expect_refused(f.environment({{"ATOLL_NO_PIN", "maybe"}}),
                 "environment ATOLL_NO_PIN: wants true or false, not 'maybe'");
  expect_refused(f.table.apply_flag("task-quota", {"9us"}),
                 "flag --task-quota: wants a duration like 40us, from 10us to 1s, not '9us'");
  expect_refused(f.table.apply_flag("shards", {"1", "2"}), "flag --shards: given 2 times, but takes one value");
  expect_refused(f.table.apply_flag("nothing", {"1"}), "no option is named 'nothing'");
  EXPECT_FALSE(f.table.apply_flag("cpuset", {"8191"}));
  EXPECT_FALSE(f.table.apply_flag("cpuset", {""}));
  EXPECT_FALSE(f.table.apply_flag("memory", {"2000T"}));
  EXPECT_FALSE(f.table.apply_flag("reserve-memory", {"-1"}));
  EXPECT_FALSE(f.table.apply_flag("stall-threshold", {"61min"}));
  EXPECT_FALSE(f.table.apply_flag("poll-time", {"1001ms"}));
  for (const auto* const text : {"-1", "+1", " 1", "1 ", "0x1", "1.0", "", "99999999999999999999", "1\n"}) {
    EXPECT_FALSE(f.table.apply_flag("seed", {text})) << text;
  }
  EXPECT_EQ(f.options.shards, 0U) << "what is refused leaves the value";
}

TEST(option_table, log_levels_are_checked_where_they_are_given) {
  fixture f;
  EXPECT_TRUE(f.table.apply_flag("log", {"warning,net=debug"}));
  expect_refused(f.environment({{"ATOLL_LOG", "loud"}}),
                 "environment ATOLL_LOG: wants LEVEL or NAME=LEVEL, comma-separated, with debug, info, warning or "
                 "error for LEVEL, not 'loud'");
  EXPECT_FALSE(f.table.apply_flag("log", {"net="}));
  EXPECT_EQ(f.options.log, "warning,net=debug");
}

TEST(option_table, a_switch_can_be_off_in_a_higher_source) {
  fixture f;
  ASSERT_TRUE(f.file("no-pin = on"));
  EXPECT_FALSE(f.options.pin);
  ASSERT_TRUE(f.environment({{"ATOLL_NO_PIN", "0"}}));
  EXPECT_TRUE(f.options.pin);
}

TEST(option_table, prints_a_file_that_gives_the_same_again) {
  fixture f;
  ASSERT_TRUE(
      f.environment({{"ATOLL_POLL_TIME", "1500us"}, {"ATOLL_LOG", " info, net = error"}, {"ATOLL_NO_PIN", "1"}}));
  ASSERT_TRUE(f.table.apply_flag("peer", {"x", "", "a \"b\" # \n"}));
  fixture again;
  const auto text = f.table.print();
  const auto done = again.file(text);
  ASSERT_TRUE(done) << done.error().to_string() << "\n" << text;
  EXPECT_EQ(again.options.spin_for, f.options.spin_for);
  EXPECT_EQ(again.options.log, f.options.log);
  EXPECT_EQ(again.options.pin, f.options.pin);
  EXPECT_EQ(again.options.shards, f.options.shards);
  EXPECT_EQ(again.options.reserve_memory_bytes, f.options.reserve_memory_bytes);
  EXPECT_EQ(again.peers, f.peers);
  EXPECT_NE(text.find("poll-time = \"1500us\"  # environment ATOLL_POLL_TIME\n"), std::string::npos) << text;
  EXPECT_NE(text.find("seed = \"0\"  # default\n"), std::string::npos) << text;
  EXPECT_NE(text.find("peer = \"x\"  # flag --peer\n"), std::string::npos) << text;
}

TEST(option_table, helps_with_environment_default_and_bounds) {
  const fixture f;
  const auto help = f.table.help(atoll::runtime_group);
  EXPECT_EQ(help.find("--peer"), std::string::npos);
  for (const auto& entry : f.table.entries()) {
    if (entry.group != atoll::runtime_group) continue;
    EXPECT_NE(help.find("--" + entry.name), std::string::npos);
    EXPECT_NE(help.find("env: " + entry.environment + "\n"), std::string::npos);
    EXPECT_TRUE(entry.kind.empty() || help.find(entry.accepted) != std::string::npos) << entry.name;
  }
  EXPECT_NE(help.find("a duration like 40us, from 10us to 1s; default: 500us; env: ATOLL_TASK_QUOTA"),
            std::string::npos);
  EXPECT_NE(f.table.help("").find("may be given several times"), std::string::npos);
}

TEST(option_table, names_variables_in_upper_case) {
  EXPECT_EQ(atoll::environment_name("atoll", "poll-time"), "ATOLL_POLL_TIME");
  EXPECT_EQ(atoll::environment_name("counter-d", "x"), "COUNTER_D_X");
  EXPECT_EQ(atoll::environment_name("Word.Count2", "port"), "WORD_COUNT2_PORT");
}

TEST(option_table, memory_is_unsaid_or_enough_for_a_shard) {
  fixture f;
  expect_refused(f.table.apply_flag("memory", {"1"}),
                 "flag --memory: wants 0, or a size like 512M, from 32MiB to 1024TiB, not '1'");
  expect_refused(f.table.apply_flag("memory", {"33554431"}),
                 "flag --memory: wants 0, or a size like 512M, from 32MiB to 1024TiB, not '33554431'");
  ASSERT_TRUE(f.table.apply_flag("memory", {"32M"}));
  EXPECT_EQ(f.options.memory_bytes, 32U << 20U);
  ASSERT_TRUE(f.table.apply_flag("memory", {"0"}));
  EXPECT_EQ(f.options.memory_bytes, 0U);
}

TEST(option_table, limits_of_offloaded_functions_are_bounded) {
  fixture f;
  ASSERT_TRUE(f.file("offload-threads = 1024\noffload-queue = 1000000\n"));
  EXPECT_EQ(f.options.offload.threads_max, 1024U);
  EXPECT_EQ(f.options.offload.queue_max, 1'000'000U);
  for (const auto* const bad : {"0", "1025"}) EXPECT_FALSE(f.table.apply_flag("offload-threads", {bad})) << bad;
  for (const auto* const bad : {"0", "1000001"}) EXPECT_FALSE(f.table.apply_flag("offload-queue", {bad})) << bad;
}

TEST(option_table, finds_variables_that_set_nothing) {
  const fixture f;
  const auto unknown = [&f](std::vector<const char*> environment) {
    environment.push_back(nullptr);
    constexpr std::array<std::string_view, 2> known = {"ATOLL_CONFIG", "ATOLL_TEST_*"};
    return f.table.first_unknown(environment.data(), "ATOLL_", known);
  };
  EXPECT_EQ(unknown({}), "");
  EXPECT_EQ(unknown({"PATH=/", "ATOLL_SHARDS=2", "ATOLL_CONFIG=x", "ATOLL_TEST_SEED=1", "ATOLLS=1", "DEMO_X=1"}), "");
  EXPECT_EQ(unknown({"ATOLL_SHARDS=2", "ATOLL_SHARD=2", "ATOLL_SEEED=1"}), "ATOLL_SHARD");
  EXPECT_EQ(unknown({"ATOLL_CONFIGS=x"}), "ATOLL_CONFIGS");
  EXPECT_EQ(unknown({"ATOLL_"}), "ATOLL_");
}

}  // namespace
