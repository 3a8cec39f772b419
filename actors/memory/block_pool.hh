// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Free lists for the small blocks of one shard: what operator new gives, coroutine frames, promise states, call records.
//
//   void* p = atoll::pool_allocate(n);  ...  atoll::pool_free(p, n);     // in actors/reactor/shard.hh
//
// Blocks of up to 1 KiB are kept in lists of 16-byte classes, at most `blocks_max` a class (some 35 MB if all are full);
// larger ones and the surplus go to the allocator. A block freed here joins the list here, wherever it came
// from: operator delete keeps out those of other shards. Under AddressSanitizer every block goes to the allocator, so
// that misuse is seen.
// Cost: some 2 ns for a pair from the list.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

class block_pool {
 public:
  static constexpr std::size_t class_bytes = 16;
  static constexpr std::size_t pooled_bytes_max = 1024;
  static constexpr std::uint32_t blocks_max = 1024;

  /// Names the list of blocks of a size, which pooled_bytes_max is at most.
  enum class list_id : std::size_t {};
  static constexpr list_id list_of(std::size_t bytes) noexcept { return list_id{index(bytes)}; }

  block_pool() noexcept = default;
  block_pool(const block_pool&) = delete;
  block_pool& operator=(const block_pool&) = delete;
  ~block_pool() { release(); }

  void* allocate(std::size_t bytes) {
    if (void* block = take(bytes)) [[likely]]
      return block;
    return allocate_unpooled(bytes);
  }
  void* try_allocate(std::size_t bytes) noexcept {
    if (void* block = take(bytes)) [[likely]]
      return block;
    return try_allocate_unpooled(bytes);
  }

  void free(void* block, std::size_t bytes) noexcept {
    if (bytes > pooled_bytes_max) [[unlikely]]
      return free_unpooled(block);
    free(block, list_of(bytes));
  }
  void free(void* block, list_id id) noexcept {
    if (has_room(id)) [[likely]] {
      put(block, id);
    } else {
      free_unpooled(block);
    }
  }

  /// Whether a block may join its list; then to put it there.
  [[nodiscard]] bool has_room(list_id id) const noexcept {
    return lists_[static_cast<std::size_t>(id)].length < limit_;
  }
  void put(void* block, list_id id) noexcept {
    auto& list = lists_[static_cast<std::size_t>(id)];
    list.head = ::new (block) node{list.head};
    ++list.length;
  }

  /// Asks the allocator for a block that the next take() gives. REQUIRES: no more than pooled_bytes_max. Throws std::bad_alloc.
  void provide(std::size_t bytes);
  /// A block of the lists; null where the allocator has to be asked.
  void* take(std::size_t bytes) noexcept {
    if (bytes > pooled_bytes_max) return nullptr;
    auto& list = lists_[index(bytes)];
    node* block = list.head;
    if (block == nullptr) return nullptr;
    list.head = block->next;
    --list.length;
    return block;
  }
  /// A block may join a list when it is freed, so it has its class's full size.
  static constexpr std::size_t of_class(std::size_t bytes) noexcept {
    return bytes <= pooled_bytes_max ? (bytes == 0 ? 1 : index(bytes)) * class_bytes : bytes;
  }
  /// What to ask an allocator for that places blocks of like sizes one after the other. Those that lie 512 or 1,024 bytes apart are in
  /// each other's way: their first lines have an eighth or a sixteenth of the first cache for them. So they get the next size.
  static constexpr std::size_t spread(std::size_t bytes) noexcept {
    const std::size_t size = of_class(bytes);
    if (size > 448 && size <= 512) return 512 + class_bytes;
    if (size > 896 && size <= 1024) return 1024 + class_bytes;
    return size;
  }

  /// Switched off, every block comes from the allocator and goes there: for tests of its failures.
  void switch_on(bool on) noexcept {
    if (!on) release();
    limit_ = on ? blocks_max : 0;
  }
  [[nodiscard]] bool is_on() const noexcept { return limit_ != 0; }
  /// Gives all kept blocks back to the allocator; returns how many bytes.
  std::size_t release() noexcept;

  static void* allocate_unpooled(std::size_t bytes);
  static void* try_allocate_unpooled(std::size_t bytes) noexcept;
  static void free_unpooled(void* block) noexcept;

 private:
  struct node {
    node* next;
  };
  struct free_list {
    node* head = nullptr;
    std::uint32_t length = 0;
  };

#if defined(__SANITIZE_ADDRESS__)
  static constexpr std::uint32_t default_limit = 0;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
  static constexpr std::uint32_t default_limit = 0;
#else
  static constexpr std::uint32_t default_limit = blocks_max;
#endif
#else
  static constexpr std::uint32_t default_limit = blocks_max;
#endif

  static constexpr std::size_t index(std::size_t bytes) noexcept { return (bytes + class_bytes - 1) / class_bytes; }
  std::array<free_list, pooled_bytes_max / class_bytes + 1> lists_{};
  std::uint32_t limit_ = default_limit;  // of a list's length
};

}  // namespace atoll_root::atoll
