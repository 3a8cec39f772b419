// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Running a function on another shard. For the framework's own layers: services send typed messages.
//
//   auto n = co_await atoll::submit_to(1, [] { return local_table().size(); });
//
// The function moves to that shard, runs there and is destroyed on the caller's shard; what it returns (a value
// or a future) comes back.
#pragma once

#include <vector>

#include <atoll/sharding/call.hh>
#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {

namespace detail {

/// A function as the work of a call.
template <class F>
struct submitted {
  static constexpr work_name name_of_work() { return detail::name_of_work<F>; }
  auto operator()(void* /*instance*/) { return invoke_and_await(f); }
  F f;
};

}  // namespace detail

template <class F>
auto submit_to(shard_id to, F f) -> future<detail::unwrapped<std::invoke_result_t<F&>>> {
  using R = detail::unwrapped<std::invoke_result_t<F&>>;
  return start_call<R>(nullptr, to, no_timeout, detail::submitted<F>{std::move(f)});
}

/// Runs a copy of f on each of these shards and waits for all; the first failure in their order is the result.
template <class F>
future<> on_shards(std::vector<shard_id> shards, F f) {
  std::vector<future<>> started;
  started.reserve(shards.size());
  for (const shard_id s : shards) {
    // A shard that can't be told, for want of memory, must not keep us from waiting for the others.
    const auto tell = [&f, s] {
      return submit_to(s, [f]() mutable { return detail::invoke_and_await(f).discard_value(); });
    };
    started.push_back(detail::invoke_safely(tell));
  }
  std::optional<error> first;
  for (auto& each : started) {
    auto outcome = co_await as_result(std::move(each));
    if (!outcome && !first) first = outcome.error();
  }
  if (first) co_await fail(*first);
}

/// Runs a copy of f on every shard.
template <class F>
future<> on_all_shards(F f) {
  std::vector<shard_id> all(shard_count());
  for (shard_id s = 0; s < all.size(); ++s) all[s] = s;
  return on_shards(std::move(all), std::move(f));
}

}  // namespace atoll_root::atoll
