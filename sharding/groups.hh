// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Scheduling groups that all shards know.
//
//   auto batch = co_await atoll::create_scheduling_group("batch", 100);      // result<scheduling_group>
//   co_await atoll::with_group(*batch, [ref] { return ref.rebuild(); });     // batch on the other shards, too
//   co_await atoll::set_group_shares(*batch, 50);
//
// A group has one id on all shards, so work that is sent keeps it. One that a single shard made for itself
// (this_shard().tasks.create_group) is known there only: what it sends runs elsewhere in the default group, or in
// another group that shard made under the same id.
// Groups are made at start and stay to the end of the runtime. No caller's deadline cuts these functions short.
// Shard rules: any shard.
#pragma once

#include <string>

#include <atoll/actors/future/group.hh>
#include <atoll/actors/reactor/scheduler.hh>

namespace atoll_root::atoll {

/// Makes a group on every shard; one at a time in a process. Errors are those of scheduler::create_group(), of any
/// shard: then no shard has the group, unless one of them made a group of its own meanwhile.
future<result<scheduling_group>> create_scheduling_group(std::string name, std::uint32_t shares,
                                                         scheduling_group parent = scheduler::top());

/// Sets the shares on every shard. `not_found`, `out_of_range` as scheduler::set_shares().
future<result<>> set_group_shares(scheduling_group group, std::uint32_t shares);

}  // namespace atoll_root::atoll
