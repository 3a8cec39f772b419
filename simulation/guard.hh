// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What keeps a simulated world closed: while its events happen, code that reaches for the machine's clock, for real
// randomness, a thread or a socket ends the process with a line and a backtrace.
//
// A program that links atoll::simulation has the functions that give these (clock_gettime, gettimeofday, time, the sleeps, getrandom,
// getentropy, std::random_device, pthread_create, socket) behind functions of the same names, which look whether a world runs on
// this thread. Code that makes its system calls itself is not seen.
#pragma once

namespace atoll_root::atoll::sim {

/// While it lives, this thread's world runs.
class world_runs {
 public:
  world_runs() noexcept;
  world_runs(const world_runs&) = delete;
  world_runs& operator=(const world_runs&) = delete;
  ~world_runs();

 private:
  bool before_;
};

/// True while this thread's world runs.
bool in_world() noexcept;

/// While it lives, what is forbidden is allowed again: for the world's own output.
class outside_world {
 public:
  outside_world() noexcept;
  outside_world(const outside_world&) = delete;
  outside_world& operator=(const outside_world&) = delete;
  ~outside_world();

 private:
  bool before_;
};

/// Ends the process: `what` is not for a simulated world.
[[noreturn]] void forbidden(const char* what) noexcept;

}  // namespace atoll_root::atoll::sim
