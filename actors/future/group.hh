// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// with_group: running work in a scheduling group.
//
//   auto batch = this_shard().tasks.create_group("batch", 100);    // result<scheduling_group>
//   co_await atoll::with_group(*batch, [] { return compact(); });  // the caller goes on in its own group
//
// f's first step already runs in the group, and so does everything it awaits, spawns and calls on other shards, where the
// group is known there (create_scheduling_group of sharding/groups.hh makes it known everywhere). The call context
// (deadline, cancellation) is the caller's.
// Errors: `not_found` for a group that this shard doesn't know; f is then not called.
// Shard rules: one shard's. Cost: a pooled frame, and a turn through the run queue on the way in and out.
#pragma once

#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll {

/// The group of the work that runs now.
inline scheduling_group current_group() noexcept { return {this_shard().group}; }

namespace detail {

/// Moves the coroutine that awaits it to a group.
struct enter_group {
  group_id id;

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle,
                     std::source_location site = std::source_location::current()) const noexcept {
    coroutine_base& self = suspended(handle, site);
    self.group = id;
    schedule(self);
  }
  void await_resume() const noexcept {}
};

}  // namespace detail

/// Runs f in a group; f gives a value, void or a future.
template <class F>
auto with_group(scheduling_group group, F f) -> decltype(detail::invoke_and_await(f)) {
  if (!this_shard().tasks.knows(group.id)) co_await fail(status_code::not_found, "no such scheduling group");
  co_await detail::enter_group{group.id};
  co_return co_await or_fail(detail::invoke_and_await(f));
}

}  // namespace atoll_root::atoll
