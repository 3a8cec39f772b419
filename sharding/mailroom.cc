// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/mailroom.hh>

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <system_error>
#include <utility>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/reactor/points.hh>
#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {
namespace {

bool membarrier(int command) noexcept { return ::syscall(SYS_membarrier, command, 0U, 0) == 0; }

bool may_use_barriers() {
  if (membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)) return true;
  log_warning("membarrier refused ({}): each batch of messages costs its sender a barrier",
              std::generic_category().message(errno));
  return false;
}

}  // namespace

void mailroom::barrier_everywhere() noexcept {
  if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED)) return;
  // Refused only later, by a filter of the program: no processor keeps a store to itself for so long.
  ::usleep(1000);
}

mailroom::mailroom(shard_id shards, mail_delays* delays)
    : shards_(shards),
      mask_words_((shards + 63) / 64),
      delays_(delays),
      may_watch_(shards > 1 && delays == nullptr && may_use_barriers()),
      lanes_(static_cast<std::size_t>(shards) * shards),
      doors_(std::make_unique<door[]>(shards)) {
  for (shard_id to = 0; to < shards; ++to) {
    doors_[to].dirty = std::make_unique<std::atomic<std::uint64_t>[]>(mask_words_);
    for (shard_id from = 0; from < shards; ++from) {
      if (from != to)
        lanes_[from * shards_ + to] = std::make_unique<lane>(from * 24U + to);  // some ten lines apart, there and back
    }
  }
}

void mailroom::knock(door& d) noexcept {
  if (d.asleep.load(std::memory_order_seq_cst) && d.asleep.exchange(false, std::memory_order_seq_cst)) {
    d.io->interrupt();
  }
}

bool mailroom::publish(lane& way, shard_id from, shard_id to) noexcept {
  if (!way.publish()) return false;
  door& d = doors_[to];
  std::atomic_signal_fence(std::memory_order_seq_cst);  // the other half of barrier_everywhere()
  if (!way.is_watched()) d.dirty[from / 64].fetch_or(std::uint64_t{1} << (from % 64), std::memory_order_seq_cst);
  if (ATOLL_MUTANT(14) && d.asleep.load() && way.publishes() % 16 == 0) return true;
  knock(d);
  return true;
}

void mailroom::tell_again(shard_id from, shard_id to) noexcept {
  door& d = doors_[to];
  d.dirty[from / 64].fetch_or(std::uint64_t{1} << (from % 64), std::memory_order_seq_cst);
  knock(d);
}

void mailroom::send_foreign(task& t, shard_id to) noexcept {
  door& d = doors_[to];
  task* newest = d.foreign.load(std::memory_order_relaxed);
  do {
    t.next = newest;
  } while (!d.foreign.compare_exchange_weak(newest, &t, std::memory_order_seq_cst, std::memory_order_relaxed));
  knock(d);
}

mail_poller::mail_poller(mailroom& room, shard_id self)
    : room_(room), self_(self), outgoing_(room.shards()), told_(room.shards()) {
  for (shard_id to = 0; to < room.shards(); ++to) {
    if (to != self) outgoing_[to].way = &room.lane_between(self, to);
  }
  targets_.reserve(room.shards());
}

void mail_poller::send_slowly(lane& way, task& t, shard_id to) noexcept {
  way.push(t);
  outgoing& out = outgoing_[to];
  if (!std::exchange(out.listed, true)) targets_.push_back(to);  // has room
  if (way.fills_batch()) room_.publish(way, self_, to);
}

std::uint64_t mail_poller::sent() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& out : outgoing_) {
    if (out.way != nullptr) sum += out.way->published() + out.way->unpublished();
  }
  return sum;
}

