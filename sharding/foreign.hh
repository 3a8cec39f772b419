// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The bridge from threads that are no shards (gRPC's, a blocking pool's): sends tasks to shards.
//
//   atoll::foreign_port port = atoll::foreign_port::of_this_process();   // on a shard
//   port.send(t, 1);                                                     // on any thread, while the shards run
//
// A task runs on its shard once; its memory stays the sender's. Tasks of one thread to one shard run in order.
// Bounds: none here; the sender bounds what it has under way.
#pragma once

#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {

class foreign_port {
 public:
  /// REQUIRES: called on a shard.
  static foreign_port of_this_process() noexcept { return foreign_port(local_sharding().mail.room()); }

  void send(task& t, shard_id to) const noexcept { room_->send_foreign(t, to); }

 private:
  explicit foreign_port(mailroom& room) noexcept : room_(&room) {}
  mailroom* room_;
};

}  // namespace atoll_root::atoll
