// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The code of docs/memory.md, and that it does what is said there.
#include <algorithm>
#include <deque>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <atoll/actors/memory/buffer.hh>
#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/actors/sync/semaphore.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

constexpr std::uint64_t mebi = 1 << 20;

class page_cache {
 public:
  void put(atoll::buffer page) { pages_.push_back(std::move(page)); }
  std::size_t pages() const { return pages_.size(); }

 private:
  std::size_t drop_oldest(std::size_t wanted) {
    std::size_t freed = 0;
    while (freed < wanted && !pages_.empty()) {
      freed += pages_.front().size();
      pages_.pop_front();
    }
    return freed;  // 0: the next reclaimer is asked
  }
  std::deque<atoll::buffer> pages_;
  atoll::reclaimer evict_{[this](std::size_t wanted) { return drop_oldest(wanted); }};
};

atoll::future<int> fill_the_cache() {
  const auto& memory = *atoll::this_shard().memory;
  page_cache cache;
  std::size_t put = 0;
  for (; put < 2'000; ++put) cache.put(atoll::buffer(100'000));  // 200 MB in all
  const auto s = memory.statistics();
  co_return s.reclaims > 0 && cache.pages() < put&& s.failures == 0 ? 0 : 1;
}

TEST(docs_memory, a_cache_shrinks_when_its_shard_has_no_memory_left) {
  if (!atoll::allocator_keeps_budgets()) GTEST_SKIP() << "the system's allocator bounds nothing";
  atoll::runtime_options options;
  options.shards = 1;
  options.memory_bytes = 64 * mebi;
  const auto outcome = atoll::runtime::run(options, [] { return fill_the_cache(); });
  ASSERT_TRUE(outcome) << outcome.error().to_string();
  EXPECT_EQ(*outcome, 0);
}

atoll::future<> take_too_much() {
  std::vector<atoll::buffer> kept;
  while (true) kept.emplace_back(100'000);  // std::bad_alloc, when the budget is used up
  co_return;
}

atoll::future<int> fail_softly() {
  const auto r = co_await atoll::as_result(take_too_much());
  co_return !r && r.error().code() == atoll::status_code::resource_exhausted ? 0 : 1;
}

TEST(docs_memory, who_wants_too_much_fails_and_the_shard_goes_on) {
  if (!atoll::allocator_keeps_budgets()) GTEST_SKIP() << "the system's allocator bounds nothing";
  atoll::runtime_options options;
  options.shards = 1;
  options.memory_bytes = 64 * mebi;
  const auto outcome = atoll::runtime::run(options, [] { return fail_softly(); });
  ASSERT_TRUE(outcome) << outcome.error().to_string();
  EXPECT_EQ(*outcome, 0);
}

TEST(docs_memory, too_little_for_the_shards_is_an_error_of_the_start) {
  atoll::runtime_options options;
  options.shards = 2;
  options.memory_bytes = 16 * mebi;
  const auto outcome = atoll::runtime::run(options, [] { return atoll::make_ready_future<int>(0); });
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code(), atoll::status_code::resource_exhausted);
}

ATOLL_TEST(docs_memory, blocks_may_be_freed_on_another_shard) {
  const auto freed_here_before = atoll::this_shard().memory->statistics().blocks_from_elsewhere;
  auto from_there = co_await atoll::submit_to(1, [] { return std::vector<char>(10'000); });
  EXPECT_EQ(from_there.size(), 10'000U);
  std::vector<char>().swap(from_there);  // freed here: the allocator gives the block back to shard 1
  const auto s = atoll::this_shard().memory->statistics();
  if (s.enforced) {
    EXPECT_GT(s.blocks_from_elsewhere, freed_here_before);
  }
}

struct frame {
  atoll::buffer header;
  atoll::buffer body;
};

atoll::result<frame> cut(atoll::buffer bytes) {
  auto header = bytes.share(0, 4);  // the same bytes, not a copy; `out_of_range` where there are fewer
  if (!header) return header.error();
  bytes.trim_front(4);
  return frame{*std::move(header), std::move(bytes)};
}

ATOLL_TEST(docs_memory, a_buffer_is_cut_without_a_copy) {
  auto bytes = atoll::buffer::copy_of("HEADbody");
  const char* const start = bytes.data();
  auto f = cut(std::move(bytes));
  ATOLL_REQUIRE(f);
  EXPECT_EQ(f->header, "HEAD");
  EXPECT_EQ(f->body, "body");
  EXPECT_EQ(f->body.data(), start + 4);
  EXPECT_FALSE(cut(atoll::buffer::copy_of("HE")));
  const auto refused = f->header.writable();
  ATOLL_REQUIRE(!refused);
  EXPECT_EQ(refused.error().code(), atoll::status_code::failed_precondition);
  f->body.clear();
  EXPECT_TRUE(f->header.writable());
  co_return;
}

atoll::future<atoll::buffer> receive(atoll::semaphore& budget, std::size_t n) {
  auto units = co_await atoll::or_fail(budget.acquire(n));
  atoll::buffer received(n);
  received.attach(std::move(units));  // the reservation dies with the last share of the bytes
  co_return received;
}

ATOLL_TEST(docs_memory, a_reservation_lives_in_the_buffer_it_pays_for) {
  atoll::semaphore budget("receive memory", 1'000);
  auto received = co_await receive(budget, 600);
  auto tail = received.share(500, 100);
  ATOLL_REQUIRE(tail);
  received.clear();
  EXPECT_EQ(budget.available(), 400U) << "a share keeps the block";
  tail->clear();
  EXPECT_EQ(budget.available(), 1'000U);
}

atoll::buffer read_page(std::size_t bytes) {
  atoll::buffer page(bytes);
  std::ranges::fill(*page.writable(), 'p');
  return page;
}

atoll::future<atoll::buffer> page_of(atoll::shard_id owner) {
  return atoll::submit_to(owner, [] { return read_page(4096); });  // sole owner, nothing attached: no copy
}

ATOLL_TEST(docs_memory, a_buffer_is_detached_before_it_leaves_its_shard) {
  EXPECT_EQ(co_await page_of(1), std::string(4096, 'p'));
  auto page = read_page(100);
  const char* const bytes = page.data();
  auto alone = std::move(page).detach();
  EXPECT_EQ(alone.data(), bytes);
  const auto shared = alone.share();
  const auto copied = std::move(alone).detach();
  EXPECT_NE(copied.data(), bytes);
  EXPECT_EQ(copied, shared);
}

atoll::result<atoll::buffer_chain> next_line(atoll::buffer_chain& received) {
  const auto end = received.find('\n');
  if (!end) return atoll::error(atoll::status_code::unavailable, "no whole line yet");
  return received.take_front(*end + 1);  // pieces change hands; one that is cut is shared
}

ATOLL_TEST(docs_memory, a_chain_is_read_as_one_run_of_bytes) {
  atoll::buffer_chain received(atoll::buffer::copy_of("GET"));
  received.append(atoll::buffer::copy_of(" /\nnext"));
  const auto line = next_line(received);
  ATOLL_REQUIRE(line);
  EXPECT_EQ(*line, "GET /\n");
  EXPECT_EQ(line->pieces(), 2U);
  EXPECT_EQ(received, "next");
  EXPECT_FALSE(next_line(received));
  co_return;
}

}  // namespace
