// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The way home of small blocks that are freed on another shard than they came from: in batches, without a look at the
// blocks themselves. Internal to atoll; operator delete uses it.
//
//   block_returns returns(own);                 // one a shard, attached as shard.returns; `own` is its owner number
//   if (!returns.give_back(block, bytes)) ...   // freed here; false: it has no known home, free it yourself
//   returns.turn(shard.blocks);                 // once a turn of the loop: sends what was begun, takes what came
//
// Why: the allocator's own way is an atomic exchange on the block's page and a write to the block, for each block. A
// batch costs its sender two writes a block and one exchange for all, and its receiver what a local free costs.
// What is on its way still counts as its owner's: up to a batch for each pair of shards until the sender's next turn,
// then until the owner's next turn or its next allocation that finds no block in its free list. Where its owner has not taken
// any for long, so that `batches_max` wait, blocks go the allocator's way.
// Thread rules: a block_returns belongs to one shard; a block_inbox takes batches from any thread.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include <atoll/actors/base/namespace.hh>
#include <atoll/actors/memory/block_pool.hh>

namespace atoll_root::atoll::detail {

/// Blocks of one owner, and the size each was freed with.
struct block_batch {
  static constexpr std::size_t blocks_max = 62;

  block_batch* next = nullptr;
  std::size_t count = 0;
  std::array<std::uint64_t, blocks_max> blocks;  // an address, and its size's class in the lowest byte

  void add(void* block, std::size_t bytes) noexcept {
    const std::size_t size_class = (bytes + block_pool::class_bytes - 1) / block_pool::class_bytes;
    blocks[count++] = reinterpret_cast<std::uintptr_t>(block) << 8 | size_class;
  }
  /// Calls free(block, bytes) for each.
  template <class Free>
  void free_each(Free free) const {
    for (std::size_t i = 0; i < count; ++i) {
      void* block = reinterpret_cast<void*>(static_cast<std::uintptr_t>(blocks[i] >> 8));  // NOLINT(*-no-int-to-ptr)
      free(block, (blocks[i] & 255) * block_pool::class_bytes);
    }
  }
};
static_assert(sizeof(block_batch) == 512);
static_assert(block_pool::pooled_bytes_max / block_pool::class_bytes < 256);

/// Where the batches of one owner arrive. Closed at first.
class alignas(64) block_inbox {
 public:
  void open() noexcept { head_.store(nullptr, std::memory_order_relaxed); }
  /// From now on put() refuses; gives what is there.
  block_batch* close() noexcept {
    block_batch* first = batches(head_.exchange(closed(), std::memory_order_acquire));
    count_out(first);
    return first;
  }

  /// Batches that wait here at most, about: half a megabyte of their senders', and some 0.5 ms for the owner to free.
  static constexpr std::size_t batches_max = 1024;

  /// False if it is closed or full.
  bool put(block_batch& batch) noexcept {
    if (waiting_.load(std::memory_order_relaxed) >= batches_max) return false;
    waiting_.fetch_add(1, std::memory_order_relaxed);
    block_batch* head = head_.load(std::memory_order_relaxed);
    do {
      if (head == closed()) {
        waiting_.fetch_sub(1, std::memory_order_relaxed);
        return false;
      }
      batch.next = head;
    } while (!head_.compare_exchange_weak(head, &batch, std::memory_order_release, std::memory_order_relaxed));
    return true;
  }
  /// REQUIRES of this and take(): it is open, and this is its owner's thread.
  [[nodiscard]] bool has_any() const noexcept { return head_.load(std::memory_order_relaxed) != nullptr; }
  /// Batches linked by `next`, the newest first.
  block_batch* take() noexcept {
    block_batch* first = head_.exchange(nullptr, std::memory_order_acquire);
    count_out(first);
    return first;
  }

 private:
  static constexpr block_batch* closed() noexcept { return &closed_mark; }
  static block_batch* batches(block_batch* head) noexcept { return head == closed() ? nullptr : head; }
  void count_out(const block_batch* first) noexcept {
    std::size_t batches = 0;
    for (; first != nullptr; first = first->next) ++batches;
    waiting_.fetch_sub(batches, std::memory_order_relaxed);
  }
  static block_batch closed_mark;

  std::atomic<block_batch*> head_{closed()};
  std::atomic<std::size_t> waiting_{0};
};

/// Who owns which addresses, for good: owners are numbered from 1.
inline constexpr std::size_t block_owners_max = 127;
/// REQUIRES: `start` and `bytes` are multiples of 32 MiB. Does nothing for a number above the bound.
void own_addresses(void* start, std::uint64_t bytes, int owner) noexcept;

class block_returns {
 public:
  /// REQUIRES: 1 <= owner <= block_owners_max, and it is no other's at this time.
  explicit block_returns(int owner) noexcept;
  block_returns(const block_returns&) = delete;
  block_returns& operator=(const block_returns&) = delete;
  /// REQUIRES: end() was called.
  ~block_returns() = default;

  bool give_back(void* block, std::size_t bytes) noexcept {
    const std::uint8_t owner = owner_of(block);
    if (owner == 0) return false;
    block_batch* batch = begun_[owner];
    if (batch == nullptr) [[unlikely]] {
      batch = begin(owner);
      if (batch == nullptr) return false;
    }
    batch->add(block, bytes);
    if (batch->count == block_batch::blocks_max) [[unlikely]]
      send(owner);
    return true;
  }

  void turn(block_pool& pool) noexcept {
    if ((begun_mask_[0] | begun_mask_[1]) != 0) send_all();
    take_arrived(pool);
  }
  /// Takes what came; false if nothing did.
  bool take_arrived(block_pool& pool) noexcept {
    if (!inbox_.has_any()) [[likely]]
      return false;
    take(pool);
    return true;
  }
  /// Before the shard goes: what comes later is freed by its sender.
  void end(block_pool& pool) noexcept;

 private:
  static constexpr unsigned unit_bits = 25;     // 32 MiB
  static constexpr unsigned address_bits = 47;  // of user space, unless one asks for more
  static std::uint8_t owner_of(const void* block) noexcept {
    const auto unit = reinterpret_cast<std::uintptr_t>(block) >> unit_bits;
    return unit < owners.size() ? std::atomic_ref(owners[unit]).load(std::memory_order_relaxed) : 0;
  }
  friend void own_addresses(void* start, std::uint64_t bytes, int owner) noexcept;
  static std::array<std::uint8_t, std::size_t{1} << (address_bits - unit_bits)> owners;
  static std::array<block_inbox, block_owners_max + 1> inboxes;

  block_batch* begin(std::uint8_t owner) noexcept;
  void send(std::uint8_t owner) noexcept;
  void send_all() noexcept;
  void take(block_pool& pool) noexcept;

  block_inbox& inbox_;
  std::array<std::uint64_t, 2> begun_mask_{};  // a bit for each owner
  std::array<block_batch*, block_owners_max + 1> begun_{};
};

}  // namespace atoll_root::atoll::detail
