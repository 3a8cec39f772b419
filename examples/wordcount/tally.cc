// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include "tally.hh"

#include <algorithm>

namespace wordcount {
namespace {

using atoll::future;
using atoll::status_code;

constexpr std::size_t shown_letters_max = 64;

std::string shown(const std::string& word) {
  if (word.size() <= shown_letters_max) return word;
  return word.substr(0, shown_letters_max) + "... (" + std::to_string(word.size()) + " letters)";
}

}  // namespace

future<> tally::add(std::vector<entry> entries) {
  for (auto& e : entries) {
    words_ += e.count;
    counts_[std::move(e.word)] += e.count;
  }
  return atoll::make_ready_future();
}

future<bool> tally::add_long(atoll::bytes digest, std::uint64_t letters) {
  const auto found = long_.find(digest.data);
  if (found == long_.end() || found->second.text.size() != letters) co_return false;
  ++found->second.count;
  ++words_;
  co_return true;
}

future<> tally::put_piece(atoll::bytes digest, std::uint64_t offset, atoll::bytes piece) {
  auto& text = long_[digest.data].text;
  if (offset > text.size()) {
    co_await atoll::fail(status_code::out_of_range, "a piece of a long word that leaves a gap");
  }
  if (offset + piece.size() > text.size()) text.replace(offset, std::string::npos, piece.data);
}

future<atoll::bytes> tally::get_piece(atoll::bytes digest, std::uint64_t offset, std::uint32_t bytes_max) const {
  const auto found = long_.find(digest.data);
  if (found == long_.end() || offset > found->second.text.size()) {
    co_return atoll::error(status_code::not_found, "no such piece of a long word");
  }
  co_return atoll::bytes(found->second.text.substr(offset, bytes_max));
}

future<std::vector<entry>> tally::top(std::uint32_t k) const {
  std::vector<entry> best;
  const auto offer = [&best, k](const std::string& word, std::int64_t count) {
    if (best.size() == k && (k == 0 || best.front().count > count)) return;
    best.push_back({shown(word), count});
    std::push_heap(best.begin(), best.end(), more_frequent);
    if (best.size() > k) {
      std::pop_heap(best.begin(), best.end(), more_frequent);
      best.pop_back();
    }
  };
  for (const auto& [word, count] : counts_) offer(word, count);
  for (const auto& [digest, word] : long_) {
    if (word.count > 0) offer(word.text, word.count);
  }
  std::sort_heap(best.begin(), best.end(), more_frequent);
  co_return best;
}

future<page> tally::words(std::string after, std::uint32_t bytes_max) const {
  page found;
  std::size_t bytes = 0;
  for (auto at = counts_.upper_bound(after); at != counts_.end(); ++at) {
    if (bytes >= bytes_max && !found.entries.empty()) {
      found.more = true;
      break;
    }
    found.entries.push_back({at->first, at->second});
    bytes += at->first.size() + sizeof(std::int64_t);
  }
  co_return found;
}

future<std::vector<long_entry>> tally::long_words() const {
  std::vector<long_entry> found;
  for (const auto& [digest, word] : long_) {
    if (word.count > 0) found.push_back({atoll::bytes(digest), word.text.size(), word.count});
  }
  co_return found;
}

future<totals> tally::size() const {
  const auto counted = std::count_if(long_.begin(), long_.end(), [](const auto& w) { return w.second.count > 0; });
  co_return totals{words_, static_cast<std::int64_t>(counts_.size()) + counted};
}

}  // namespace wordcount
