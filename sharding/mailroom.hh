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
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include <atoll/actors/io/io_backend.hh>
#include <atoll/actors/reactor/poller.hh>
#include <atoll/sharding/lane.hh>

namespace atoll_root::atoll {

class mailroom {
 public:
  explicit mailroom(shard_id shards);
  mailroom(const mailroom&) = delete;
  mailroom& operator=(const mailroom&) = delete;

  [[nodiscard]] shard_id shards() const noexcept { return shards_; }

  /// Opens a shard's door. Called by the shard before anybody sends to it.
  void open(shard_id id, io_backend& io) noexcept { doors_[id].io = &io; }

  /// This shard's loop has ended: others keep nothing for it any more.
  void close(shard_id id) noexcept { doors_[id].ended.store(true, std::memory_order_release); }

  /// Sends a task from a thread that is no shard. Any thread may call it while the shards run.
  void send_foreign(task& t, shard_id to) noexcept;

 private:
  friend class mail_poller;

  /// Lines the sender fills before it publishes without waiting for the end of the pass.
  static constexpr std::size_t publish_at = 2 * lane::tasks_a_line;

  struct alignas(64) door {
    std::atomic<bool> asleep{false};
    std::atomic<bool> ended{false};       // its shard's loop has: what is sent there is lost
    std::atomic<task*> foreign{nullptr};  // a stack, newest first
    io_backend* io = nullptr;
    // One bit a sending shard.
    alignas(64) std::unique_ptr<std::atomic<std::uint64_t>[]> dirty;  // NOLINT: sized at run time
  };

  lane& lane_between(shard_id from, shard_id to) noexcept { return *lanes_[from * shards_ + to]; }
  bool publish(lane& way, shard_id from, shard_id to) noexcept;
  void knock(door& d) noexcept;

  shard_id shards_;
  std::size_t mask_words_;
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
  void send(task& t, shard_id to) noexcept {
    outgoing& out = outgoing_[to];
    out.way->push(t);
    ++sent_;
    if (out.way->unpublished() >= mailroom::publish_at) room_.publish(*out.way, self_, to);
    if (!out.listed && out.way->unpublished() > 0) {
      out.listed = true;
      targets_.push_back(to);
    }
  }

  /// The same, and it leaves now, with what was sent there before: for what is long awaited, or long in the making.
  void send_now(task& t, shard_id to) noexcept {
    send(t, to);
    if (outgoing_[to].way->unpublished() > 0) room_.publish(*outgoing_[to].way, self_, to);
  }

  /// Tasks sent to other shards and received from them so far.
  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }
  [[nodiscard]] std::uint64_t received() const noexcept { return received_; }

 private:
  struct outgoing {
    lane* way = nullptr;
    bool listed = false;  // in targets_
  };

  bool receive_foreign() noexcept;
  bool publish() noexcept;

  mailroom& room_;
  shard_id self_;
  std::vector<outgoing> outgoing_;  // by target shard
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  std::vector<shard_id> targets_;  // whose lanes have something unpublished; capacity for all
};

}  // namespace atoll_root::atoll
