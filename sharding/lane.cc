// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/lane.hh>

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <type_traits>

#include <atoll/actors/reactor/points.hh>

namespace atoll_root::atoll {

lane::~lane() {
  if (ring* lines = ring_.load(std::memory_order_relaxed)) ::munmap(lines, sizeof(ring));
}

std::size_t lane::push_behind(task& t) noexcept {
  behind_.push(t);
  ++behind_count_;
  return batch;
}

void lane::move_up(std::size_t n) noexcept {
  std::copy(batch_.begin() + n, batch_.begin() + in_batch_, batch_.begin());
  in_batch_ -= n;
  for (; in_batch_ < batch && behind_count_ > 0; --behind_count_) batch_[in_batch_++] = &behind_.pop();
}

bool lane::publish() noexcept {
  if (in_batch_ == 0) return false;
  ring* lines = ring_.load(std::memory_order_relaxed);
  if (lines == nullptr) {
    void* pages = ::mmap(nullptr, sizeof(ring), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) return false;  // tried again in the next pass
    lines = ::new (pages) ring;
    ring_.store(lines, std::memory_order_release);
  }
  const std::size_t first = tail_;
  while (in_batch_ > 0) {
    line& l = (*lines)[tail_ % ring_lines];
    // Acquire: the receiver's reads of the old pointers come before our writes of new ones.
    if (l.count.load(std::memory_order_acquire) != 0 || ATOLL_BUGGIFY()) {
      ATOLL_SOMETIMES("lanes: a ring was full");
      break;
    }
    const std::size_t n = std::min(in_batch_, tasks_a_line);
    std::copy_n(batch_.begin(), tasks_a_line, l.tasks.begin());  // all of them: what is past the count is not read
    l.count.store(n, std::memory_order_release);
    published_ += n;
    ++tail_;
    move_up(n);
  }
  // The next line is the receiver's, who wrote it last: it is on its way here before it is needed.
  __builtin_prefetch(&(*lines)[tail_ % ring_lines], 1);
  return tail_ != first;
}

std::size_t lane::receive() noexcept {
  ring* ring_here = ring_.load(std::memory_order_acquire);
  if (ring_here == nullptr) return 0;
  std::size_t received = 0;
  // One round of the ring at most, so that a fast sender can't hold this shard here.
  for (std::size_t lines = 0; lines < ring_lines; ++lines) {
    line& l = (*ring_here)[head_ % ring_lines];
    const std::size_t n = l.count.load(std::memory_order_acquire);
    if (n == 0) break;
    for (std::size_t i = 0; i < n; ++i) {
      // Of a call, its head and what comes after it: the arguments. Past the end of a task a prefetch is only wasted.
      __builtin_prefetch(l.tasks[i], 1);
      __builtin_prefetch(reinterpret_cast<const char*>(l.tasks[i]) + 64, 1);
    }
    for (std::size_t i = 0; i < n; ++i) {
      task& t = *l.tasks[i];
      if (t.at_once) {
        t.run(&t);
      } else {
        schedule_from_outside(t);
      }
    }
    l.count.store(0, std::memory_order_release);
    ++head_;
    received += n;
  }
  return received;
}

}  // namespace atoll_root::atoll
