// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// SIGINT and SIGTERM of an app: the first asks it to stop, the second ends it at once, whatever its shards are doing.
// Internal to atoll; users have stop_signal() (app.hh).
//
// The handler runs on whichever thread the kernel takes. It passes the first signal on as another, SIGRTMIN + 3, which is
// blocked everywhere and waited for on shard 0; at the second it gives both their default effect and raises it again.
#pragma once

#include <csignal>

#include <atoll/actors/future/cancel.hh>
#include <atoll/actors/sync/wait_queue.hh>

namespace atoll_root::atoll {

/// Shard 0's part.
struct stop_request {
  int signal = 0;        // that came; 0: none yet
  bool watched = false;  // an app runs here
  detail::wait_queue<int> waits{"the wait for", "a stop signal"};
};

/// While it lives, the process has the handler; afterwards what it had before. What came and nobody took is raised again.
/// One at a time.
class stop_handler {
 public:
  stop_handler();
  stop_handler(const stop_handler&) = delete;
  stop_handler& operator=(const stop_handler&) = delete;
  ~stop_handler();

  /// The number of the signal that stands for the first; the app blocks it.
  static int request_number() noexcept;

 private:
  struct sigaction interrupt_before_{};
  struct sigaction terminate_before_{};
};

/// Main is to stop for this signal: wakes those who wait in stop_signal(), or cancels main where nobody does. On shard 0.
void ask_to_stop(int signal, cancel_source& main);

/// Waits for the first signal; then wakes those who wait in stop_signal(), or cancels main where nobody does. On shard 0.
future<> watch_for_stop(cancel_source main);

}  // namespace atoll_root::atoll
