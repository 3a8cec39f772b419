// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// tally: the counts of the words that one shard of one node owns. Called by the word_count instances of all nodes.
//
// Words of more than `word_letters_max` letters don't fit a message: they come and go in pieces, and are known by a
// digest, which is then also the key that decides who owns them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <atoll/rpc/cluster.hh>

namespace wordcount {

/// The longest word that travels whole.
inline constexpr std::size_t word_letters_max = 64U << 10;

struct entry {
  std::string word;
  std::int64_t count = 0;
};
ATOLL_MESSAGE(entry, word, count);

struct long_entry {
  atoll::bytes digest;
  std::uint64_t letters = 0;
  std::int64_t count = 0;
};
ATOLL_MESSAGE(long_entry, digest, letters, count);

struct page {
  std::vector<entry> entries;  // by word
  bool more = false;           // there are words after the last of these
};
ATOLL_MESSAGE(page, entries, more);

struct totals {
  std::int64_t words = 0;
  std::int64_t distinct = 0;
};
ATOLL_MESSAGE(totals, words, distinct);

class tally {
 public:
  atoll::future<> add(std::vector<entry> entries);

  /// Counts a long word once; false if its text is not here yet (then nothing was counted).
  atoll::future<bool> add_long(atoll::bytes digest, std::uint64_t letters);
  /// A piece of a long word's text. A piece that was here already changes nothing; `out_of_range` for one that
  /// leaves a gap.
  atoll::future<> put_piece(atoll::bytes digest, std::uint64_t offset, atoll::bytes piece);
  atoll::future<atoll::bytes> get_piece(atoll::bytes digest, std::uint64_t offset, std::uint32_t bytes_max) const;

  /// The `k` most frequent words, most frequent first, then by word. Long ones are cut short.
  atoll::future<std::vector<entry>> top(std::uint32_t k) const;
  /// Words after `after`, by word, as many as some `bytes_max` bytes hold, at least one.
  atoll::future<page> words(std::string after, std::uint32_t bytes_max) const;
  atoll::future<std::vector<long_entry>> long_words() const;
  atoll::future<totals> size() const;

 private:
  struct long_word {
    std::string text;
    std::int64_t count = 0;
  };

  std::map<std::string, std::int64_t> counts_;
  std::map<std::string, long_word> long_;  // by digest
  std::int64_t words_ = 0;
};

ATOLL_SERVICE(tally, "wordcount.v1.Tally", ATOLL_METHOD(add, entries), ATOLL_METHOD(add_long, digest, letters),
              ATOLL_METHOD(put_piece, digest, offset, piece), ATOLL_METHOD(get_piece, digest, offset, bytes_max),
              ATOLL_METHOD(top, k), ATOLL_METHOD(words, after, bytes_max), ATOLL_METHOD(long_words),
              ATOLL_METHOD(size));

/// The order of `top`: most frequent first, then by word.
inline bool more_frequent(const entry& a, const entry& b) noexcept {
  return a.count != b.count ? a.count > b.count : a.word < b.word;
}

}  // namespace wordcount
