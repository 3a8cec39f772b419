// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/memory/buffer.hh>

#include <array>
#include <cstring>
#include <iterator>
#include <memory>
#include <ranges>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atoll/actors/base/rng.hh>
#include <atoll/testing/atoll_test.hh>

#include "buffer_model.hh"

namespace {

using atoll::buffer;
using atoll::buffer_chain;
using atoll::status_code;
using ::testing::ElementsAre;

static_assert(!std::is_copy_constructible_v<buffer> && std::is_nothrow_move_constructible_v<buffer>);
static_assert(!std::is_copy_constructible_v<buffer_chain> && std::is_nothrow_move_assignable_v<buffer_chain>);
static_assert(!std::is_convertible_v<std::size_t, buffer> && !std::is_convertible_v<buffer, buffer_chain>);
static_assert(std::ranges::forward_range<const buffer_chain>);

/// Writes its name to a log when it dies.
class mourned {
 public:
  mourned(std::vector<std::string>& log, std::string name) : log_(&log), name_(std::move(name)) {}
  mourned(mourned&& other) noexcept : log_(std::exchange(other.log_, nullptr)), name_(std::move(other.name_)) {}
  mourned& operator=(mourned&&) = delete;
  ~mourned() {
    if (log_ != nullptr) log_->push_back(name_);
  }

 private:
  std::vector<std::string>* log_;
  std::string name_;
};

buffer_chain chain_of(const std::vector<std::string>& pieces) {
  buffer_chain made;
  for (const auto& p : pieces) made.append(buffer::copy_of(p));
  return made;
}

std::vector<std::string> pieces_of(const buffer_chain& chain) {
  std::vector<std::string> pieces;
  for (const auto p : chain) pieces.emplace_back(p);
  return pieces;
}

TEST(buffer, holds_as_many_bytes_as_asked_for_and_they_can_be_written) {
  for (const std::size_t n :
       {std::size_t{1}, std::size_t{7}, std::size_t{1000}, std::size_t{1024}, std::size_t{70'000}}) {
    buffer b(n);
    EXPECT_EQ(b.size(), n);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.data()) % 8, 0U);
    auto room = b.writable().value();
    ASSERT_EQ(room.size(), n);
    std::memset(room.data(), 'a', n);
    EXPECT_EQ(b, std::string(n, 'a'));
  }
}

TEST(buffer, compares_with_bytes_and_text) {
  const auto b = buffer::copy_of(std::string_view("a\0b", 3));
  EXPECT_EQ(b, std::string_view("a\0b", 3));
  EXPECT_EQ(b, atoll::bytes(std::string_view("a\0b", 3)));
  EXPECT_NE(b, "a");
  EXPECT_EQ(b, buffer::copy_of(b.view()));
  EXPECT_EQ(buffer(), "");
  EXPECT_EQ(buffer::copy_of({}), buffer());
}

TEST(buffer, that_is_empty_has_no_memory) {
  std::vector<std::string> dead;
  std::vector<buffer> empty(2);
  empty.emplace_back(0);
  empty.push_back(buffer::copy_of(""));
  empty.push_back(*buffer::copy_of("text").share(4, 0));
  for (auto& b : empty) {
    EXPECT_TRUE(b.empty());
    EXPECT_TRUE(b.sole_owner());
    EXPECT_EQ(b.data(), nullptr);
    EXPECT_TRUE(b.writable().value().empty());
    b.trim(3);
    b.trim_front(3);
    b.attach(mourned(dead, "at once"));
    EXPECT_THAT(dead, ElementsAre("at once"));
    dead.clear();
  }
}

TEST(buffer, moved_from_is_empty) {
  auto a = buffer::copy_of("bytes");
  const auto* where = a.data();
  buffer b(std::move(a));
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): that is what is tested
  EXPECT_EQ(a.data(), nullptr);
  EXPECT_EQ(b.data(), where);
  auto& same = b;
  b = std::move(same);
  EXPECT_EQ(b, "bytes");
  a = std::move(b);
  EXPECT_EQ(a.data(), where);
  EXPECT_TRUE(b.empty());  // NOLINT(bugprone-use-after-move)
}

