// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/groups.hh>

#include <bit>

#include <atoll/actors/future/cancel.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll {
namespace {

struct wanted_group {
  std::string name;
  std::uint32_t shares;
  scheduling_group parent;
};

/// The ids in use here, where the group may be made.
result<std::uint64_t> look_here(const wanted_group& wanted) {
  const auto& tasks = this_shard().tasks;
  auto allowed = tasks.may_create(wanted.name, wanted.shares, wanted.parent);
  if (!allowed) return std::move(allowed).error();
  return tasks.ids_used();
}

/// On shard 0.
future<scheduling_group> make_everywhere(wanted_group wanted) {
  const auto lock = co_await or_fail(local_sharding().making_groups.lock());
  std::uint64_t used = 0;
  for (shard_id s = 0; s < shard_count(); ++s) {
    const auto look = [&wanted] { return future<std::uint64_t>::from_result(look_here(wanted)); };
    used |= co_await or_fail(submit_to(s, look));
  }
  const auto id = static_cast<group_id>(std::countr_one(used));
  if (id >= scheduler::groups_max) {
    co_await fail(status_code::resource_exhausted, "no id of a scheduling group is free on all shards");
  }
  const auto make = [&wanted, id] {
    const auto made = this_shard().tasks.create_group(wanted.name, wanted.shares, wanted.parent, id);
    return made ? make_ready_future() : make_failed_future(made.error());
  };
  const auto made = co_await as_result(on_all_shards(make));
  if (made) co_return scheduling_group{id};
  const auto withdraw = [id] { this_shard().tasks.withdraw_group(id); };
  while (!co_await as_result(on_all_shards(withdraw))) co_await yield();  // no memory to ask a shard
  co_return made.error();
}

}  // namespace

future<result<scheduling_group>> create_scheduling_group(std::string name, std::uint32_t shares,
                                                         scheduling_group parent) {
  wanted_group wanted{std::move(name), shares, parent};
  const auto on_first = [&wanted] { return submit_to(0, [copy = wanted] { return make_everywhere(copy); }); };
  // In no caller's context: a deadline that passes half-way would leave half of the shards with it.
  auto made = co_await as_result(with_context({}, on_first));
  co_return made;
}

future<result<>> set_group_shares(scheduling_group group, std::uint32_t shares) {
  const auto set = [group, shares] { return future<>::from_result(this_shard().tasks.set_shares(group, shares)); };
  const auto everywhere = [&set] { return on_all_shards(set); };
  auto done = co_await as_result(with_context({}, everywhere));
  co_return done;
}

}  // namespace atoll_root::atoll
