// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// buffer: bytes with one owner or several, which share them; buffer_chain: several buffers in a row, as one.
//
//   atoll::buffer b(4096);                                    // not initialised
//   std::size_t n = co_await peer->read_some(b.writable().value());
//   b.trim(n);
//   atoll::result<atoll::buffer> head = b.share(0, 16);       // the same bytes, not a copy of them
//   b.attach(std::move(permit));                              // dies with the last share of the bytes
//   atoll::buffer_chain frame(std::move(header));
//   frame.append(std::move(b));                               // nothing is copied
//
// Shard rules: shares count their block without atomics, so all shares of a block live on one shard. What goes to
// another is `std::move(b).detach()`, which messages do by themselves (sendable.hh): the buffer itself where it is the block's sole owner and
// nothing is attached to it, else a copy. What is attached (a reservation, foreign memory's release) stays and dies on its own shard; the
// receiver pays for what it receives. A detached buffer may be freed on any shard.
// Cost: a buffer is three words. Count and bytes of a block are one allocation, of up to 1 KiB from the shard's frame
// pool. An empty buffer has no block. A share, however small, keeps the whole block: copy_of() what is kept for long.
// Errors: running out of memory throws std::bad_alloc unless said otherwise, and then nothing has changed.
#pragma once

#include <sys/uio.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <new>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include <atoll/actors/base/bytes.hh>
#include <atoll/actors/base/result.hh>
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll {
namespace detail {

/// Something that dies with a block.
struct buffer_holder {
  void (*destroy)(buffer_holder* self) noexcept;
  buffer_holder* next = nullptr;
};

template <class H>
struct buffer_holder_of final : buffer_holder {
  static_assert(std::is_nothrow_move_constructible_v<H>, "what is attached to a buffer is moved without throwing");
  static_assert(alignof(H) <= alignof(std::max_align_t), "what is attached to a buffer has no special alignment");

  explicit buffer_holder_of(H&& h) noexcept : buffer_holder{&destroy_this}, held(std::move(h)) {}
  static buffer_holder* make(H&& h) {
    return ::new (pool_allocate(sizeof(buffer_holder_of))) buffer_holder_of(std::move(h));
  }
  static void destroy_this(buffer_holder* self) noexcept {
    static_cast<buffer_holder_of*>(self)->~buffer_holder_of();
    pool_free(self, sizeof(buffer_holder_of));
  }

  H held;
};

/// Calls a function when it dies.
template <class F>
class call_at_end {
 public:
  explicit call_at_end(F&& f) noexcept : call_(std::move(f)) {}
  call_at_end(call_at_end&& other) noexcept : call_(std::move(other.call_)), due_(std::exchange(other.due_, false)) {}
  call_at_end& operator=(call_at_end&&) = delete;
  ~call_at_end() {
    if (due_) call_();
  }

 private:
  F call_;
  bool due_ = true;
};

/// What the shares of some bytes have in common. The bytes follow it, unless they are foreign.
struct buffer_block {
  std::size_t shares;
  std::size_t allocated;   // with this header
  buffer_holder* holders;  // in the order they were attached
};

}  // namespace detail

class buffer {
 public:
  /// The most bytes one buffer can have.
  static constexpr std::size_t size_max = PTRDIFF_MAX - sizeof(detail::buffer_block);

  /// Empty; allocates nothing.
  buffer() noexcept = default;
  /// n bytes of any content, their first at a multiple of 8. Throws std::bad_alloc, also above size_max.
  explicit buffer(std::size_t n);
  /// The same, failing with `resource_exhausted`.
  static result<buffer> try_allocate(std::size_t n);
  static buffer copy_of(std::string_view content);

  /// Foreign memory, which `release()` gives back: called once, on this shard, when the last share is gone; at once if
  /// `memory` is empty or this throws. It must not throw.
  template <class Release>
    requires std::invocable<Release&>
  static buffer wrap(std::span<char> memory, Release release) {
    detail::call_at_end<Release> at_end(std::move(release));
    if (memory.empty()) return {};
    buffer wrapped;
    wrapped.block_ = allocate_block(0);
    wrapped.data_ = memory.data();
    wrapped.size_ = memory.size();
    wrapped.attach(std::move(at_end));
    return wrapped;
  }

  /// The one moved from is empty.
  buffer(buffer&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  buffer& operator=(buffer&& other) noexcept {
    buffer old(std::move(other));
    std::swap(block_, old.block_);
    std::swap(data_, old.data_);
    std::swap(size_, old.size_);
    return *this;
  }
  ~buffer() { clear(); }

  [[nodiscard]] const char* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }

  /// Does no other buffer share the block? True of an empty one.
  [[nodiscard]] bool sole_owner() const noexcept { return block_ == nullptr || block_->shares == 1; }
  /// The bytes, to write them; `failed_precondition` where other buffers share the block, be it other bytes of it.
  [[nodiscard]] result<std::span<char>> writable();

  /// Another owner of the same bytes. O(1), allocates nothing.
  [[nodiscard]] buffer share() const noexcept { return slice(0, size_); }
  /// An owner of n of the bytes, from `offset` on; `out_of_range` unless the buffer has all of them. O(1).
  [[nodiscard]] result<buffer> share(std::size_t offset, std::size_t n) const;

  /// Drops the first n bytes, or all if there are fewer. A buffer trimmed to nothing leaves its block. O(1).
  void trim_front(std::size_t n) noexcept {
    if (n >= size_) return clear();
    data_ += n;
    size_ -= n;
  }
  /// Drops all but the first n bytes. The memory stays the block's. O(1).
  void trim(std::size_t n) noexcept {
    if (n == 0) return clear();
    if (n < size_) size_ = n;
  }
  /// Drops all bytes.
  void clear() noexcept {
    auto* block = std::exchange(block_, nullptr);
    data_ = nullptr;
    size_ = 0;
    if (block != nullptr && --block->shares == 0) free_block(block);
  }

  /// Keeps `holder` until the last share of the block is gone, then destroys it on this shard: a reservation of the
  /// memory, say. Those attached die in that order, after the block is freed. It dies at once where the buffer is empty
  /// or this throws. Its destructor must not throw. One small allocation; O(holders attached before).
  template <class H>
  void attach(H holder) {
    if (block_ == nullptr) return;
    auto** at = &block_->holders;
    while (*at != nullptr) at = &(*at)->next;
    *at = detail::buffer_holder_of<H>::make(std::move(holder));
  }

  /// These bytes in a buffer that may go to another shard: this one's block where it is its sole owner and has nothing
  /// attached, else a copy of the bytes. This one is empty then; where it throws, it has its bytes. O(1) or O(size).
  [[nodiscard]] buffer detach() &&;

  friend bool operator==(const buffer& a, const buffer& b) noexcept { return a.view() == b.view(); }
  friend bool operator==(const buffer& a, std::string_view b) noexcept { return a.view() == b; }
  friend bool operator==(const buffer& a, const bytes& b) noexcept { return a.view() == b.view(); }

 private:
  static detail::buffer_block* allocate_block(std::size_t bytes_behind);
  static void free_block(detail::buffer_block* block) noexcept;
  /// REQUIRES: this buffer has these bytes.
  [[nodiscard]] buffer slice(std::size_t offset, std::size_t n) const noexcept;

  detail::buffer_block* block_ = nullptr;  // null exactly where size_ is 0
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Buffers in a row, read as one run of bytes. None of them is empty. Never copies bytes unless said so.
/// Each piece costs one small pooled allocation. A chain has no bound of its own: who appends what a peer sends
/// bounds it.
class buffer_chain {
  struct piece {
    buffer content;
    piece* next = nullptr;
  };

 public:
  /// Over the pieces, as string_views.
  class iterator {
   public:
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    using reference = std::string_view;
    using pointer = void;
    using iterator_category = std::input_iterator_tag;
    using iterator_concept = std::forward_iterator_tag;

    iterator() noexcept = default;
    std::string_view operator*() const noexcept { return at_->content.view(); }
    iterator& operator++() noexcept {
      at_ = at_->next;
      return *this;
    }
    iterator operator++(int) noexcept { return std::exchange(*this, iterator(at_->next)); }
    friend bool operator==(iterator, iterator) noexcept = default;

   private:
    friend class buffer_chain;
    explicit iterator(const piece* at) noexcept : at_(at) {}
    const piece* at_ = nullptr;
  };
  using const_iterator = iterator;

  /// Empty; allocates nothing.
  buffer_chain() noexcept = default;
  explicit buffer_chain(buffer content) { append(std::move(content)); }
  /// The one moved from is empty. O(1).
  buffer_chain(buffer_chain&& other) noexcept { swap(other); }
  buffer_chain& operator=(buffer_chain&& other) noexcept {
    buffer_chain incoming(std::move(other));
    swap(incoming);
    return *this;
  }
  ~buffer_chain() { clear(); }

  /// Bytes in all pieces together.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::size_t pieces() const noexcept { return pieces_; }

  /// O(1). An empty buffer leaves no piece.
  void append(buffer content);
  void prepend(buffer content);
  void append(buffer_chain other) noexcept;

  [[nodiscard]] iterator begin() const noexcept { return iterator(first_); }
  [[nodiscard]] iterator end() const noexcept { return {}; }
  /// The first pieces as writev() wants them, as many as there is room for; gives how many. They hold until the chain
  /// changes.
  std::size_t fill_iovecs(std::span<iovec> out) const noexcept;

  /// Another owner of the same bytes. O(pieces).
  [[nodiscard]] buffer_chain share() const;
  /// Splits off the first n bytes; `out_of_range` where there are fewer, and then nothing has changed. A piece that the
  /// cut goes through is shared by the two. O(pieces taken), O(1) for all of them; at most one allocation.
  [[nodiscard]] result<buffer_chain> take_front(std::size_t n);
  /// Drops the first n bytes, or all if there are fewer. O(pieces dropped).
  void trim_front(std::size_t n) noexcept;
  /// Drops all bytes. O(pieces).
  void clear() noexcept;

  /// Copies the first bytes, as many as there is room for; gives how many.
  std::size_t copy_to(std::span<char> out) const noexcept;
  /// All bytes in one buffer: the piece itself where there is but one, else a copy of them. This chain is empty then.
  [[nodiscard]] buffer linearize() &&;
  /// These bytes in a chain that may go to another shard: each piece detached. This one is empty then. Where it throws,
  /// the chain has all its bytes.
  [[nodiscard]] buffer_chain detach() &&;

  /// Where `byte` first stands at or after `from`. O(pieces + bytes looked at).
  [[nodiscard]] std::optional<std::size_t> find(char byte, std::size_t from = 0) const noexcept;

  /// The same bytes, however cut into pieces?
  friend bool operator==(const buffer_chain& a, const buffer_chain& b) noexcept;
  friend bool operator==(const buffer_chain& a, std::string_view b) noexcept;

 private:
  static piece* make_piece(buffer&& content);
  static void free_piece(piece* p) noexcept;
  void drop_first() noexcept;
  void swap(buffer_chain& other) noexcept;

  piece* first_ = nullptr;
  piece* last_ = nullptr;
  std::size_t size_ = 0;  // bytes
  std::size_t pieces_ = 0;
};

}  // namespace atoll_root::atoll
