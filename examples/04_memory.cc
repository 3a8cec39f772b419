// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A cache that gives memory back when its shard has none left, and slices of its pages that are no copies.
// Run it with --shards 1 --memory 64M.
#include <cstdio>
#include <deque>

#include <atoll/actors/memory/buffer.hh>
#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/sharding/app.hh>

constexpr std::size_t page_bytes = 64 << 10;
constexpr std::size_t pages_in_all = 2'000;  // 125 MiB

class page_cache {
 public:
  void put(atoll::buffer page) { pages_.push_back(std::move(page)); }
  const atoll::buffer& newest() const { return pages_.back(); }
  std::size_t size() const { return pages_.size(); }

 private:
  /// In the middle of any allocation of the shard.
  std::size_t drop_oldest(std::size_t wanted) {
    std::size_t freed = 0;
    while (freed < wanted && !pages_.empty()) {
      freed += pages_.front().size();
      pages_.pop_front();
    }
    return freed;
  }
  std::deque<atoll::buffer> pages_;
  atoll::reclaimer evict_{[this](std::size_t wanted) { return drop_oldest(wanted); }};
};

atoll::future<int> demo() {
  page_cache cache;
  for (std::size_t i = 0; i < pages_in_all; ++i) cache.put(atoll::buffer(page_bytes));
  const auto s = atoll::this_shard().memory->statistics();
  std::printf("put %zu pages, %zu are left; the shard's budget is %llu MiB%s\n", pages_in_all, cache.size(),
              static_cast<unsigned long long>(s.budget_bytes >> 20), s.enforced ? "" : ", not enforced");
  std::printf("the cache was asked %s, %llu allocations failed\n", s.reclaims > 0 ? "for memory" : "for nothing",
              static_cast<unsigned long long>(s.failures));

  const auto slice = cache.newest().share(100, 16).value();  // keeps the page's memory for as long as it lives
  std::printf("a slice of %zu bytes: %s\n", slice.size(),
              slice.data() == cache.newest().data() + 100 ? "the page's own" : "a copy");

  const bool too_many = s.enforced && s.budget_bytes < pages_in_all * page_bytes;
  const bool held = s.failures == 0 && too_many == (cache.size() < pages_in_all) && !cache.newest().sole_owner();
  co_return held ? 0 : 1;
}

int main(int argc, char** argv) {
  atoll::app app("memory", "Shows budgets, reclaimers and buffers.");
  return app.run(argc, argv, [] { return demo(); });
}
