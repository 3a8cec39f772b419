// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/machine.hh>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/sharding/doctor.hh>
#include <atoll/sharding/memory_plan.hh>

namespace {

constexpr std::uint64_t mebi = 1 << 20;
constexpr std::uint64_t gibi = 1 << 30;

/// A folder with a /proc and a /sys of its own.
class machine_of_files : public ::testing::Test {
 protected:
  machine_of_files() {
    std::string pattern = (std::filesystem::temp_directory_path() / "atoll_machine_test.XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
  }
  ~machine_of_files() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, std::string_view text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path, std::ios::binary) << text;
  }

  std::string root_;
};

using cgroup = machine_of_files;
using machine = machine_of_files;

TEST_F(cgroup, the_lowest_limit_on_the_path_counts_in_v2) {
  write("/proc/self/cgroup", "0::/a/b/c\n");
  write("/proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  write("/sys/fs/cgroup/a/memory.max", "300\n");
  write("/sys/fs/cgroup/a/b/memory.max", "200\n");
  write("/sys/fs/cgroup/a/b/c/memory.max", "max\n");
  write("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
  write("/sys/fs/cgroup/a/b/c/cpu.max", "200000 100000\n");
  write("/sys/fs/cgroup/a/other/memory.max", "1\n");
  const auto limits = atoll::read_cgroup_limits(root_);
  EXPECT_EQ(limits.memory_bytes, 200U);
  EXPECT_EQ(limits.processors, 0.5);
}

TEST_F(cgroup, the_lowest_limit_on_the_path_counts_in_v1) {
  write("/proc/self/cgroup", "4:memory:/x/y\n3:cpu,cpuacct:/z\n1:name=systemd:/\n0::/\n");
  write("/proc/self/mountinfo",
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "100\n");
  write("/sys/fs/cgroup/memory/x/y/memory.limit_in_bytes", "150\n");
  write("/sys/fs/cgroup/cpu,cpuacct/z/cpu.cfs_quota_us", "150000\n");
  write("/sys/fs/cgroup/cpu,cpuacct/z/cpu.cfs_period_us", "100000\n");
  const auto limits = atoll::read_cgroup_limits(root_);
  EXPECT_EQ(limits.memory_bytes, 100U);
  EXPECT_EQ(limits.processors, 1.5);
}

TEST_F(cgroup, a_container_sees_its_own_part_of_the_tree_as_the_mount) {
  write("/proc/self/cgroup", "4:memory:/docker/id/inner\n0::/docker/id\n");
  write("/proc/self/mountinfo",
        "35 31 0:32 /docker/id /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "36 31 0:33 /docker/id /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "500\n");
  write("/sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "400\n");
  write("/sys/fs/cgroup/unified/memory.max", "450\n");
  EXPECT_EQ(atoll::read_cgroup_limits(root_).memory_bytes, 400U);
}

TEST_F(cgroup, a_path_that_is_not_below_the_mount_leaves_the_mount) {
  write("/proc/self/cgroup", "0::/../elsewhere\n");
  write("/proc/self/mountinfo", "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  write("/sys/fs/cgroup/memory.max", "77\n");
  write("/sys/fs/elsewhere/memory.max", "1\n");
  EXPECT_EQ(atoll::read_cgroup_limits(root_).memory_bytes, 77U);
}

TEST_F(cgroup, the_usual_places_are_tried_where_mounts_are_not_told) {
  write("/proc/self/cgroup", "4:memory:/a\n3:cpu:/b\n");
  write("/sys/fs/cgroup/memory/a/memory.limit_in_bytes", "42\n");
  EXPECT_EQ(atoll::read_cgroup_limits(root_).memory_bytes, 42U);
}

TEST_F(cgroup, nothing_and_garbage_are_no_limit) {
  EXPECT_FALSE(atoll::read_cgroup_limits(root_).memory_bytes);
  EXPECT_FALSE(atoll::read_cgroup_limits(root_).processors);
  write("/proc/self/cgroup", std::string_view("\0\xff:::\n0::/a\n::::\n", 15));
  write("/sys/fs/cgroup/a/memory.max", "lots\n");
  write("/sys/fs/cgroup/a/cpu.max/a_folder", "");
  EXPECT_FALSE(atoll::read_cgroup_limits(root_).memory_bytes);
  EXPECT_FALSE(atoll::read_cgroup_limits(root_).processors);
}

TEST_F(machine, is_read_from_its_files) {
  write("/proc/meminfo", "MemTotal: 2097152 kB\nMemAvailable: 1048576 kB\nHugePages_Free: 3\nHugepagesize: 2048 kB\n");
  write("/sys/devices/system/cpu/online", "0-3\n");
  write("/sys/devices/system/node/online", "0-1\n");
  write("/sys/devices/system/node/node0/cpulist", "0-1\n");
  write("/sys/devices/system/node/node0/meminfo", "Node 0 MemTotal: 1024 kB\n");
  write("/sys/devices/system/node/node1/cpulist", "2-3\n");
  write("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise [never]\n");
  write("/sys/devices/system/clocksource/clocksource0/current_clocksource", "acpi_pm\n");
  const auto found = atoll::probe_machine(root_);
  EXPECT_EQ(found.memory_bytes, 2 * gibi);
  EXPECT_EQ(found.memory_available_bytes, gibi);
  EXPECT_EQ(found.huge_pages_free, 3U);
  EXPECT_EQ(found.huge_page_bytes, 2 * mebi);
  EXPECT_EQ(found.transparent_huge_pages, "never");
  EXPECT_EQ(found.processors_online, 4U);
  ASSERT_EQ(found.nodes.size(), 2U);
  EXPECT_EQ(found.nodes[0].memory_bytes, mebi);
  EXPECT_EQ(found.nodes[1].id, 1);
  EXPECT_EQ(found.nodes[1].processors, (std::vector<unsigned>{2, 3}));
  EXPECT_EQ(found.clock_source, "acpi_pm");
}

TEST_F(machine, is_described_without_any_file) {
  const auto found = atoll::probe_machine(root_);
  EXPECT_FALSE(found.processors.empty());
  EXPECT_TRUE(found.nodes.empty());
  EXPECT_NE(found.memory_bytes, 0U) << "the system call tells it";
  EXPECT_TRUE(found.event_loop.usable);
  EXPECT_GT(found.descriptors, 0U);
  const auto examined = atoll::examine(found, {.shards = 1, .memory_bytes = 32 * mebi});
  EXPECT_TRUE(examined.can_start) << examined.report;
}

TEST_F(machine, garbage_in_its_files_is_harmless) {
  for (const auto* const path : {"/proc/meminfo", "/sys/devices/system/cpu/online", "/sys/devices/system/node/online",
                                 "/sys/kernel/mm/transparent_hugepage/enabled",
                                 "/sys/devices/system/clocksource/clocksource0/current_clocksource"}) {
    write(path, std::string_view("\xff\x00\x1b[31m-,:\n", 11));
  }
  const auto report = atoll::examine(atoll::probe_machine(root_), {}).report;
  EXPECT_EQ(report.find('\x1b'), std::string::npos) << report;
}

/// One that has everything.
atoll::machine_info good_machine() {
  atoll::machine_info m;
  m.kernel_release = "6.1.0";
  m.processors = {{0, 0}, {1, 0}};
  m.processors_online = 2;
  m.memory_bytes = 4 * gibi;
  m.nodes = {{.id = 0, .processors = {0}, .memory_bytes = 2 * gibi},
             {.id = 1, .processors = {1}, .memory_bytes = 2 * gibi}};
  m.transparent_huge_pages = "always";
  for (auto* const thing : {&m.memory_binding, &m.event_loop, &m.pinning, &m.membarrier}) thing->usable = true;
  m.descriptors = m.descriptors_max = 20000;
  m.clock_source = "tsc";
  return m;
}

atoll::fact fact_named(const atoll::machine_info& m, std::string_view name) {
  for (const auto& fact : atoll::facts_of(m)) {
    if (fact.name == name) return fact;
  }
  ADD_FAILURE() << "no fact " << name;
  return {};
}

TEST(facts, all_is_ok_on_a_good_machine) {
  for (const auto& fact : atoll::facts_of(good_machine())) {
    EXPECT_EQ(fact.state, atoll::fact_state::ok) << atoll::to_line(fact);
    EXPECT_TRUE(fact.without.empty()) << fact.without;
  }
}

TEST(facts, what_is_refused_is_degraded_and_says_what_is_done_without) {
  auto m = good_machine();
  m.memory_binding = {false, "Operation not permitted"};
  m.pinning = {false, "Permission denied"};
  m.transparent_huge_pages = "never";
  m.descriptors = 256;
  m.clock_source = "acpi_pm";
  m.limits = {.memory_bytes = gibi, .processors = 0.5};
  m.address_space_limit_bytes = gibi;
  for (const auto* const name : {"memory binding", "pinning", "huge pages", "descriptors", "clock source",
                                 "memory limit", "cpu quota", "address space"}) {
    const auto fact = fact_named(m, name);
    EXPECT_EQ(fact.state, atoll::fact_state::degraded) << name;
    EXPECT_FALSE(fact.without.empty()) << name;
  }
  EXPECT_EQ(fact_named(m, "memory binding").found, "refused: Operation not permitted");
  EXPECT_TRUE(atoll::examine(m, {}).can_start);
}

TEST(facts, what_nothing_uses_yet_is_no_loss) {
  auto m = good_machine();
  m.io_uring = {true, {}};
  EXPECT_EQ(fact_named(m, "io_uring").found, "usable, not used yet: epoll does its work");
  EXPECT_NE(fact_named(m, "perf_event").found.find("not used yet"), std::string::npos);
}

TEST(facts, one_node_needs_no_binding_of_memory) {
  auto m = good_machine();
  m.nodes.resize(1);
  m.memory_binding = {false, "Operation not permitted"};
  const auto fact = fact_named(m, "memory binding");
  EXPECT_EQ(fact.state, atoll::fact_state::ok);
  EXPECT_EQ(fact.found, "refused: Operation not permitted, not needed: one memory for all");
}

TEST(facts, shards_ask_for_no_huge_pages) {
  auto m = good_machine();
  m.transparent_huge_pages = "madvise";
  m.huge_pages_free = 3;
  m.huge_page_bytes = 2 * mebi;
  const auto fact = fact_named(m, "huge pages");
  EXPECT_EQ(fact.state, atoll::fact_state::degraded);
  EXPECT_EQ(fact.found, "transparent: madvise, pool: 3 free of 2.00 MiB, not used yet");
}

TEST(facts, without_an_event_loop_nothing_starts) {
  auto m = good_machine();
  m.event_loop = {false, "Function not implemented"};
  const auto found = atoll::examine(m, {});
  EXPECT_FALSE(found.can_start);
  EXPECT_NE(found.report.find("missing   epoll, eventfd"), std::string::npos) << found.report;
}

TEST(doctor, shows_the_plan) {
  auto m = good_machine();
  m.limits.processors = 0.5;
  m.limits.memory_bytes = 256 * mebi;
  const auto found = atoll::examine(m, {});
  EXPECT_TRUE(found.can_start);
  EXPECT_NE(found.report.find("1 on processors 0-1"), std::string::npos) << found.report;
  EXPECT_NE(found.report.find("192 MiB a shard, 64.0 MiB left to the system"), std::string::npos) << found.report;
  EXPECT_EQ(found.report.find("the system's allocator") == std::string::npos, atoll::allocator_keeps_budgets());
}

TEST(doctor, sees_that_an_app_can_not_start) {
  const auto m = good_machine();
  EXPECT_FALSE(atoll::examine(m, {.cpus = {7}}).can_start);
  EXPECT_FALSE(atoll::examine(m, {.shards = 256, .memory_bytes = gibi}).can_start);
  auto unknown = m;
  unknown.memory_bytes = 0;
  EXPECT_TRUE(atoll::examine(unknown, {}).can_start) << "without bounds";
  EXPECT_FALSE(atoll::examine(unknown, {.reserve_memory_bytes = gibi}).can_start);
  EXPECT_TRUE(atoll::examine(unknown, {.memory_bytes = gibi}).can_start);
}

TEST(memory_plan, leaves_a_reserve_that_fits_the_machine) {
  auto m = good_machine();
  const auto shard_bytes = [&m](std::uint64_t total, atoll::shard_id shards) {
    m.memory_bytes = total;
    const auto plan = atoll::plan_memory(m, shards, {});
    EXPECT_TRUE(plan);
    EXPECT_EQ(plan->usable_bytes, total);
    EXPECT_LE(plan->shard_bytes * shards + plan->reserve_bytes, total);
    EXPECT_EQ(plan->shard_bytes % atoll::memory_unit_bytes, 0U);
    EXPECT_GT(plan->shard_bytes, 0U);
    return plan->shard_bytes;
  };
  EXPECT_EQ(shard_bytes(gibi, 1), 928 * mebi) << "7%, in units of 32 MiB";
  EXPECT_EQ(shard_bytes(512 * mebi, 1), 448 * mebi) << "64 MiB";
  EXPECT_EQ(shard_bytes(256 * mebi, 2), 96 * mebi) << "64 MiB";
  EXPECT_EQ(shard_bytes(128 * mebi, 3), 32 * mebi) << "a quarter";
  EXPECT_NEAR(static_cast<double>(shard_bytes(1024 * gibi, 8)), 1024.0 * gibi * 0.93 / 8, 32 * mebi);
}

TEST(memory_plan, divides_the_tightest_limit) {
  auto m = good_machine();
  m.limits.memory_bytes = 256 * mebi;
  EXPECT_EQ(atoll::plan_memory(m, 2, {})->shard_bytes, 96 * mebi);
  m.limits.memory_bytes = 512 * gibi;
  EXPECT_EQ(atoll::plan_memory(m, 1, {.reserve_memory_bytes = 0})->shard_bytes, 4 * gibi);
  m.address_space_limit_bytes = 128 * mebi;
  EXPECT_EQ(atoll::plan_memory(m, 1, {})->shard_bytes, 96 * mebi);
}

TEST(memory_plan, does_as_the_options_say) {
  const auto m = good_machine();
  const auto plan = atoll::plan_memory(m, 4, {.memory_bytes = gibi});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->shard_bytes, 256 * mebi);
  EXPECT_EQ(plan->reserve_bytes, 3 * gibi);
  EXPECT_EQ(atoll::plan_memory(m, 4, {.reserve_memory_bytes = 2 * gibi})->shard_bytes, 512 * mebi);
  EXPECT_TRUE(atoll::plan_memory(m, 1, {.memory_bytes = 3 * gibi, .reserve_memory_bytes = gibi}));
  EXPECT_TRUE(atoll::plan_memory(m, 1, {.memory_bytes = 4 * gibi}));
}

TEST(memory_plan, refuses_what_is_not_there) {
  const auto m = good_machine();
  const auto expect_exhausted = [&m](atoll::shard_id shards, const atoll::runtime_options& options) {
    const auto plan = atoll::plan_memory(m, shards, options);
    ASSERT_FALSE(plan);
    EXPECT_EQ(plan.error().code(), atoll::status_code::resource_exhausted);
    EXPECT_EQ(plan.error().message().find('\n'), std::string_view::npos);
  };
  constexpr auto all = std::numeric_limits<std::uint64_t>::max();
  expect_exhausted(1, {.memory_bytes = 4 * gibi + 1});
  expect_exhausted(1, {.memory_bytes = all, .reserve_memory_bytes = all});
  expect_exhausted(1, {.memory_bytes = 3 * gibi, .reserve_memory_bytes = gibi + 1});
  expect_exhausted(1, {.reserve_memory_bytes = 4 * gibi + 1});
  expect_exhausted(1, {.reserve_memory_bytes = 4 * gibi});
  expect_exhausted(1, {.memory_bytes = 32 * mebi - 1});
  expect_exhausted(256, {});
  EXPECT_TRUE(atoll::plan_memory(m, 1, {.memory_bytes = 32 * mebi}));
}

TEST(memory_plan, needs_to_know_how_much_there_is) {
  auto m = good_machine();
  m.memory_bytes = 0;
  EXPECT_EQ(atoll::plan_memory(m, 1, {}).error().code(), atoll::status_code::failed_precondition);
  EXPECT_EQ(atoll::plan_memory(m, 2, {.memory_bytes = gibi})->shard_bytes, 512 * mebi);
  m.limits.memory_bytes = 256 * mebi;
  EXPECT_EQ(atoll::plan_memory(m, 1, {})->shard_bytes, 192 * mebi);
}

}  // namespace