bool mail_poller::poll() noexcept {
  bool found = publish();
  found = receive_watched() || found;
  auto& door = room_.doors_[self_];
  for (std::size_t word = 0; word < room_.mask_words_; ++word) {
    // A plain look first: the exchange takes the line away from the senders.
    if (door.dirty[word].load(std::memory_order_relaxed) == 0) continue;
    std::uint64_t mask = door.dirty[word].exchange(0, std::memory_order_seq_cst);
    for (; mask != 0; mask &= mask - 1) {
      const auto from = static_cast<shard_id>(word * 64) + static_cast<shard_id>(std::countr_zero(mask));
      if (room_.delays_ != nullptr && !room_.delays_->let_through(from, self_)) continue;
      const std::size_t received = room_.lane_between(from, self_).receive();
      received_ += received;
      found = received > 0 || found;
      was_told_of(from);
      // receive() stops after a round of the ring: what may be left is looked for in the next pass.
      if (received >= lane::ring_lines) {
        door.dirty[word].fetch_or(std::uint64_t{1} << (from % 64), std::memory_order_relaxed);
      }
    }
  }
  return receive_foreign() || found;
}

bool mail_poller::receive_watched() noexcept {
  bool found = false;
  // Where there are groups, a message may be more urgent than what is ready.
  const bool may_wait = this_shard().tasks.groups() == 1;
  for (std::size_t i = 0; i < watched_count_; ++i) {
    watched& w = watched_[i];
    const std::size_t received = w.way->receive(may_wait);
    received_ += received;
    if (received > 0 || w.way->has_asked()) {
      found = true;
      w.empty_looks = 0;
    } else if (++w.empty_looks >= empty_looks_max) {
      watch_none();
      return true;
    }
  }
  return found;
}

void mail_poller::was_told_of(shard_id from) noexcept {
  if (++told_[from] < batches_to_watch || !room_.may_watch_ || watched_count_ == watched_max) return;
  lane& way = room_.lane_between(from, self_);
  if (way.is_watched()) return;  // told before the sender saw that
  way.watch(true);
  watched_[watched_count_++] = {&way, from, 0};
}

void mail_poller::watch_none() noexcept {
  for (std::size_t i = 0; i < watched_count_; ++i) watched_[i].way->watch(false);
  mailroom::barrier_everywhere();
  // What a sender published before that barrier is there to be seen, what it publishes now it tells.
  while (watched_count_ > 0) {
    const watched& w = watched_[--watched_count_];
    told_[w.from] = 0;
    room_.doors_[self_].dirty[w.from / 64].fetch_or(std::uint64_t{1} << (w.from % 64), std::memory_order_relaxed);
  }
}

bool mail_poller::receive_foreign() noexcept {
  auto& stack = room_.doors_[self_].foreign;
  if (stack.load(std::memory_order_relaxed) == nullptr) return false;
  task* newest = stack.exchange(nullptr, std::memory_order_acquire);
  task* oldest = nullptr;
  while (newest != nullptr) {
    task* next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest != nullptr) {
    task* next = oldest->next;
    oldest->ordered = true;
    schedule(*oldest);
    oldest = next;
  }
  return true;
}

bool mail_poller::publish() noexcept {
  bool published = false;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < targets_.size(); ++i) {
    const shard_id to = targets_[i];
    outgoing& out = outgoing_[to];
    published = room_.publish(*out.way, self_, to) || published;
    // Whatever found the ring full stays listed and is tried again in the next pass, unless nobody takes it out any more.
    out.listed = out.way->unpublished() > 0 && !room_.doors_[to].ended.load(std::memory_order_relaxed);
    if (out.listed) targets_[kept++] = to;
  }
  targets_.resize(kept);
  return published;
}

bool mail_poller::try_sleep() noexcept {
  auto& door = room_.doors_[self_];
  if (watched_count_ > 0) {
    watch_none();
    return false;  // they are looked into once more
  }
  std::ranges::fill(told_, 0U);
  door.asleep.store(true, std::memory_order_seq_cst);
  bool quiet = targets_.empty() && door.foreign.load(std::memory_order_seq_cst) == nullptr;
  for (std::size_t word = 0; quiet && word < room_.mask_words_; ++word) {
    quiet = door.dirty[word].load(std::memory_order_seq_cst) == 0;
  }
  return quiet;
}

void mail_poller::woken() noexcept { room_.doors_[self_].asleep.store(false, std::memory_order_relaxed); }

}  // namespace atoll_root::atoll
