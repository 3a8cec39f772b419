// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// supervised: the base of services whose instances are made anew when their background work fails.
//
//   class follower : public atoll::supervised {
//    public:
//     static constexpr atoll::supervision supervision{.restarts_max = 3};   // may be left out
//     atoll::future<> ready() {
//       background().spawn([this] { return follow_the_log(); });
//       return atoll::make_ready_future();
//     }
//   };
//
// The first failure of what runs in background() (or fail()) retires the instance: its shard refuses calls with `unavailable`,
// those being served are cancelled and waited for, S::stop() is awaited, and the instance destroyed. After a pause, which grows
// from one failure to the next, a new one is made from the arguments of start(), and its ready() awaited. An instance that fails too
// often in a row is not made again: the service gives up on that shard, and an application (application.hh) stops. Who gave
// life_options::on_event is told of each step. The other shards' instances go on. Once the service drains or stops, none is made anew.
// Nobody may hold a reference to such an instance: other services take a ref, not a T&, from start().
// Shard rules: an instance's, on its shard. Calls of background() work aren't bounded by anyone's deadline.
#pragma once

#include <memory>
#include <optional>

#include <atoll/actors/base/chrono.hh>
#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/actors/sync/scope.hh>

namespace atoll_root::atoll {

/// What happens when an instance fails: `static constexpr atoll::supervision supervision{...}` of its class.
struct supervision {
  std::uint32_t restarts_max = 5;                         // in a row; after the next failure the service gives up
  duration first_pause = std::chrono::milliseconds(100);  // before the first; each further one is twice as long
  duration longest_pause = std::chrono::seconds(10);      // at most; half of it to all, drawn at random
  duration steady_after = std::chrono::seconds(60);       // an instance that worked so long ends the row
};

class supervised {
 public:
  /// Work of this instance; it is cancelled and waited for before the instance is destroyed.
  [[nodiscard]] scope& background() noexcept { return background_; }
  /// Has the instance made anew, as a failure of background work does. The first reason stays.
  void fail(const error& why) noexcept;

  /// Ready with the reason when the instance has failed. The framework's.
  [[nodiscard]] future<std::optional<error>> failure();

 protected:
  supervised();
  ~supervised() = default;
  supervised(const supervised&) = delete;
  supervised& operator=(const supervised&) = delete;

 private:
  std::shared_ptr<std::optional<error>> why_;
  event failed_{"failure of an instance"};
  scope background_;
};

}  // namespace atoll_root::atoll
