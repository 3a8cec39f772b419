// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/memory/block_returns.hh>

#include <sys/mman.h>

#include <chrono>
#include <cstdlib>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using atoll::block_pool;
using atoll::detail::block_batch;
using atoll::detail::block_inbox;
using atoll::detail::block_returns;

// Numbers that no allocator's range has in these tests.
constexpr int here = 126;
constexpr int elsewhere = 127;
constexpr std::size_t unit = 32 << 20;

/// Addresses of `here`, for good.
char* blocks_of_here() {
  static char* const start = [] {
    void* mapped =
        ::mmap(nullptr, 2 * unit, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    auto* first = static_cast<char*>(mapped);
    first += (unit - reinterpret_cast<std::uintptr_t>(first) % unit) % unit;
    atoll::detail::own_addresses(first, unit, here);
    return first;
  }();
  return start;
}

struct block_returns_test : testing::Test {
  block_returns_test() { pool.switch_on(true); }
  ~block_returns_test() override {
    mine.end(pool);
    while (pool.take(64) != nullptr) {
    }
  }
  /// What has arrived, in blocks of 64 bytes.
  std::set<const void*> taken() {
    std::set<const void*> all;
    while (void* block = pool.take(64)) EXPECT_TRUE(all.insert(block).second) << "twice";
    return all;
  }

  char* const start = blocks_of_here();
  block_pool pool;
  block_returns mine{here};
};

TEST_F(block_returns_test, a_full_batch_goes_home_at_once_and_a_begun_one_at_the_next_turn) {
  block_pool other_pool;
  block_returns other(elsewhere);
  std::set<const void*> given;
  for (std::size_t i = 0; i < block_batch::blocks_max; ++i) {
    EXPECT_FALSE(mine.take_arrived(pool)) << i;
    given.insert(start + 64 * i);
    EXPECT_TRUE(other.give_back(start + 64 * i, 50));
  }
  EXPECT_TRUE(mine.take_arrived(pool));
  EXPECT_EQ(taken(), given);

  EXPECT_TRUE(other.give_back(start, 50));
  EXPECT_FALSE(mine.take_arrived(pool));
  other.turn(other_pool);
  EXPECT_TRUE(mine.take_arrived(pool));
  EXPECT_EQ(taken(), std::set<const void*>{start});
  EXPECT_FALSE(mine.take_arrived(pool));
  other.end(other_pool);
}

TEST_F(block_returns_test, blocks_come_back_with_their_sizes) {
  block_pool other_pool;
  block_returns other(elsewhere);
  EXPECT_TRUE(other.give_back(start, 1));
  EXPECT_TRUE(other.give_back(start + 1024, block_pool::pooled_bytes_max));
  other.end(other_pool);  // sends what was begun
  mine.turn(pool);
  EXPECT_EQ(pool.take(16), start);
  EXPECT_EQ(pool.take(1024), start + 1024);
}

TEST_F(block_returns_test, what_has_no_known_owner_stays_with_the_caller) {
  int on_the_stack = 0;
  EXPECT_FALSE(mine.give_back(&on_the_stack, sizeof on_the_stack));
  EXPECT_FALSE(mine.give_back(start + unit, 64)) << "past the range's end";
  EXPECT_FALSE(mine.give_back(nullptr, 64));
  void* beyond = reinterpret_cast<void*>(UINTPTR_MAX);  // NOLINT(performance-no-int-to-ptr)
  EXPECT_FALSE(mine.give_back(beyond, 64));
}

TEST_F(block_returns_test, none_is_lost_or_doubled_between_threads) {
  constexpr std::size_t blocks = 100'000;
  constexpr std::size_t window = 512;  // on their way at most: what a free list holds
  std::atomic<std::size_t> back{0};
  std::thread other([&] {
    block_pool other_pool;
    block_returns returns(elsewhere);
    for (std::size_t i = 0; i < blocks;) {
      if (i < back.load() + window) {
        EXPECT_TRUE(returns.give_back(start + 64 * (i % (4 * window)), 64));
        ++i;
      } else {
        returns.turn(other_pool);
        std::this_thread::yield();
      }
    }
    returns.end(other_pool);
  });
  for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
       back.load() < blocks && std::chrono::steady_clock::now() < end;) {
    mine.turn(pool);
    back.fetch_add(taken().size());
    std::this_thread::yield();
  }
  EXPECT_EQ(back.load(), blocks);
  if (back.load() < blocks) std::abort();  // the other waits for ever
  other.join();
  mine.turn(pool);
  EXPECT_EQ(back.load(), blocks);
  EXPECT_TRUE(taken().empty());
}

TEST(block_inbox, refuses_before_it_is_opened_and_after_it_is_closed) {
  block_inbox inbox;
  block_batch first;
  block_batch second;
  EXPECT_FALSE(inbox.put(first));
  inbox.open();
  EXPECT_FALSE(inbox.has_any());
  EXPECT_TRUE(inbox.put(first));
  EXPECT_TRUE(inbox.put(second));
  EXPECT_TRUE(inbox.has_any());
  block_batch* all = inbox.close();
  ASSERT_EQ(all, &second);
  EXPECT_EQ(all->next, &first);
  EXPECT_EQ(first.next, nullptr);
  EXPECT_FALSE(inbox.put(first));
  EXPECT_EQ(inbox.close(), nullptr);
}

TEST(block_inbox, takes_no_more_than_its_bound_until_its_owner_looks) {
  block_inbox inbox;
  inbox.open();
  std::vector<block_batch> batches(block_inbox::batches_max + 1);
  for (std::size_t i = 0; i < block_inbox::batches_max; ++i) EXPECT_TRUE(inbox.put(batches[i])) << i;
  EXPECT_FALSE(inbox.put(batches.back()));
  std::size_t taken = 0;
  for (const block_batch* each = inbox.take(); each != nullptr; each = each->next) ++taken;
  EXPECT_EQ(taken, block_inbox::batches_max);
  EXPECT_TRUE(inbox.put(batches.back()));
}

}  // namespace
