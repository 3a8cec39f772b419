// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/memory/allocator.hh>
#include <atoll/actors/memory/block_returns.hh>

#include <bit>
#include <new>
#include <utility>

namespace atoll_root::atoll::detail {
namespace {

template <class Free>
void free_batches(block_batch* first, Free free_block) noexcept {
  while (first != nullptr) {
    block_batch* batch = std::exchange(first, first->next);
    batch->free_each(free_block);
    free_bare(batch);  // by the allocator's way: a batch in a batch would go to and fro for ever
  }
}

}  // namespace

constinit block_batch block_inbox::closed_mark{};
// One byte for each 32 MiB there could be: 4 MiB of zeroes, of which a page is there for each 128 GiB in use.
std::array<std::uint8_t, std::size_t{1} << (block_returns::address_bits - block_returns::unit_bits)>
    block_returns::owners;
constinit std::array<block_inbox, block_owners_max + 1> block_returns::inboxes{};

void own_addresses(void* start, std::uint64_t bytes, int owner) noexcept {
  if (owner < 1 || static_cast<std::size_t>(owner) > block_owners_max) return;
  const auto first = reinterpret_cast<std::uintptr_t>(start) >> block_returns::unit_bits;
  const auto units = bytes >> block_returns::unit_bits;
  for (auto unit = first; unit < first + units && unit < block_returns::owners.size(); ++unit) {
    std::atomic_ref(block_returns::owners[unit]).store(static_cast<std::uint8_t>(owner), std::memory_order_relaxed);
  }
}

block_returns::block_returns(int owner) noexcept : inbox_(inboxes[static_cast<std::size_t>(owner)]) { inbox_.open(); }

block_batch* block_returns::begin(std::uint8_t owner) noexcept {
  void* memory = allocate_bare(sizeof(block_batch));
  if (memory == nullptr) return nullptr;
  begun_mask_[owner / 64] |= std::uint64_t{1} << owner % 64;
  return begun_[owner] = ::new (memory) block_batch;
}

void block_returns::send(std::uint8_t owner) noexcept {
  block_batch* batch = std::exchange(begun_[owner], nullptr);
  begun_mask_[owner / 64] &= ~(std::uint64_t{1} << owner % 64);
  if (!inboxes[owner].put(*batch)) {
    batch->next = nullptr;
    free_batches(batch, [](void* block, std::size_t) { free_bare(block); });
  }
}

void block_returns::send_all() noexcept {
  for (std::size_t word = 0; word < begun_mask_.size(); ++word) {
    while (begun_mask_[word] != 0) {
      send(static_cast<std::uint8_t>(64 * word + static_cast<unsigned>(std::countr_zero(begun_mask_[word]))));
    }
  }
}

void block_returns::take(block_pool& pool) noexcept {
  free_batches(inbox_.take(), [&pool](void* block, std::size_t bytes) { pool.free(block, bytes); });
}

void block_returns::end(block_pool& pool) noexcept {
  send_all();
  free_batches(inbox_.close(), [&pool](void* block, std::size_t bytes) { pool.free(block, bytes); });
}

}  // namespace atoll_root::atoll::detail
