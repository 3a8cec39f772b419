// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Each shard's memory: its budget, its reclaimers, what is freed on another shard.
#include <numa.h>
#include <numaif.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <atoll/actors/memory/buffer.hh>
#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/actors/metrics/metrics.hh>
#include <atoll/sharding/memory_ranges.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using atoll::as_result;
using atoll::future;
using atoll::this_shard;

constexpr std::uint64_t mebi = 1 << 20;
constexpr std::uint64_t budget = 64 * mebi;  // of a shard

/// Runs a body on two shards of 64 MiB each.
void run_bounded(future<> (*body)()) {
  atoll::runtime_options options;
  options.shards = 2;
  options.memory_bytes = 2 * budget;
  const auto main = [body] { return body().then([] { return 0; }); };
  const auto outcome = atoll::runtime::run(options, main);
  EXPECT_TRUE(outcome) << outcome.error().to_string();
}

#define ATOLL_BOUNDED_TEST(name)                                                                    \
  future<> name();                                                                                  \
  TEST(shard_memory, name) {                                                                        \
    if (!atoll::allocator_keeps_budgets()) GTEST_SKIP() << "the system's allocator bounds nothing"; \
    run_bounded(&name);                                                                             \
  }                                                                                                 \
  future<> name()

using blocks = std::vector<std::unique_ptr<char[]>>;  // NOLINT

/// Allocates until there is nothing left; how many bytes that were.
std::uint64_t fill(blocks& kept, std::size_t bytes) {
  std::uint64_t all = 0;
  try {
    while (all < 4 * budget) {
      kept.push_back(std::make_unique_for_overwrite<char[]>(bytes));  // NOLINT
      all += bytes;
    }
  } catch (const std::bad_alloc&) {
    return all;
  }
  return all;
}

