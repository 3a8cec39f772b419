// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A poller is a source of work for the loop: lanes, timers, I/O. The reactor knows nothing else of them.
#pragma once

#include <vector>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

class poller {
 public:
  virtual ~poller() = default;

  /// Looks for work and schedules what it finds; true if there was any. Never blocks.
  virtual bool poll() noexcept = 0;

  /// Called before the shard sleeps: arranges to be woken, then looks a last time. False if there is work,
  /// so that the shard stays awake.
  virtual bool try_sleep() noexcept { return true; }

  /// Called after try_sleep(), whatever it returned, when the shard runs again.
  virtual void woken() noexcept {}
};

/// The pollers in the order the loop asks them.
class poller_list {
 public:
  void add(poller& p) { pollers_.push_back(&p); }
  void remove(poller& p) noexcept { std::erase(pollers_, &p); }
  [[nodiscard]] auto begin() const noexcept { return pollers_.begin(); }
  [[nodiscard]] auto end() const noexcept { return pollers_.end(); }

 private:
  std::vector<poller*> pollers_;
};

}  // namespace atoll_root::atoll
