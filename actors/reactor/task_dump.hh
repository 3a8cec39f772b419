// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What the coroutines of this shard wait for, and who waits for them: the live task dump.
//
//   std::string text = atoll::dump_tasks();          // this shard's; sharding/diagnostics.hh has all of them
//     shard 0: 815 coroutines
//       serve  counterd.cc:31  2.5s  main  0x7f9c2c0010a0
//         atoll::stop_signal  app.cc:255  2.5s  main  0x7f9c2c000d20
//       x 812  demo::handle  handler.cc:40  oldest 1.2s  main  deadline in 300ms  3 cancelled
//
// Told are coroutines that have been suspended once and still have a frame; one is beneath the one that awaits it, and
// those that wait at one line on behalf of the same ones share a line. The file and line are those of the await, the
// time is since then. `running` is the one that asked; of `dropped` ones the future is gone, so nobody will read what they
// give. What waits and is no coroutine (a timer, a call) isn't told.
// tools/gdb/atoll.py prints the same of a core file. Shard rules: on a shard.
// Cost: some 200 ns a coroutine, without a break. Throws bad_alloc alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/actors/reactor/clock.hh>

namespace atoll_root::atoll {

enum class task_state : std::uint8_t { waiting, running };

struct task_info {
  std::uintptr_t id = 0;  // an address in the frame: unique among those that live
  task_state state = task_state::waiting;
  bool dropped = false;                   // nobody holds its future
  bool cancelled = false;                 // its context is
  std::string_view function;              // short_function_name() of it; lasts as long as the program
  std::string_view runs;                  // where that is one of Atoll's own: the lambda it was given
  std::string_view file;                  // of its last await; the same
  std::uint32_t line = 0;                 // the same
  duration age{};                         // since then
  std::string group;                      // its scheduling group
  std::optional<duration> deadline_left;  // negative once it has passed
  std::uintptr_t awaited_by = 0;          // the id of the coroutine that awaits it; 0: none does
};

struct task_dump_limits {
  std::size_t tasks_max = 100'000;  // coroutines looked at, longest lived first; the others are counted
  std::size_t lines_max = 1'000;    // of the text
};

/// The coroutines of this shard, longest lived first.
std::vector<task_info> suspended_tasks(std::size_t tasks_max = task_dump_limits{}.tasks_max);

/// The same as text, a line each; it ends in a line feed.
std::string dump_tasks(const task_dump_limits& limits = {});

}  // namespace atoll_root::atoll