ATOLL_BOUNDED_TEST(ends_at_its_budget_and_the_other_shard_does_not_notice) {
  co_await atoll::submit_to(1, [] {});  // the first message to a shard needs memory for the lane
  blocks kept;
  const auto here = fill(kept, 10'000);
  EXPECT_GT(here, budget * 3 / 4);
  EXPECT_LE(here, budget);
  kept.resize(kept.size() - 20);  // the call needs some, too
  const auto there = co_await atoll::submit_to(1, [] {
    blocks others;
    return fill(others, 10'000);
  });
  EXPECT_GT(there, budget * 3 / 4);
  kept.clear();
  const auto s = this_shard().memory->statistics();
  EXPECT_EQ(s.budget_bytes, budget);
  EXPECT_TRUE(s.enforced);
  EXPECT_GT(s.failures, 0U);
  EXPECT_LT(s.used_bytes, budget / 2);
  blocks again;
  EXPECT_GT(fill(again, 10'000), budget * 3 / 4);
}

future<> take_too_much() {
  blocks kept;
  while (true) kept.push_back(std::make_unique_for_overwrite<char[]>(100'000));  // NOLINT
  co_return;
}

ATOLL_BOUNDED_TEST(a_coroutine_that_wants_too_much_fails_with_resource_exhausted) {
  const auto outcome = co_await as_result(take_too_much());
  EXPECT_FALSE(outcome);
  if (!outcome) {
    EXPECT_EQ(outcome.error().code(), atoll::status_code::resource_exhausted);
  }
  const auto far = co_await as_result(atoll::submit_to(1, [] { return take_too_much(); }));
  EXPECT_FALSE(far);
  if (!far) {
    EXPECT_EQ(far.error().code(), atoll::status_code::resource_exhausted);
  }
}

ATOLL_BOUNDED_TEST(asks_reclaimers_in_their_order_before_it_fails) {
  blocks cache;
  std::string asked;
  std::size_t wanted_most = 0;
  const atoll::reclaimer last(
      [&asked](std::size_t) -> std::size_t {
        if (asked.size() < 20) asked += 'b';
        return 0;
      },
      1);
  const atoll::reclaimer throws([](std::size_t) -> std::size_t { throw std::bad_alloc(); });
  const atoll::reclaimer first([&](std::size_t wanted) -> std::size_t {
    if (asked.size() < 20) asked += 'a';
    wanted_most = std::max(wanted_most, wanted);
    const std::size_t n = cache.size();
    cache.clear();
    return n * 10'000;
  });
  asked.reserve(32);
  for (std::uint64_t i = 0; i < budget / 2 / 10'000; ++i) {
    cache.push_back(std::make_unique_for_overwrite<char[]>(10'000));  // NOLINT
  }
  blocks kept;
  EXPECT_GT(fill(kept, 10'001), budget * 3 / 4);
  EXPECT_TRUE(cache.empty());
  EXPECT_TRUE(asked.starts_with("aab")) << asked;  // freed; then nothing more: the next is asked
  EXPECT_GE(wanted_most, 10'001U);
  const auto s = this_shard().memory->statistics();
  EXPECT_GT(s.reclaims, 0U);
  EXPECT_GE(s.reclaimed_bytes, budget / 3);
  kept.clear();
  co_return;
}

ATOLL_BOUNDED_TEST(a_reclaimer_that_lies_does_not_hold_the_shard) {
  std::uint64_t asked = 0;
  const atoll::reclaimer liar([&asked](std::size_t) -> std::size_t {
    ++asked;
    return 1;
  });
  EXPECT_THROW(static_cast<void>(::operator new(2 * budget)), std::bad_alloc);
  EXPECT_GT(asked, 0U);
  EXPECT_LE(asked, static_cast<std::uint64_t>(atoll::shard_memory::rounds_max));
  EXPECT_EQ(::operator new(2 * budget, std::nothrow), nullptr);
  co_return;
}

ATOLL_BOUNDED_TEST(allocations_within_a_reclaimer_fail_at_once) {
  int asked = 0;
  int failed = 0;
  const atoll::reclaimer greedy([&](std::size_t) -> std::size_t {
    ++asked;
    if (::operator new(2 * budget, std::nothrow) == nullptr) ++failed;
    return 0;
  });
  EXPECT_EQ(::operator new(2 * budget, std::nothrow), nullptr);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(failed, 1);
  co_return;
}

/// Serves the messages of each key one at a time: each new key needs memory.
class ledger {
 public:
  future<int> write(std::uint64_t /*key*/) { return atoll::make_ready_future<int>(++written_); }

 private:
  int written_ = 0;
};
ATOLL_SERVICE(ledger, "test.shard_memory.Ledger",
              ATOLL_METHOD_WITH((.concurrency = 1, .queue = 20, .per_key = true), write, key(key)));

/// Uses up a shard's memory but for a reserve. The reclaimer gives of that, and takes a context, as work does that it begins.
class hungry {
 public:
  hungry() {
    taken_.reserve(reserve_blocks);
    blocks reserve;
    for (std::size_t i = 0; i < reserve_blocks; ++i)
      reserve.push_back(std::make_unique_for_overwrite<char[]>(10'000));  // NOLINT
    std::size_t bytes = 10'000;
    for (auto& each : kept_) {
      fill(each, bytes);
      bytes = std::max<std::size_t>(bytes / 2, 16);
    }
    reserve_ = std::move(reserve);
  }

  [[nodiscard]] int asked() const noexcept { return asked_; }
  [[nodiscard]] bool has_what_it_took() const noexcept {
    return std::ranges::all_of(taken_, [this](const atoll::context_ptr& each) {
      return each->values().deadline == deadline_ && each->values().depth == 7;
    });
  }

 private:
  static constexpr std::size_t reserve_blocks = 60;

  std::size_t give() noexcept {
    if (reserve_.empty()) return 0;
    ++asked_;
    reserve_.pop_back();
    try {
      taken_.push_back(atoll::context_ptr::make({.deadline = deadline_, .depth = 7}));
    } catch (const std::bad_alloc&) {
      return 10'000;  // there is none to be had without an allocation, as it should be
    }
    return 10'000;
  }

  std::array<blocks, 12> kept_;
  blocks reserve_;
  std::vector<atoll::context_ptr> taken_;
  atoll::time_point deadline_ = atoll::mono_now() + std::chrono::hours(1);
  int asked_ = 0;
  atoll::reclaimer reclaims_{[this](std::size_t) { return give(); }};
};

ATOLL_BOUNDED_TEST(a_reclaimer_takes_no_context_from_a_call_that_begins) {
  constexpr std::uint64_t keys = 1000;
  atoll::sharded<ledger> ledgers;
  co_await ledgers.start();
  const auto other = ledgers.at(1);
  EXPECT_EQ(co_await other.write(0), 1);  // its shard has a spare context from now on
  std::unique_ptr<hungry> there;
  co_await atoll::submit_to(1, [&there] { there = std::make_unique<hungry>(); });
  int served = 1;
  for (std::uint64_t key = 1; key <= keys; ++key) {
    const auto written = co_await as_result(other.write(key));
    if (!written) continue;
    EXPECT_EQ(*written, ++served);
  }
  EXPECT_GT(served, 1);
  co_await atoll::submit_to(1, [&there] {
    EXPECT_GT(there->asked(), 0);
    EXPECT_TRUE(there->has_what_it_took()) << "a context of somebody's was lent to a call";
    there.reset();
  });
  co_await ledgers.stop();
}

ATOLL_BOUNDED_TEST(the_free_lists_are_the_first_to_go) {
  std::vector<void*> pooled;
  for (int i = 0; i < 1000; ++i) pooled.push_back(atoll::pool_allocate(1024));
  for (void* each : pooled) atoll::pool_free(each, 1024);
  EXPECT_EQ(::operator new(2 * budget, std::nothrow), nullptr);
  EXPECT_GE(this_shard().memory->statistics().reclaimed_bytes, 1'000'000U);
  co_return;
}

ATOLL_BOUNDED_TEST(small_blocks_are_reused_by_the_shard_they_belong_to) {
  namespace detail = atoll::detail;
  void* block = detail::allocate_pooled(40);
  detail::free_pooled(block, 40);
  EXPECT_EQ(detail::allocate_pooled(48), block) << "the same class";
  const auto elsewhere = co_await atoll::submit_to(1, [address = reinterpret_cast<std::uintptr_t>(block)] {
    const auto before = this_shard().memory->statistics().blocks_from_elsewhere;
    void* foreign = reinterpret_cast<void*>(address);  // NOLINT(performance-no-int-to-ptr)
    detail::free_pooled(foreign, 48);
    void* own = detail::allocate_pooled(48);
    EXPECT_NE(own, foreign) << "memory of shard 0 must not become shard 1's";
    detail::free_pooled(own, 48);
    return this_shard().memory->statistics().blocks_from_elsewhere - before;
  });
  EXPECT_EQ(elsewhere, 1U);
  detail::free_pooled(nullptr, 48);
  void* fresh = detail::allocate_pooled(48);
  EXPECT_NE(fresh, nullptr);
  detail::free_pooled(fresh, 48);
}

ATOLL_BOUNDED_TEST(large_blocks_come_from_the_budget_and_go_back) {
  for (int i = 0; i < 10; ++i) {
    auto large = atoll::buffer::try_allocate(20 * mebi);
    EXPECT_TRUE(large) << i;
    if (large) large->writable()->back() = 'x';
  }
  const auto too_large = atoll::buffer::try_allocate(budget);
  EXPECT_FALSE(too_large);
  co_return;
}

ATOLL_BOUNDED_TEST(counts_what_is_freed_on_another_shard) {
  // Blocks that the free lists don't take.
  auto made = std::make_shared<blocks>();
  for (int i = 0; i < 1000; ++i) made->push_back(std::make_unique_for_overwrite<char[]>(5'000));  // NOLINT
  const auto before = this_shard().memory->statistics();
  auto* all = made.get();
  const auto there = co_await atoll::submit_to(1, [address = reinterpret_cast<std::uintptr_t>(all)] {
    const auto at_first = this_shard().memory->statistics().blocks_from_elsewhere;
    for (auto& each : *reinterpret_cast<blocks*>(address)) each.reset();
    return this_shard().memory->statistics().blocks_from_elsewhere - at_first;
  });
  EXPECT_EQ(there, 1000U);
  EXPECT_LE(this_shard().memory->statistics().blocks_from_elsewhere - before.blocks_from_elsewhere, 10U);
  blocks again;  // the memory came back
  EXPECT_GT(fill(again, 10'000), budget * 3 / 4);
}

constexpr std::size_t small_bytes = 512;
constexpr std::size_t most_of_the_budget = budget / 4 * 3 / small_bytes;  // in such blocks

/// Allocates most of the budget in small blocks, as far as there is any, to be freed by who gets them.
std::vector<void*> take_small_blocks() {
  std::vector<void*> all;
  all.reserve(most_of_the_budget);
  while (all.size() < most_of_the_budget) {
    void* block = ::operator new(small_bytes, std::nothrow);
    if (block == nullptr) break;
    all.push_back(block);
  }
  return all;
}

ATOLL_BOUNDED_TEST(small_blocks_freed_elsewhere_come_home) {
  for (int i = 0; i < 4; ++i) {
    auto made = take_small_blocks();
    EXPECT_EQ(made.size(), most_of_the_budget) << i;
    co_await atoll::submit_to(1, [address = reinterpret_cast<std::uintptr_t>(&made)] {
      for (void* each : *reinterpret_cast<std::vector<void*>*>(address)) ::operator delete(each, small_bytes);
    });
  }
}

TEST(shard_memory, small_blocks_may_be_freed_after_their_shard_is_gone) {
  if (!atoll::allocator_keeps_budgets()) GTEST_SKIP() << "the system's allocator bounds nothing";
  static std::vector<void*> left;
  for (int i = 0; i < 4; ++i) {
    run_bounded([]() -> future<> {
      co_await atoll::submit_to(1, [] {
        left = take_small_blocks();
        EXPECT_EQ(left.size(), most_of_the_budget) << "the memory came back";
      });
    });
    // Shard 1 of those is none of these.
    const atoll::runtime_options alone{.shards = 1, .memory_bytes = budget};
    const auto freed = atoll::runtime::run(alone, [] {
      for (void* each : left) ::operator delete(each, small_bytes);
      left = {};
      return atoll::make_ready_future<int>(0);
    });
    EXPECT_TRUE(freed) << freed.error().to_string();
  }
}

ATOLL_BOUNDED_TEST(is_told_by_metrics) {
  const auto snapshot = this_shard().metrics->collect();
  std::string names;
  for (const auto& family : snapshot.families) names += family.name + " ";
  for (const char* name :
       {"atoll_memory_budget_bytes", "atoll_memory_used_bytes", "atoll_memory_held_bytes",
        "atoll_memory_reclaims_total", "atoll_memory_failures_total", "atoll_memory_blocks_from_elsewhere_total"}) {
    EXPECT_NE(names.find(name), std::string::npos) << names;
  }
  co_return;
}

TEST(shard_memory, is_there_again_for_the_next_runtime) {
  if (!atoll::allocator_keeps_budgets()) GTEST_SKIP() << "the system's allocator bounds nothing";
  std::unique_ptr<char[]> left;    // NOLINT: from the first, alive in all
  for (int i = 0; i < 100; ++i) {  // more than the allocator manages ranges
    atoll::runtime_options options;
    options.shards = 2;
    options.memory_bytes = 2 * budget;
    const auto outcome = atoll::runtime::run(options, [&left]() {
      if (!left) left = std::make_unique<char[]>(100);  // NOLINT
      EXPECT_TRUE(this_shard().memory->statistics().enforced);
      return atoll::make_ready_future<int>(0);
    });
    EXPECT_TRUE(outcome);
  }
}

/// All the memory this shard can have, in pieces down to the smallest.
std::vector<std::unique_ptr<char[]>> take_all_memory() {  // NOLINT
  std::vector<std::unique_ptr<char[]>> all;               // NOLINT
  all.reserve(100'000);
  for (std::size_t bytes = std::size_t{8} << 20U; bytes >= 16; bytes /= 2) {
    try {
      while (all.size() < all.capacity()) all.push_back(std::make_unique<char[]>(bytes));  // NOLINT
    } catch (const std::bad_alloc&) {
      continue;
    }
  }
  return all;
}

std::size_t keep_all_memory() {
  static thread_local std::vector<std::unique_ptr<char[]>> kept;  // NOLINT
  kept = take_all_memory();
  return kept.size();
}

// The first message on a lane needs memory that is not the shard's.
TEST(shard_memory, that_is_used_up_leaves_a_shard_able_to_answer) {
  if (!atoll::allocator_keeps_budgets()) GTEST_SKIP() << "the system's allocator bounds nothing";
  const atoll::runtime_options options{.shards = 2, .memory_bytes = 4 * atoll::memory_unit_bytes};
  std::size_t pieces = 0;
  const auto outcome = atoll::runtime::run(options, [&pieces] {
    return atoll::submit_to(1, &keep_all_memory).then([&pieces](std::size_t n) {
      pieces = n;
      return 0;
    });
  });
  EXPECT_TRUE(outcome) << outcome.error().to_string();
  EXPECT_GT(pieces, 4U);
}

TEST(shard_memory, that_is_used_up_on_shard_0_leaves_main_able_to_end) {
  if (!atoll::allocator_keeps_budgets()) GTEST_SKIP() << "the system's allocator bounds nothing";
  const atoll::runtime_options options{.shards = 2, .memory_bytes = 4 * atoll::memory_unit_bytes};
  std::vector<std::unique_ptr<char[]>> kept;  // NOLINT
  const auto outcome = atoll::runtime::run(options, [&kept] {
    kept = take_all_memory();
    return atoll::make_ready_future<int>(0);
  });
  EXPECT_GT(kept.size(), 4U);
  if (!outcome) {
    EXPECT_EQ(outcome.error().code(), atoll::status_code::resource_exhausted);
  }
}

TEST(shard_memory, of_the_least_size_is_there_again_for_the_next_runtime) {
  if (!atoll::allocator_keeps_budgets()) GTEST_SKIP() << "the system's allocator bounds nothing";
  for (int i = 0; i < 50; ++i) {
    const atoll::runtime_options options{.shards = 3, .memory_bytes = 3 * atoll::memory_unit_bytes};
    const auto outcome = atoll::runtime::run(options, [] { return atoll::make_ready_future<int>(0); });
    EXPECT_TRUE(outcome) << outcome.error().to_string();
  }
}

ATOLL_TEST(shard_memory, reclaimers_may_be_made_anywhere) {
  {
    const atoll::reclaimer r([](std::size_t) -> std::size_t { return 0; });
  }
  co_await atoll::submit_to(1, [] { const atoll::reclaimer r([](std::size_t) -> std::size_t { return 0; }); });
}

TEST(shard_memory, a_plan_that_can_not_be_met_is_one_clear_error) {
  atoll::runtime_options options;
  options.shards = 2;
  options.memory_bytes = std::uint64_t{1} << 60;
  const auto outcome = atoll::runtime::run(options, [] { return atoll::make_ready_future<int>(0); });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), atoll::status_code::resource_exhausted);
  EXPECT_EQ(outcome.error().message().find('\n'), std::string_view::npos);
  EXPECT_NE(outcome.error().message().find("--memory"), std::string_view::npos) << outcome.error().to_string();
}

TEST(shard_memory, a_limited_address_space_leaves_the_shards_unbounded) {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  GTEST_SKIP() << "its shadow doesn't grow under a limit";
#endif
#endif
  const atoll::runtime_options options{.shards = 2};
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_AS, &before), 0);
  rlimit limited = before;
  limited.rlim_cur = std::uint64_t{1} << 46;  // a limit, if not one that hurts a sanitizer
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &limited), 0);
  const auto lent = atoll::lend_ranges(options, atoll::allowed_processors());
  ASSERT_EQ(::setrlimit(RLIMIT_AS, &before), 0);
  ASSERT_TRUE(lent);
  EXPECT_EQ(lent->of(0).start, nullptr);
}

TEST(shard_memory, ranges_start_and_end_at_units) {
  if (!atoll::allocator_keeps_budgets()) GTEST_SKIP() << "no ranges";
  const atoll::runtime_options options{.shards = 2, .memory_bytes = 150 * mebi};
  const auto lent = atoll::lend_ranges(options, atoll::allowed_processors());
  ASSERT_TRUE(lent);
  EXPECT_EQ(lent->budget_bytes, 64 * mebi) << "of 75";
  for (const atoll::shard_id s : {0U, 1U}) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(lent->of(s).start) % atoll::memory_unit_bytes, 0U);
    EXPECT_EQ(lent->of(s).bytes, 64 * mebi);
  }
  EXPECT_NE(lent->of(0).start, lent->of(1).start);
}

/// Two pages that nobody has written yet.
struct fresh_pages {
  static constexpr std::size_t bytes = 2 * 4096;
  fresh_pages() : start(::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  fresh_pages(const fresh_pages&) = delete;
  fresh_pages& operator=(const fresh_pages&) = delete;
  ~fresh_pages() { ::munmap(start, bytes); }
  [[nodiscard]] atoll::memory_range range() const { return {.start = start, .bytes = bytes}; }
  void* start;
};

TEST(shard_memory, is_bound_to_a_numa_node) {
  const fresh_pages pages;
  ASSERT_NE(pages.start, MAP_FAILED);
  int policy = -1;
  std::array<unsigned long, 16> nodes{};
  constexpr unsigned long bits = 1024;
  if (::numa_available() < 0 || ::get_mempolicy(&policy, nodes.data(), bits, pages.start, MPOL_F_ADDR) != 0) {
    GTEST_SKIP() << "the kernel knows no nodes, or doesn't let this process ask";
  }
  const int node = ::numa_node_of_cpu(::sched_getcpu());
  ASSERT_GE(node, 0);
  const auto bound = atoll::bind_to_node(pages.range(), node);
  ASSERT_TRUE(bound) << bound.error().to_string();
  ASSERT_EQ(::get_mempolicy(&policy, nodes.data(), bits, pages.start, MPOL_F_ADDR), 0);
  EXPECT_EQ(policy, MPOL_PREFERRED);
  constexpr unsigned word = 8 * sizeof(unsigned long);
  EXPECT_EQ(nodes[static_cast<unsigned>(node) / word], 1UL << (static_cast<unsigned>(node) % word));
  *static_cast<volatile char*>(pages.start) = 1;
  int page_is_on = -1;
  ASSERT_EQ(::get_mempolicy(&page_is_on, nullptr, 0, pages.start, MPOL_F_NODE | MPOL_F_ADDR), 0);
  if (::numa_max_node() == 0) {
    EXPECT_EQ(page_is_on, node) << "there is no other";
  }
}

TEST(shard_memory, is_not_bound_to_a_node_that_does_not_exist) {
  const fresh_pages pages;
  for (const int node : {-1, 900, 1024, 1 << 20}) {
    const auto bound = atoll::bind_to_node(pages.range(), node);
    ASSERT_FALSE(bound) << node;
    EXPECT_EQ(bound.error().code(), atoll::status_code::unavailable);
    EXPECT_NE(bound.error().message(), "");
  }
}

TEST(shard_memory, ranges_are_for_one_shard_each_as_long_as_there_are_enough) {
  const std::vector<int> nodes(atoll::ranges_max, 0);
  const auto groups = atoll::group_by_range(nodes);
  ASSERT_EQ(groups.size(), atoll::ranges_max);
  for (atoll::shard_id s = 0; s < groups.size(); ++s) EXPECT_EQ(groups[s], std::vector{s});
}

TEST(shard_memory, ranges_are_shared_by_neighbours_on_a_node_beyond_that) {
  EXPECT_TRUE(atoll::group_by_range({}).empty());
  for (const std::size_t shards : {atoll::ranges_max + 1, std::size_t{100}, std::size_t{256}}) {
    for (const int node_count : {1, 2, 3, 8}) {
      std::vector<int> nodes;
      for (std::size_t s = 0; s < shards; ++s) nodes.push_back(static_cast<int>(s) % node_count);
      const auto groups = atoll::group_by_range(nodes);
      EXPECT_LE(groups.size(), atoll::ranges_max);
      std::vector<int> seen(shards, 0);
      std::size_t largest = 0;
      for (const auto& group : groups) {
        largest = std::max(largest, group.size());
        for (const atoll::shard_id s : group) {
          ++seen[s];
          EXPECT_EQ(nodes[s], nodes[group.front()]);
        }
      }
      EXPECT_EQ(seen, std::vector<int>(shards, 1));
      EXPECT_LE(largest, (shards + atoll::ranges_max - 1) / atoll::ranges_max + 1) << shards << " on " << node_count;
    }
  }
}

/// How many blocks of a MiB the shard gets; they are given back.
std::size_t blocks_until_the_end() {
  std::vector<std::unique_ptr<char[]>> all;  // NOLINT
  all.reserve(100'000);
  try {
    while (all.size() < all.capacity()) all.push_back(std::make_unique_for_overwrite<char[]>(mebi));  // NOLINT
  } catch (const std::bad_alloc&) {
    return all.size();
  }
  return all.size();
}

TEST(shard_memory, of_a_hundred_shards_ends_at_what_they_share) {
  if (!atoll::allocator_keeps_budgets()) GTEST_SKIP() << "the system's allocator bounds nothing";
  constexpr atoll::shard_id shards = 100;
  const atoll::runtime_options options{.shards = shards, .memory_bytes = shards * atoll::memory_unit_bytes};
  std::size_t blocks = 0;
  const auto outcome = atoll::runtime::run(options, [&blocks] {
    return atoll::submit_to(shards - 1, &blocks_until_the_end).then([&blocks](std::size_t n) {
      EXPECT_TRUE(this_shard().memory->statistics().enforced);
      blocks = n;
      return 0;
    });
  });
  if (!outcome && outcome.error().message().find("are more than there is") != std::string_view::npos) {
    GTEST_SKIP() << outcome.error().to_string();
  }
  if (!outcome && outcome.error().message().find("can't keep more") != std::string_view::npos) {
    GTEST_SKIP() << "tests before this one have used up the ranges of this process";
  }
  ASSERT_TRUE(outcome) << outcome.error().to_string();
  EXPECT_GT(blocks, 10U);
  EXPECT_LT(blocks, 3 * atoll::memory_unit_bytes / mebi);
}

}  // namespace
