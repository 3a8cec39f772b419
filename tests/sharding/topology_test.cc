// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/topology.hh>

#include <sched.h>

#include <string>

#include <gtest/gtest.h>

namespace {

TEST(topology, allows_only_processors_of_the_affinity_mask) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  const auto all = atoll::allowed_processors();
  ASSERT_FALSE(all.empty());

  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(all.back().cpu, &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  const auto narrowed = atoll::allowed_processors();
  const auto shards = atoll::default_shards();
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);

  ASSERT_EQ(narrowed.size(), 1U);
  EXPECT_EQ(narrowed.front().cpu, all.back().cpu);
  EXPECT_EQ(shards, 1U);
}

TEST(topology, a_thread_is_bound_where_it_may_be_and_else_stays) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  const auto all = atoll::allowed_processors();
  const auto refused = atoll::bind_thread({.cpu = CPU_SETSIZE - 1, .numa_node = 0});
  EXPECT_EQ(atoll::allowed_processors().size(), all.size());
  const auto bound = atoll::bind_thread(all.back());
  const auto narrowed = atoll::allowed_processors();
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);

  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find(std::to_string(CPU_SETSIZE - 1)), std::string::npos);
  ASSERT_TRUE(bound);
  ASSERT_EQ(narrowed.size(), 1U);
  EXPECT_EQ(narrowed.front().cpu, all.back().cpu);
}

TEST(topology, default_shards_fit_processors_and_quota) {
  EXPECT_EQ(atoll::default_shards(4, std::nullopt), 4U);
  EXPECT_EQ(atoll::default_shards(4, 2.0), 2U);
  EXPECT_EQ(atoll::default_shards(4, 1.5), 2U);
  EXPECT_EQ(atoll::default_shards(4, 0.1), 1U);
  EXPECT_EQ(atoll::default_shards(4, 100.0), 4U);
  EXPECT_EQ(atoll::default_shards(0, std::nullopt), 1U);
  EXPECT_EQ(atoll::default_shards(5000, std::nullopt), atoll::shards_max);
}

TEST(topology, a_cpuset_chooses_among_allowed_processors) {
  const auto all = atoll::allowed_processors();
  EXPECT_EQ(atoll::allowed_processors(std::vector<unsigned>())->size(), all.size());
  const auto chosen = atoll::allowed_processors(std::vector{all.back().cpu});
  ASSERT_TRUE(chosen);
  ASSERT_EQ(chosen->size(), 1U);
  EXPECT_EQ(chosen->front().cpu, all.back().cpu);
  const auto refused = atoll::allowed_processors(std::vector<unsigned>{CPU_SETSIZE});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), atoll::status_code::invalid_argument);
}

}  // namespace
