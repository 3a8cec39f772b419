// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/memory/block_pool.hh>

namespace atoll_root::atoll {

void* block_pool::allocate_unpooled(std::size_t bytes) { return ::operator new(of_class(bytes)); }
void* block_pool::try_allocate_unpooled(std::size_t bytes) noexcept {
  return ::operator new(of_class(bytes), std::nothrow);
}
void block_pool::free_unpooled(void* block) noexcept { ::operator delete(block); }

void block_pool::provide(std::size_t bytes) {
  void* const block = allocate_unpooled(bytes);  // which may have the lists emptied
  put(block, list_of(bytes));
}

std::size_t block_pool::release() noexcept {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < lists_.size(); ++i) {
    while (void* block = take(i * class_bytes)) {
      free_unpooled(block);
      bytes += i * class_bytes;
    }
  }
  return bytes;
}

}  // namespace atoll_root::atoll
