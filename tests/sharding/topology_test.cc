// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/topology.hh>

#include <sched.h>

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

}  // namespace
