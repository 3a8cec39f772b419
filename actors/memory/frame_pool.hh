// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Free lists for the small, short-lived blocks of one shard: coroutine frames, promise states, call records.
//
//   void* p = atoll::pool_allocate(n);  ...  atoll::pool_free(p, n);
//
// Blocks of up to 1 KiB are kept in lists of 64-byte classes, at most `blocks_max` a class; larger ones and
// the surplus go to the system allocator. A block may be freed on another shard than it came from: it joins
// the list there. Under AddressSanitizer every block goes to the allocator, so that misuse is seen.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

class frame_pool {
 public:
  static constexpr std::size_t class_bytes = 64;
  static constexpr std::size_t pooled_bytes_max = 1024;
  static constexpr std::uint32_t blocks_max = 4096;

  frame_pool() noexcept = default;
  frame_pool(const frame_pool&) = delete;
  frame_pool& operator=(const frame_pool&) = delete;
  ~frame_pool() {
    for (auto& list : lists_) {
      while (list.head != nullptr) ::operator delete(pop(list));
    }
  }

  void* allocate(std::size_t bytes) {
    if (bytes > pooled_bytes_max) return ::operator new(bytes);
    auto& list = lists_[index(bytes)];
    return list.head != nullptr ? pop(list) : ::operator new((index(bytes) + 1) * class_bytes);
  }

  void free(void* block, std::size_t bytes) noexcept {
    auto* list = bytes > pooled_bytes_max ? nullptr : &lists_[index(bytes)];
    if (list == nullptr || list->length == blocks_max) return ::operator delete(block);
    list->head = new (block) node{list->head};
    ++list->length;
  }

 private:
  struct node {
    node* next;
  };
  struct free_list {
    node* head = nullptr;
    std::uint32_t length = 0;
  };

  static std::size_t index(std::size_t bytes) noexcept { return bytes == 0 ? 0 : (bytes - 1) / class_bytes; }
  static void* pop(free_list& list) noexcept {
    node* block = list.head;
    list.head = block->next;
    --list.length;
    return block;
  }

  std::array<free_list, pooled_bytes_max / class_bytes> lists_{};
};

/// From this shard's pool, or from the system allocator where no shard runs.
void* pool_allocate(std::size_t bytes);
void pool_free(void* block, std::size_t bytes) noexcept;

}  // namespace atoll_root::atoll
