// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include "word_count.hh"

#include <algorithm>
#include <iterator>
#include <map>

#include <atoll/actors/future/combinators.hh>

#include "words.hh"

namespace wordcount {
namespace {

using atoll::as_result;
using atoll::fail;
using atoll::future;
using atoll::status_code;

constexpr std::uint32_t top_max = 1'000;
constexpr std::uint32_t page_bytes = 256U << 10;  // of one owner's part

template <class T>
std::vector<T> joined(std::vector<std::vector<T>> parts) {
  std::vector<T> all;
  for (auto& part : parts) std::move(part.begin(), part.end(), std::back_inserter(all));
  return all;
}

}  // namespace

template <class F>
auto word_count::ask_all(F f)
    -> future<std::vector<typename std::invoke_result_t<F, atoll::remote_ref<tally>>::value_type>> {
  using answer = std::invoke_result_t<F, atoll::remote_ref<tally>>;
  std::vector<answer> asked;
  for (const auto& node : cluster_.members()) {
    if (node.shards == 0) {
      co_return atoll::error(status_code::unavailable, "node " + std::to_string(node.id) + " is not here yet");
    }
    for (atoll::shard_id shard = 0; shard < node.shards; ++shard) {
      asked.push_back(f(cluster_.ref<tally>(node.id, shard)));
    }
  }
  co_return co_await atoll::or_fail(atoll::when_all_succeed(std::move(asked)));
}

future<std::int64_t> word_count::count_lines(std::vector<atoll::bytes> lines) {
  std::unordered_map<std::string, std::int64_t> counts;
  std::int64_t words = 0;
  for (const auto& line : lines) words += count_words(line.view(), counts);

  std::map<std::pair<atoll::node_id, atoll::shard_id>, std::vector<entry>> by_owner;
  for (auto& [word, count] : counts) {
    if (word.size() > word_letters_max) {
      co_return atoll::error(status_code::invalid_argument, "a word too long for count_lines");
    }
    const auto owner = cluster_.owner_of(atoll::key_hash(word));
    if (!owner) co_return owner.error();
    by_owner[*owner].push_back({word, count});
  }
  std::vector<future<>> sent;
  for (auto& [owner, entries] : by_owner) {
    sent.push_back(cluster_.ref<tally>(owner.first, owner.second).add(std::move(entries)));
  }
  co_await atoll::or_fail(atoll::when_all_succeed(std::move(sent)));
  co_return words;
}

future<bool> word_count::count_long_word(atoll::bytes digest, std::uint64_t letters) {
  auto owner = cluster_.by_key<tally>(digest);
  return owner.add_long(std::move(digest), letters);
}

future<> word_count::put_long_word(atoll::bytes digest, std::uint64_t offset, atoll::bytes piece) {
  auto owner = cluster_.by_key<tally>(digest);
  return owner.put_piece(std::move(digest), offset, std::move(piece));
}

future<atoll::bytes> word_count::get_long_word(atoll::bytes digest, std::uint64_t offset, std::uint32_t bytes_max) {
  auto owner = cluster_.by_key<tally>(digest);
  return owner.get_piece(std::move(digest), offset, bytes_max);
}

future<std::vector<long_entry>> word_count::long_words() {
  co_return joined(co_await ask_all([](auto owner) { return owner.long_words(); }));
}

future<std::vector<entry>> word_count::top(std::uint32_t k) {
  if (k > top_max) co_return atoll::error(status_code::out_of_range, "top: k is at most 1000");
  // Each word has one owner, so the best of the owners' best are the best.
  auto all = joined(co_await ask_all([k](auto owner) { return owner.top(k); }));
  std::sort(all.begin(), all.end(), more_frequent);
  if (all.size() > k) all.resize(k);
  co_return all;
}

future<page> word_count::words(std::string after) {
  auto parts = co_await ask_all([&after](auto owner) { return owner.words(after, page_bytes); });
  page merged;
  // An owner that has more was heard only up to its last word: nothing beyond the least of those is complete.
  const std::string* complete_to = nullptr;
  for (const auto& part : parts) {
    if (!part.more) continue;
    merged.more = true;
    if (complete_to == nullptr || part.entries.back().word < *complete_to) {
      complete_to = &part.entries.back().word;
    }
  }
  for (const auto& part : parts) {
    for (const auto& e : part.entries) {
      if (complete_to == nullptr || e.word <= *complete_to) merged.entries.push_back(e);
    }
  }
  std::sort(merged.entries.begin(), merged.entries.end(),
            [](const entry& a, const entry& b) { return a.word < b.word; });
  co_return merged;
}

future<std::vector<owner_totals>> word_count::owners() {
  std::vector<owner_totals> all;
  for (const auto& node : cluster_.members()) {
    for (atoll::shard_id shard = 0; shard < node.shards; ++shard) all.push_back({node.id, shard, {}});
  }
  const auto sizes = co_await ask_all([](auto owner) { return owner.size(); });
  for (std::size_t i = 0; i < std::min(all.size(), sizes.size()); ++i) all[i].owned = sizes[i];
  co_return all;
}

}  // namespace wordcount