TEST(buffer, larger_than_can_be_is_refused) {
  for (const auto n : {buffer::size_max + 1, SIZE_MAX, SIZE_MAX - sizeof(atoll::detail::buffer_block) + 1}) {
    EXPECT_THROW(buffer{n}, std::bad_alloc);
    const auto refused = buffer::try_allocate(n);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), status_code::resource_exhausted);
  }
  const auto given = buffer::try_allocate(10);
  ASSERT_TRUE(given);
  EXPECT_EQ(given->size(), 10U);
}

TEST(buffer, shares_are_the_same_memory) {
  auto a = buffer::copy_of("0123456789");
  const auto b = a.share();
  EXPECT_EQ(b.data(), a.data());
  auto c = a.share(3, 4);
  ASSERT_TRUE(c);
  EXPECT_EQ(*c, "3456");
  EXPECT_EQ(c->data(), a.data() + 3);
  const auto d = c->share(1, 3);  // of what c has, not of the block
  ASSERT_TRUE(d);
  EXPECT_EQ(*d, "456");
  a = buffer();
  EXPECT_EQ(*d, "456");
  EXPECT_EQ(b, "0123456789");
}

TEST(buffer, a_share_is_of_bytes_that_are_there) {
  auto whole = buffer::copy_of("0123456789");
  auto b = *whole.share(2, 5);
  EXPECT_EQ(*b.share(0, 5), "23456");
  EXPECT_EQ(*b.share(5, 0), "");
  for (const auto& [offset, n] : std::vector<std::pair<std::size_t, std::size_t>>{
           {0, 6}, {5, 1}, {6, 0}, {1, SIZE_MAX}, {SIZE_MAX, 1}, {SIZE_MAX, SIZE_MAX}, {SIZE_MAX - 1, 3}}) {
    const auto refused = b.share(offset, n);
    ASSERT_FALSE(refused) << offset << " " << n;
    EXPECT_EQ(refused.error().code(), status_code::out_of_range);
  }
  EXPECT_EQ(buffer().share(0, 1).error().code(), status_code::out_of_range);
  EXPECT_TRUE(buffer().share(0, 0));
}

TEST(buffer, only_a_sole_owner_writes) {
  auto a = buffer::copy_of("abcdef");
  {
    auto b = *a.share(4, 2);
    EXPECT_FALSE(a.sole_owner());
    EXPECT_EQ(a.writable().error().code(), status_code::failed_precondition);
    EXPECT_EQ(b.writable().error().code(), status_code::failed_precondition);
  }
  EXPECT_TRUE(a.sole_owner());
  a.trim_front(1);
  a.trim(4);
  auto room = a.writable().value();
  EXPECT_EQ(room.size(), 4U);
  room[0] = 'B';
  EXPECT_EQ(a, "Bcde");
}

TEST(buffer, trims_no_more_than_it_has_and_then_leaves_its_block) {
  auto a = buffer::copy_of("abcdef");
  auto b = a.share();
  b.trim(100);
  EXPECT_EQ(b, "abcdef");
  b.trim_front(2);
  b.trim(3);
  EXPECT_EQ(b, "cde");
  EXPECT_EQ(a, "abcdef");
  b.trim_front(SIZE_MAX);
  EXPECT_TRUE(b.empty());
  EXPECT_TRUE(a.sole_owner());
  b = a.share();
  b.trim(0);
  EXPECT_TRUE(a.sole_owner());
}

TEST(buffer, gives_foreign_memory_back_once_with_the_last_share) {
  std::string memory = "foreign";
  int released = 0;
  {
    auto a = buffer::wrap(memory, [&released, only_moves = std::make_unique<int>(1)] { released += *only_moves; });
    EXPECT_EQ(a.data(), memory.data());
    a.writable().value()[0] = 'F';
    auto b = *a.share(3, 2);
    a = buffer();
    EXPECT_EQ(released, 0);
    EXPECT_EQ(b, "ei");
  }
  EXPECT_EQ(released, 1);
  EXPECT_EQ(memory, "Foreign");
  EXPECT_TRUE(buffer::wrap({}, [&released] { ++released; }).empty());
  EXPECT_EQ(released, 2);
}

TEST(buffer, what_is_attached_dies_with_the_last_share_in_its_order) {
  std::vector<std::string> dead;
  std::string memory = "foreign";
  auto a = buffer::wrap(memory, [&dead] { dead.emplace_back("memory"); });
  a.attach(mourned(dead, "first"));
  auto b = *a.share(0, 1);
  b.attach(mourned(dead, "second"));
  a.clear();
  EXPECT_TRUE(dead.empty());
  b.clear();
  EXPECT_THAT(dead, ElementsAre("memory", "first", "second"));
}

