// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What a runtime is made of: its shards, and what they share. Internal to atoll: runtime gives each shard a thread of its
// own; a simulated world runs many runtimes in one thread.
//
//   runtime_shared all(mail, limits, processors, main);      // one
//   runtime_shard one(id, all);                              // each, on its thread
//   one.make(...);  one.begin();  one.loop().run();  one.has_run();  /* when all have: */ one.all_have_run();
//
// The order of the end: when main's future is ready, calls of foreign threads are let in no more, services that were left are
// stopped, offloaded functions end, then the loops of the other shards and at last shard 0's.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <atoll/actors/reactor/reactor.hh>
#include <atoll/sharding/foreign_gate.hh>
#include <atoll/sharding/offload_pool.hh>
#include <atoll/sharding/runtime.hh>
#include <atoll/sharding/sharding_metrics.hh>

namespace atoll_root::atoll {

class shard_memory;
struct sharding_local;

/// Ends everything, in order: the offload pool, the loops of the other shards, and when they have answered shard 0's, which
/// takes their answers. Needs no memory: else a runtime that has none left could not end.
class last_orders {
 public:
  explicit last_orders(shard_id shards);
  last_orders(const last_orders&) = delete;
  last_orders& operator=(const last_orders&) = delete;

  /// On shard 0, once.
  void give(offload_pool& pool) noexcept { pool.stop(orders_[0]); }

 private:
  struct order final : task {
    order() noexcept : task(&stop_loop) {}
    last_orders* all = nullptr;
  };

  static void stop_loops(task* t) noexcept;
  static void stop_loop(task* t) noexcept;
  static void answered(task* t) noexcept;
  void one_stopped() noexcept;

  std::vector<order> orders_;  // of fixed size, by shard
  std::size_t running_;        // shard 0's
};

struct runtime_shared {
  runtime_shared(mailroom& room, const offload_limits& limits, std::vector<processor> allowed,
                 runtime::main_function its_main, offload_runner* runner = nullptr)
      : mail(room),
        processors(std::move(allowed)),
        foreign(std::make_shared<foreign_gate>(room)),
        offload(room, limits, processors, runner),
        orders(room.shards()),
        main(its_main) {}

  mailroom& mail;
  const std::vector<processor> processors;
  const std::shared_ptr<foreign_gate> foreign;
  offload_pool offload;
  last_orders orders;
  runtime::main_function main;
  std::optional<result<int>> outcome;  // main's, when it has ended
};

class runtime_shard {
 public:
  runtime_shard(shard_id id, runtime_shared& all) noexcept;
  runtime_shard(const runtime_shard&) = delete;
  runtime_shard& operator=(const runtime_shard&) = delete;
  ~runtime_shard();

  /// Makes the loop and what hangs off it; this thread is then the shard. `memory` may be null. Throws std::bad_alloc.
  void make(const reactor_options& options, clock& time, std::unique_ptr<io_backend> io, shard_memory* memory);
  /// Shard 0 begins main. REQUIRES: every shard is made.
  void begin();
  [[nodiscard]] reactor& loop() noexcept { return *loop_; }
  /// The loop has ended: nothing is kept for it any more, and what came from foreign threads is answered.
  void has_run() noexcept;
  /// The loops of all shards have ended: what is left of them goes.
  void all_have_run() noexcept;
  /// Undoes make(), on its thread. The destructor does the same.
  void unmake() noexcept;

 private:
  const shard_id id_;
  runtime_shared& all_;
  std::optional<reactor> loop_;
  std::unique_ptr<sharding_local> local_;
  std::optional<sharding_metrics> metrics_;
  std::optional<future<>> work_;  // shard 0's, to the end
};

}  // namespace atoll_root::atoll
