// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// word_count: what clients call, on any node. Cuts text into words, sends each word's count to the shard of the
// cluster that owns the word, and answers questions by asking all of them.
#pragma once

#include <atoll/rpc/cluster_part.hh>

#include "tally.hh"

namespace wordcount {

/// What one shard of one node owns.
struct owner_totals {
  std::uint32_t node = 0;
  std::uint32_t shard = 0;
  totals owned;
};
ATOLL_MESSAGE(owner_totals, node, shard, owned);

/// This process, as one that serves its tallies to the others.
using tally_node = atoll::cluster_of<tally>;

class word_count {
 public:
  using depends_on = atoll::dependencies<tally_node>;
  explicit word_count(atoll::cluster_ref cluster) : cluster_(cluster) {}

  /// Counts the words of some lines; returns how many. No word may lie across two lines or be longer than
  /// word_letters_max (`invalid_argument`).
  atoll::future<std::int64_t> count_lines(std::vector<atoll::bytes> lines);

  // A long word: count_long_word says true if it knows the text; else send that with put_long_word, in order, and ask again.
  atoll::future<bool> count_long_word(atoll::bytes digest, std::uint64_t letters);
  atoll::future<> put_long_word(atoll::bytes digest, std::uint64_t offset, atoll::bytes piece);
  atoll::future<atoll::bytes> get_long_word(atoll::bytes digest, std::uint64_t offset, std::uint32_t bytes_max);
  atoll::future<std::vector<long_entry>> long_words();

  /// The k most frequent words of the whole cluster; k up to 1,000.
  atoll::future<std::vector<entry>> top(std::uint32_t k);
  /// The words after `after` of the whole cluster, by word, a page at a time.
  atoll::future<page> words(std::string after);
  atoll::future<std::vector<owner_totals>> owners();

 private:
  /// Calls f(ref to a tally) for every shard of every node, all at once; the results in that order.
  template <class F>
  auto ask_all(F f)
      -> atoll::future<std::vector<typename std::invoke_result_t<F, atoll::remote_ref<tally>>::value_type>>;

  atoll::cluster_ref cluster_;
};

ATOLL_SERVICE(word_count, "wordcount.v1.WordCount", ATOLL_METHOD(count_lines, lines),
              ATOLL_METHOD(count_long_word, key(digest), letters),
              ATOLL_METHOD(put_long_word, key(digest), offset, piece),
              ATOLL_METHOD(get_long_word, key(digest), offset, bytes_max), ATOLL_METHOD(long_words),
              ATOLL_METHOD(top, k), ATOLL_METHOD(words, after), ATOLL_METHOD(owners));

}  // namespace wordcount
