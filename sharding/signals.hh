// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Signals of the process as futures.
//
//   app.receive(SIGHUP, SIGUSR1);                                     // before app.run(): no default effect
//   const int which = co_await atoll::next_signal(SIGHUP, SIGUSR1);   // on a shard
//
// A signal that arrives while nobody waits is kept; as everywhere in POSIX, a standard signal that arrives again before
// it was taken counts once, so the last of a storm is never lost, but their number is. SIGINT and SIGTERM are
// stop_signal()'s, and SIGRTMIN + 2 and + 3 are Atoll's own.
//
// Child processes: a signal that is received this way is blocked in every thread, and a child inherits that: `kill` and
// Ctrl-C would not reach it. So give each child an empty mask, before it runs. Atoll's descriptors close on exec.
// Start it in an offloaded function: the child of a shard would be kept to that shard's processor.
//
//   posix_spawnattr_t how;
//   ::posix_spawnattr_init(&how);
//   sigset_t none;
//   ::sigemptyset(&none);
//   ::posix_spawnattr_setsigmask(&how, &none);
//   ::posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK);
//
// After fork() it is `pthread_sigmask(SIG_SETMASK, &none, nullptr)`; nothing but that, exec and what else is
// async-signal-safe may follow, for the child has no shards. system() and popen() leave the mask as it is.
#pragma once

#include <concepts>
#include <csignal>

#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll {

namespace detail {
future<int> next_signal_of(sigset_t wanted);
}

/// Ready with the number of the next of these signals; one that is pending already counts. On any shard; several waits
/// may be under way, a signal that two of them want goes to one. A wait whose future is dropped still takes its signal.
/// Errors: `failed_precondition` where one of them isn't blocked on this thread (app::receive() blocks it);
/// `invalid_argument` for a number that is no signal; `deadline_exceeded` by the caller's context.
template <std::same_as<int>... Signals>
  requires(sizeof...(Signals) > 0)
future<int> next_signal(Signals... signals) {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  if (((::sigaddset(&wanted, signals) != 0) || ...)) {
    return make_failed_future<int>(error(status_code::invalid_argument, "next_signal: a number that is no signal"));
  }
  return detail::next_signal_of(wanted);
}

}  // namespace atoll_root::atoll