TEST(buffer, what_is_attached_may_own_another_buffer) {
  auto a = buffer::copy_of("a");
  for (int i = 0; i < 10; ++i) {
    auto next = buffer::copy_of("b");
    next.attach(std::move(a));
    a = std::move(next);
  }
  auto kept = a.share();
  a.clear();
  EXPECT_EQ(kept, "b");
}

TEST(buffer, detached_is_itself_where_nothing_holds_it_back) {
  auto a = buffer::copy_of("0123456789");
  a.trim_front(2);
  const auto* where = a.data();
  auto detached = std::move(a).detach();
  EXPECT_EQ(detached.data(), where);
  EXPECT_EQ(detached, "23456789");
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(buffer().detach().empty());
}

TEST(buffer, detached_is_a_copy_where_it_is_shared) {
  auto a = buffer::copy_of("0123456789");
  auto part = *a.share(2, 3);
  auto detached = std::move(part).detach();
  EXPECT_EQ(detached, "234");
  EXPECT_TRUE(part.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(a.sole_owner());
  EXPECT_TRUE(detached.sole_owner());
  detached.writable().value()[0] = 'x';
  EXPECT_EQ(a, "0123456789");
}

TEST(buffer, detached_leaves_what_is_attached_behind) {
  std::vector<std::string> dead;
  auto a = buffer::copy_of("paid for");
  const auto* where = a.data();
  a.attach(mourned(dead, "reservation"));
  auto detached = std::move(a).detach();
  EXPECT_THAT(dead, ElementsAre("reservation"));
  EXPECT_EQ(detached, "paid for");
  EXPECT_NE(detached.data(), where);

  std::string memory = "foreign";
  auto b = buffer::wrap(memory, [&dead] { dead.emplace_back("memory"); }).detach();
  EXPECT_THAT(dead, ElementsAre("reservation", "memory"));
  EXPECT_NE(b.data(), memory.data());
  EXPECT_EQ(b, "foreign");
}

/// Memory that says it is larger than any copy can be; nobody reads it.
buffer too_large_to_copy(char& byte) {
  return buffer::wrap({&byte, buffer::size_max + 1}, [] {});
}

TEST(buffer, keeps_its_bytes_where_there_is_no_memory_for_a_copy) {
  char byte = 'a';
  auto b = too_large_to_copy(byte);
  EXPECT_THROW(std::ignore = std::move(b).detach(), std::bad_alloc);
  EXPECT_EQ(b.size(), buffer::size_max + 1);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(b.data(), &byte);
  EXPECT_THROW(std::ignore = buffer::copy_of(b.view()), std::bad_alloc);
}

ATOLL_TEST(buffer, on_a_shard_takes_small_blocks_from_its_pool) {
  for (int i = 0; i < 3; ++i) {
    std::vector<buffer> held;
    for (std::size_t n = 0; n < 2000; n += 37) {
      held.emplace_back(n);
      if (n > 0) std::memset(held.back().writable().value().data(), 'a', n);
    }
    for (std::size_t k = 0; k < held.size(); ++k) EXPECT_EQ(held[k], std::string(k * 37, 'a'));
  }
  co_return;
}

ATOLL_TEST(buffer, detached_may_die_elsewhere) {
  buffer_chain chain(buffer::copy_of("small"));
  chain.append(buffer::copy_of(std::string(5000, 'x')));
  const auto kept = chain.share();
  std::thread([sent = std::move(chain).detach()]() mutable {
    sent.trim_front(3);
    EXPECT_EQ(sent.size(), 5002U);
  }).join();
  EXPECT_EQ(kept.size(), 5005U);
  co_return;
}

TEST(buffer_chain, is_its_pieces_in_a_row) {
  auto chain = chain_of({"b", "", "cd"});
  chain.prepend(buffer::copy_of("a"));
  chain.prepend(buffer());
  chain.append(chain_of({"e", "f"}));
  chain.append(buffer_chain());
  EXPECT_THAT(pieces_of(chain), ElementsAre("a", "b", "cd", "e", "f"));
  EXPECT_EQ(chain.size(), 6U);
  EXPECT_EQ(chain.pieces(), 5U);
  buffer_chain empty;
  EXPECT_EQ(empty.begin(), empty.end());
  empty.append(std::move(chain));
  EXPECT_EQ(empty, "abcdef");
  EXPECT_TRUE(chain.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(chain.pieces(), 0U);
  chain.append(buffer::copy_of("again"));
  EXPECT_EQ(chain, "again");
}

TEST(buffer_chain, can_be_moved_onto_itself_and_appended_to_itself) {
  auto chain = chain_of({"a", "b"});
  auto& same = chain;
  chain = std::move(same);
  EXPECT_EQ(chain, "ab");
  chain.append(std::move(same));
  EXPECT_THAT(pieces_of(chain), ElementsAre("a", "b"));
  chain.append(same.share());
  EXPECT_THAT(pieces_of(chain), ElementsAre("a", "b", "a", "b"));
}

TEST(buffer_chain, copies_nothing_until_asked) {
  auto a = buffer::copy_of("head");
  auto b = buffer::copy_of("body");
  const auto* head = a.data();
  const auto* body = b.data();
  buffer_chain chain(std::move(b));
  chain.prepend(std::move(a));
  auto front = chain.take_front(6);
  ASSERT_TRUE(front);
  EXPECT_THAT(pieces_of(*front), ElementsAre("head", "bo"));
  EXPECT_EQ((*front->begin()).data(), head);
  EXPECT_EQ((*std::next(front->begin())).data(), body);
  EXPECT_EQ((*chain.begin()).data(), body + 2);
  auto one = std::move(chain).linearize();
  EXPECT_EQ(one.data(), body + 2);
  EXPECT_TRUE(chain.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_FALSE(one.sole_owner());
  front->clear();
  EXPECT_TRUE(one.sole_owner());
}

TEST(buffer_chain, take_front_cuts_anywhere) {
  const std::vector<std::string> pieces = {"ab", "c", "defg"};
  const std::string all = "abcdefg";
  for (std::size_t n = 0; n <= all.size(); ++n) {
    auto rest = chain_of(pieces);
    auto front = rest.take_front(n);
    ASSERT_TRUE(front);
    EXPECT_EQ(*front, all.substr(0, n));
    EXPECT_EQ(rest, all.substr(n));
    rest.append(buffer::copy_of("!"));  // both ends are still right
    front->append(buffer::copy_of("!"));
    EXPECT_EQ(*front, all.substr(0, n) + "!");
    EXPECT_EQ(rest, all.substr(n) + "!");
    EXPECT_EQ(pieces_of(*front).size(), front->pieces());
    EXPECT_EQ(pieces_of(rest).size(), rest.pieces());
  }
  auto chain = chain_of(pieces);
  for (const auto n : {all.size() + 1, SIZE_MAX}) {
    auto refused = chain.take_front(n);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), status_code::out_of_range);
    EXPECT_EQ(chain, all);
  }
  EXPECT_FALSE(buffer_chain().take_front(1));
  EXPECT_TRUE(buffer_chain().take_front(0));
}

TEST(buffer_chain, trim_front_drops_pieces_as_it_passes_them) {
  std::vector<std::string> dead;
  buffer_chain chain;
  for (const char* text : {"ab", "cd", "ef"}) {
    auto piece = buffer::copy_of(text);
    piece.attach(mourned(dead, text));
    chain.append(std::move(piece));
  }
  chain.trim_front(1);
  EXPECT_TRUE(dead.empty());
  chain.trim_front(2);
  EXPECT_THAT(dead, ElementsAre("ab"));
  EXPECT_THAT(pieces_of(chain), ElementsAre("d", "ef"));
  chain.trim_front(SIZE_MAX);
  EXPECT_THAT(dead, ElementsAre("ab", "cd", "ef"));
  EXPECT_TRUE(chain.empty());
  chain.trim_front(1);
  EXPECT_EQ(chain.pieces(), 0U);
}

TEST(buffer_chain, gives_iovecs_for_the_room_there_is) {
  const auto chain = chain_of({"ab", "c", "defg"});
  std::array<iovec, 5> vectors{};
  EXPECT_EQ(chain.fill_iovecs(std::span(vectors).first(2)), 2U);
  EXPECT_EQ(vectors[2].iov_base, nullptr);
  EXPECT_EQ(chain.fill_iovecs(vectors), 3U);
  EXPECT_EQ(std::string_view(static_cast<char*>(vectors[2].iov_base), vectors[2].iov_len), "defg");
  EXPECT_EQ(vectors[3].iov_base, nullptr);
  EXPECT_EQ(chain.fill_iovecs({}), 0U);
}

TEST(buffer_chain, copies_what_has_room) {
  const auto chain = chain_of({"ab", "c", "defg"});
  std::string out(10, '.');
  EXPECT_EQ(chain.copy_to(std::span(out).first(4)), 4U);
  EXPECT_EQ(out, "abcd......");
  EXPECT_EQ(chain.copy_to(out), 7U);
  EXPECT_EQ(out, "abcdefg...");
  EXPECT_EQ(chain.copy_to({}), 0U);
  EXPECT_EQ(chain_of({"ab", "cd"}).linearize(), "abcd");
  EXPECT_TRUE(buffer_chain().linearize().empty());
}

TEST(buffer_chain, finds_a_byte) {
  const auto chain = chain_of({"ab", "\n", "c\nd"});
  EXPECT_EQ(chain.find('\n'), 2U);
  EXPECT_EQ(chain.find('\n', 2), 2U);
  EXPECT_EQ(chain.find('\n', 3), 4U);
  EXPECT_EQ(chain.find('\n', 5), std::nullopt);
  EXPECT_EQ(chain.find('a', SIZE_MAX), std::nullopt);
  EXPECT_EQ(chain.find('z'), std::nullopt);
}

TEST(buffer_chain, is_equal_to_the_same_bytes_cut_otherwise) {
  EXPECT_EQ(chain_of({"ab", "c"}), chain_of({"a", "bc"}));
  EXPECT_EQ(chain_of({"ab", "c"}), "abc");
  EXPECT_NE(chain_of({"ab", "c"}), chain_of({"ab", "d"}));
  EXPECT_NE(chain_of({"ab", "c"}), chain_of({"ab"}));
  EXPECT_NE(chain_of({"ab", "c"}), "abx");
  EXPECT_NE(chain_of({"ab"}), "abc");
  EXPECT_EQ(buffer_chain(), buffer_chain());
  EXPECT_EQ(buffer_chain(), "");
}

TEST(buffer_chain, detached_copies_the_pieces_that_are_shared) {
  auto own = buffer::copy_of("own");
  auto shared = buffer::copy_of("shared");
  const auto kept = shared.share();
  const auto* own_bytes = own.data();
  buffer_chain chain(std::move(own));
  chain.append(std::move(shared));
  auto detached = std::move(chain).detach();
  EXPECT_EQ(detached, "ownshared");
  EXPECT_EQ((*detached.begin()).data(), own_bytes);
  EXPECT_NE((*std::next(detached.begin())).data(), kept.data());
  EXPECT_TRUE(kept.sole_owner());
}

TEST(buffer_chain, keeps_its_bytes_where_there_is_no_memory_for_a_copy) {
  char byte = 'a';
  buffer_chain chain(buffer::copy_of("head"));
  chain.append(too_large_to_copy(byte));
  EXPECT_THROW(std::ignore = std::move(chain).linearize(), std::bad_alloc);
  EXPECT_THROW(std::ignore = std::move(chain).detach(), std::bad_alloc);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(chain.size(), buffer::size_max + 5);                          // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(chain.pieces(), 2U);
  EXPECT_EQ(*chain.begin(), "head");
}

TEST(buffer_chain, of_very_many_pieces_dies_without_recursion) {
  auto one = buffer::copy_of("x");
  buffer_chain chain;
  for (int i = 0; i < 300'000; ++i) chain.append(one.share());
  EXPECT_EQ(chain.size(), 300'000U);
  chain.clear();
  EXPECT_TRUE(one.sole_owner());
}

TEST(buffer_model, agrees_for_random_operations) {
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    atoll::rng random(seed);
    std::string operations(1 + random.below(800), '\0');
    for (auto& c : operations) c = static_cast<char>(random());
    ASSERT_EQ(buffer_model::run(operations), "") << "seed " << seed;
  }
}

/// Here blocks come from the shard's pool, and come again.
ATOLL_TEST(buffer_model, agrees_on_a_shard) {
  for (std::uint64_t seed = 1; seed <= 500; ++seed) {
    atoll::rng random(seed);
    std::string operations(400, '\0');
    for (auto& c : operations) c = static_cast<char>(random());
    EXPECT_EQ(buffer_model::run(operations), "") << "seed " << seed;
  }
  co_return;
}

}  // namespace
