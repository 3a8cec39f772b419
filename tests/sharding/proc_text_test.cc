// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/proc_text.hh>

#include <gtest/gtest.h>

namespace {

using list = std::vector<unsigned>;
using std::string_view_literals::operator""sv;

TEST(proc_text, reads_lists_of_processors) {
  EXPECT_EQ(*atoll::parse_cpu_list(""), list{});
  EXPECT_EQ(*atoll::parse_cpu_list("\n"), list{});
  EXPECT_EQ(*atoll::parse_cpu_list("0\n"), list{0});
  EXPECT_EQ(*atoll::parse_cpu_list("0,2-5\n"), (list{0, 2, 3, 4, 5}));
  EXPECT_EQ(*atoll::parse_cpu_list("5-5,1,0-2"), (list{0, 1, 2, 5}));
  EXPECT_EQ(*atoll::parse_cpu_list("8191"), list{8191});
  EXPECT_EQ(atoll::format_cpu_list({}), "");
  EXPECT_EQ(atoll::format_cpu_list({0, 2, 3, 4, 7}), "0,2-4,7");
}

TEST(proc_text, refuses_what_is_no_list_of_processors) {
  for (const auto text : {","sv, "0,"sv, ",0"sv, "0,,1"sv, "-"sv, "1-"sv, "-1"sv, "3-1"sv, "a"sv, "0 1"sv, "0-1-2"sv,
                          "8192"sv, "0-4294967296"sv, "0-99999999999999999999"sv, "0x1"sv, "0\0"sv, "\xff"sv}) {
    const auto parsed = atoll::parse_cpu_list(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code(), atoll::status_code::invalid_argument);
  }
}

TEST(proc_text, reads_memory_of_the_machine_and_of_a_node) {
  const auto found = atoll::parse_meminfo(
      "MemTotal:        8049268 kB\nMemFree:          123 kB\nMemAvailable:    7000000 kB\nHugePages_Total:      16\n"
      "HugePages_Free:        4\nHugepagesize:       2048 kB\nDirectMap4k: x\n");
  EXPECT_EQ(found.total_bytes, 8049268ULL * 1024);
  EXPECT_EQ(found.available_bytes, 7000000ULL * 1024);
  EXPECT_EQ(found.huge_pages, 16U);
  EXPECT_EQ(found.huge_pages_free, 4U);
  EXPECT_EQ(found.huge_page_bytes, 2048U * 1024);
  EXPECT_EQ(atoll::parse_meminfo("Node 0 MemTotal:  100 kB\nNode 0 MemFree: 3 kB\n").total_bytes, 102400U);
}

TEST(proc_text, finds_no_memory_in_garbage) {
  for (const auto text : {""sv, "\n\n"sv, "MemTotal:"sv, "MemTotal: kB"sv, "MemTotal: -1 kB"sv, "MemTotal: 1 MB"sv,
                          "MemTotal: 99999999999999999999 kB"sv, "MemTotal: 18446744073709551615 kB"sv, "Node"sv,
                          "Node 0"sv, "\0\xff\n"sv, "XMemTotal: 1 kB"sv}) {
    EXPECT_FALSE(atoll::parse_meminfo(text).total_bytes) << text;
  }
}

TEST(proc_text, reads_the_cgroups_of_a_process) {
  const auto found =
      atoll::parse_cgroups("5:cpu,cpuacct:/a\n4:memory:/a/b:c\n1:name=systemd:/\n0::/unified\nnonsense\n7:x:y\n");
  ASSERT_EQ(found.size(), 4U);
  EXPECT_EQ(found[0].controllers, (std::vector<std::string>{"cpu", "cpuacct"}));
  EXPECT_EQ(found[0].path, "/a");
  EXPECT_FALSE(found[1].v2);
  EXPECT_EQ(found[1].path, "/a/b:c");
  EXPECT_TRUE(found[3].v2);
  EXPECT_TRUE(found[3].controllers.empty());
  EXPECT_EQ(found[3].path, "/unified");
}

TEST(proc_text, reads_where_cgroups_are_mounted) {
  const auto found = atoll::parse_cgroup_mounts(
      "21 1 8:1 / / rw - ext4 /dev/root rw\n"
      "31 23 0:28 /docker/x /sys/fs/cgroup/memory rw,relatime shared:5 master:1 - cgroup cgroup rw,memory\n"
      "32 23 0:29 / /sys/fs/my\\040cgroup\\134 rw - cgroup2 cgroup2 rw,nsdelegate\n"
      "33 cut short\n\n34 1 0:1 / /x rw shared:1\n");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_FALSE(found[0].v2);
  EXPECT_EQ(found[0].root, "/docker/x");
  EXPECT_EQ(found[0].point, "/sys/fs/cgroup/memory");
  EXPECT_EQ(found[0].controllers, (std::vector<std::string>{"rw", "memory"}));
  EXPECT_TRUE(found[1].v2);
  EXPECT_EQ(found[1].point, "/sys/fs/my cgroup\\");
}

TEST(proc_text, reads_limits) {
  EXPECT_EQ(atoll::parse_memory_limit("268435456\n"), 268435456U);
  EXPECT_EQ(atoll::parse_memory_limit("0\n"), 0U);
  for (const auto text : {"max\n"sv, "9223372036854771712\n"sv, "18446744073709551615"sv, ""sv, "-1"sv, "1 2"sv, "x"sv,
                          "99999999999999999999"sv}) {
    EXPECT_FALSE(atoll::parse_memory_limit(text)) << text;
  }
  EXPECT_EQ(atoll::parse_cpu_max("150000 100000\n"), 1.5);
  for (const auto text : {"max 100000\n"sv, "1"sv, "1 0"sv, "0 1"sv, ""sv, "-1 100000"sv, "nan 1"sv, "1e9 1"sv}) {
    EXPECT_FALSE(atoll::parse_cpu_max(text)) << text;
  }
  EXPECT_EQ(atoll::parse_cfs_quota("50000\n", "100000\n"), 0.5);
  EXPECT_FALSE(atoll::parse_cfs_quota("-1\n", "100000\n"));
  EXPECT_FALSE(atoll::parse_cfs_quota("", ""));
}

TEST(proc_text, reads_a_choice) {
  EXPECT_EQ(atoll::parse_choice("always [madvise] never\n"), "madvise");
  for (const auto text : {""sv, "always"sv, "["sv, "]["sv, "]"sv}) EXPECT_EQ(atoll::parse_choice(text), "") << text;
}

}  // namespace
