// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/memory/block_pool.hh>

#include <cstdint>
#include <cstring>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include <atoll/actors/memory/shard_memory.hh>

namespace {

TEST(block_pool, gives_the_block_freed_last_to_the_next_of_its_class) {
  atoll::block_pool pool;
  pool.switch_on(true);  // a build with AddressSanitizer begins without
  void* a = pool.allocate(100);
  pool.free(a, 100);
  void* b = pool.allocate(112);
  EXPECT_EQ(b, a);
  pool.free(b, 112);
}

TEST(block_pool, blocks_have_the_whole_size_of_their_class) {
  atoll::block_pool pool;
  pool.switch_on(true);  // a build with AddressSanitizer begins without
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{16}, std::size_t{17},
                              atoll::block_pool::pooled_bytes_max, atoll::block_pool::pooled_bytes_max + 1}) {
    void* p = pool.allocate(n);
    std::memset(p, 0xab, n);
    pool.free(p, n);
  }
}

TEST(block_pool, blocks_of_all_sizes_lie_in_many_sets_of_the_first_cache) {
  if (!atoll::allocator_keeps_budgets()) GTEST_SKIP() << "the system's allocator places the blocks";
  for (std::size_t n = 432; n <= atoll::block_pool::pooled_bytes_max; n += atoll::block_pool::class_bytes) {
    std::vector<void*> blocks;
    std::set<std::uintptr_t> sets;
    for (int i = 0; i < 64; ++i) {
      blocks.push_back(atoll::detail::allocate_pooled(n));
      sets.insert(reinterpret_cast<std::uintptr_t>(blocks.back()) / 64 % 64);
    }
    EXPECT_GT(sets.size(), 8U) << n << " bytes";
    for (void* p : blocks) atoll::detail::free_pooled(p, n);
  }
}

TEST(block_pool, gives_next_what_it_was_told_to_provide) {
  atoll::block_pool pool;
  pool.switch_on(false);  // also where it keeps nothing
  for (const std::size_t n : {std::size_t{1}, std::size_t{480}, atoll::block_pool::pooled_bytes_max}) {
    EXPECT_EQ(pool.take(n), nullptr);
    pool.provide(n);
    void* p = pool.take(n);
    ASSERT_NE(p, nullptr);
    std::memset(p, 0xab, n);
    EXPECT_EQ(pool.take(n), nullptr);
    pool.free(p, n);
  }
}

TEST(block_pool, keeps_no_more_than_its_bound) {
  atoll::block_pool pool;
  pool.switch_on(true);  // a build with AddressSanitizer begins without
  std::vector<void*> blocks;
  for (std::uint32_t i = 0; i < atoll::block_pool::blocks_max + 10; ++i) blocks.push_back(pool.allocate(64));
  for (void* p : blocks) pool.free(p, 64);  // the surplus goes back; the leak checker would tell
}

}  // namespace
