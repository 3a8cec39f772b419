// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll {
namespace detail {
constinit thread_local shard* current_shard = nullptr;
}

#if defined(__SANITIZE_ADDRESS__)
#define ATOLL_POOLS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ATOLL_POOLS 0
#endif
#endif
#ifndef ATOLL_POOLS
#define ATOLL_POOLS 1
#endif

void* pool_allocate(std::size_t bytes) {
  if (ATOLL_POOLS == 1 && on_shard()) return detail::current_shard->frames.allocate(bytes);
  // A block may join a pool when it is freed, so it has its class's full size.
  const std::size_t rounded = (bytes + frame_pool::class_bytes - 1) / frame_pool::class_bytes * frame_pool::class_bytes;
  return ::operator new(bytes <= frame_pool::pooled_bytes_max ? rounded : bytes);
}

void pool_free(void* block, std::size_t bytes) noexcept {
  if (ATOLL_POOLS == 1 && on_shard()) return detail::current_shard->frames.free(block, bytes);
  ::operator delete(block);
}

}  // namespace atoll_root::atoll
