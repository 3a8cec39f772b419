// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// mailroom: all lanes of a process, the doors through which shards wake each other, and the poller that
// serves a shard's side of them. Internal to atoll; services use refs, threads that are no shard `foreign`.
//
//   local_sharding().mail.send(t, 1);   // on a shard: t runs on shard 1, after what was sent there before
//   room.send_foreign(t, 1);            // on any other thread
//
// How a message is never slept through: the sender publishes, sets its bit in the receiver's dirty mask and
// then reads `asleep`; the receiver sets `asleep` and then reads the mask. Both steps are sequentially
// consistent, so at least one of them sees the other. A shard looks only into lanes whose bit is set, so the
// idle cost does not grow with the number of shards.
// A bit that is set and taken away for each batch costs both sides. So a busy lane is watched: the receiver looks into it at each
// poll, and the sender, who sees `watched`, sets no bit. It needs no barrier between its publishing and its look either:
// the receiver, before it relies on the bit again, has the kernel put one into every thread (membarrier(2), the expedited
// private one). Where the kernel has none, no lane is watched.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include <atoll/actors/io/io_backend.hh>
#include <atoll/actors/reactor/poller.hh>
#include <atoll/sharding/lane.hh>

namespace atoll_root::atoll {

/// When a shard sees what another one has sent it: for a simulated world, where that takes its time.
class mail_delays {
 public:
  /// Mail of `from` is there for `to`. False: not yet; tell_again() says when.
  virtual bool let_through(shard_id from, shard_id to) noexcept = 0;

 protected:
  ~mail_delays() = default;
};

class mailroom {
 public:
  /// `delays`: null on a real machine. Where there are some, all shards run in one thread.
  explicit mailroom(shard_id shards, mail_delays* delays = nullptr);
  mailroom(const mailroom&) = delete;
  mailroom& operator=(const mailroom&) = delete;

  [[nodiscard]] shard_id shards() const noexcept { return shards_; }

  /// Opens a shard's door. Called by the shard before anybody sends to it.
  void open(shard_id id, io_backend& io) noexcept { doors_[id].io = &io; }

  /// This shard's loop has ended: others keep nothing for it any more.
  void close(shard_id id) noexcept { doors_[id].ended.store(true, std::memory_order_release); }

  /// What let_through() has kept back may be there.
  void tell_again(shard_id from, shard_id to) noexcept;

  /// Sends a task from a thread that is no shard. Any thread may call it while the shards run.
  void send_foreign(task& t, shard_id to) noexcept;

 private:
  friend class mail_poller;

  struct alignas(64) door {
    std::atomic<bool> asleep{false};
    std::atomic<bool> ended{false};       // its shard's loop has: what is sent there is lost
    std::atomic<task*> foreign{nullptr};  // a stack, newest first
    io_backend* io = nullptr;
    // One bit a sending shard.
    alignas(64) std::unique_ptr<std::atomic<std::uint64_t>[]> dirty;  // NOLINT: sized at run time
  };

  /// A full barrier in every thread of the process.
  static void barrier_everywhere() noexcept;

  lane& lane_between(shard_id from, shard_id to) noexcept { return *lanes_[from * shards_ + to]; }
  bool publish(lane& way, shard_id from, shard_id to) noexcept;
  static void knock(door& d) noexcept;

  shard_id shards_;
  std::size_t mask_words_;
  mail_delays* const delays_;
  const bool may_watch_;
  std::vector<std::unique_ptr<lane>> lanes_;  // null on the diagonal
  std::unique_ptr<door[]> doors_;             // NOLINT: not movable, sized at run time
};

/// Serves one shard's lanes; lives on that shard.
class mail_poller final : public poller {
 public:
  mail_poller(mailroom& room, shard_id self);

  bool poll() noexcept override;
  bool try_sleep() noexcept override;
  void woken() noexcept override;

  /// Sends a task from this shard to another one; it leaves at the end of the pass at the latest. REQUIRES: to is another.
  [[gnu::always_inline]] void send(task& t, shard_id to) noexcept { send_by(*outgoing_[to].way, t, to); }

  /// The same of a lane that is at hand: the one to that shard.
  [[gnu::always_inline]] void send_by(lane& way, task& t, shard_id to) noexcept {
    if (!way.push_quickly(t)) [[unlikely]]
      send_slowly(way, t, to);
  }
  [[nodiscard]] lane* lane_to(shard_id to) const noexcept { return outgoing_[to].way; }

  /// The same, and it leaves now, with what was sent there before: for what is long awaited, or long in the making.
  void send_now(task& t, shard_id to) noexcept {
    send(t, to);
    if (outgoing_[to].way->unpublished() > 0) room_.publish(*outgoing_[to].way, self_, to);
  }

  /// Tasks sent to other shards and received from them so far.
  [[nodiscard]] std::uint64_t sent() const noexcept;
  [[nodiscard]] std::uint64_t received() const noexcept { return received_; }

 private:
  struct outgoing {
    lane* way = nullptr;
    bool listed = false;  // in targets_
  };

  /// A lane that the receiver looks into without being told.
  struct watched {
    lane* way = nullptr;
    shard_id from = 0;
    std::uint32_t empty_looks = 0;  // in a row
  };
  static constexpr std::size_t watched_max = 8;
  static constexpr std::uint32_t batches_to_watch = 64;      // told of, without a sleep in between
  static constexpr std::uint32_t empty_looks_max = 100'000;  // then it is no longer watched: some ms

  /// The first one since it was published, or the last of a batch, which is published now. What is unpublished at the end of the
  /// pass is published then.
  void send_slowly(lane& way, task& t, shard_id to) noexcept;
  bool receive_foreign() noexcept;
  bool publish() noexcept;
  bool receive_watched() noexcept;
  void was_told_of(shard_id from) noexcept;
  /// Relies on being told again.
  void watch_none() noexcept;

  mailroom& room_;
  shard_id self_;
  std::vector<outgoing> outgoing_;  // by target shard
  std::uint64_t received_ = 0;
  std::vector<shard_id> targets_;    // whose lanes have something unpublished; capacity for all
  std::vector<std::uint32_t> told_;  // batches by sender, since the last sleep
  std::array<watched, watched_max> watched_{};
  std::size_t watched_count_ = 0;
};

}  // namespace atoll_root::atoll
