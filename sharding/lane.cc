// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/lane.hh>

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <type_traits>

#include <atoll/actors/memory/prefetch.hh>
#include <atoll/actors/reactor/points.hh>

namespace atoll_root::atoll {

using detail::fetch_to_write;

lane::~lane() {
  if (ring* lines = ring_.load(std::memory_order_relaxed)) ::munmap(lines, sizeof(ring));
}

void lane::push_slowly(task& t) noexcept {
  if (in_batch_ < batch) {
    batch_[in_batch_++] = &t;
  } else {
    behind_.push(t);
    ++behind_count_;
  }
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
  for (std::size_t gone = 0; in_batch_ > 0;) {
    line& l = (*lines)[tail_ % ring_lines];
    // Acquire: the receiver's reads of the old pointers come before our writes of new ones.
    if (l.count.load(std::memory_order_acquire) != 0 || ATOLL_BUGGIFY()) {
      ATOLL_SOMETIMES("lanes: a ring was full");
      if (gone > 0) move_up(gone);
      break;
    }
    const std::size_t n = std::min(in_batch_ - gone, tasks_a_line);
    // As many as there can be: what is past the count is not read.
    for (std::size_t i = 0; i < tasks_a_line; ++i) l.tasks[i].store(batch_[gone + i], std::memory_order_relaxed);
    l.count.store(n, std::memory_order_release);
    published_ += n;
    ++tail_;
    gone += n;
    if (gone < in_batch_) continue;
    in_batch_ = 0;
    gone = 0;
    if (behind_count_ > 0) [[unlikely]]
      move_up(0);
  }
  // The next lines are the receiver's, who wrote them last: they are on their way here before they are needed.
  for (std::size_t i = 0; i < batch / tasks_a_line; ++i) fetch_to_write(&(*lines)[(tail_ + i) % ring_lines]);
  return tail_ != first;
}

std::size_t lane::receive(bool may_wait) noexcept {
  ring* lines = ring_.load(std::memory_order_acquire);
  if (lines == nullptr) return 0;
  shard& here = this_shard();
  std::size_t received = 0;
  std::size_t due = asked_;
  // One round of the ring at most, so that a fast sender can't hold this shard here.
  for (std::size_t n = 0; n < ring_lines; ++n) {
    while (asked_ < lines_ahead && ask((*lines)[(head_ + asked_) % ring_lines])) ++asked_;
    if (asked_ == 0) break;
    if (may_wait && due == 0 && asked_ < lines_ahead && !here.tasks.empty()) break;
    received += take(here, (*lines)[head_++ % ring_lines]);
    --asked_;
    due -= due > 0 ? 1 : 0;
  }
  return received;
}

bool lane::ask(const line& l) noexcept {
  const std::size_t n = l.count.load(std::memory_order_acquire);
  // After a full line there is another one, mostly.
  if (n == tasks_a_line) __builtin_prefetch(&l + 1);
  for (std::size_t i = 0; i < n; ++i) {
    // Of a call, its head and what comes after it: the arguments. Past the end of a task a prefetch is only wasted.
    const task* t = l.tasks[i].load(std::memory_order_relaxed);
    fetch_to_write(t);
    fetch_to_write(reinterpret_cast<const char*>(t) + 64);
  }
  return n > 0;
}

std::size_t lane::take(shard& here, line& l) noexcept {
  const std::size_t n = l.count.load(std::memory_order_relaxed);
  for (std::size_t i = 0; i < n; ++i) {
    task& t = *l.tasks[i].load(std::memory_order_relaxed);
    if (t.at_once) {
      t.run(&t);
    } else {
      here.tasks.push(t);
    }
  }
  l.count.store(0, std::memory_order_release);
  return n;
}

}  // namespace atoll_root::atoll
