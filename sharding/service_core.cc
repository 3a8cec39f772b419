// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/service_core.hh>

#include <algorithm>

#include <atoll/sharding/call.hh>
#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {

service_core::service_core(service_shape shape, shard_id shards) : shape_(std::move(shape)), sites_(shards) {
  // An address tells services apart.
  const std::uint64_t id = (reinterpret_cast<std::uintptr_t>(this) >> 4) & 0x7fff'ffff'ffffU;
  for (auto& each : sites_) {
    for (const auto& bound : shape_.bounds) each.bounds.emplace_back(bound);
    if (has_slots()) each.slots.emplace(id, shape_.slots, shards);
  }
}

std::shared_ptr<service_core> service_core::make(service_shape shape) {
  auto core = std::make_shared<service_core>(std::move(shape), shard_count());
  local_sharding().cores.push_back(core);
  return core;
}

void service_core::starts(const std::shared_ptr<service_core>& core) noexcept {
  auto& all = local_sharding().cores;
  const auto at = std::ranges::find(all, core);
  if (at != all.end()) std::rotate(at, std::next(at), all.end());
}

void service_core::prepare(const std::vector<std::string_view>& groups) {
  site& s = local();
  service_stats& stats = local_sharding().stats.of(shape_.name, shape_.methods);
  std::vector<std::optional<group_id>> found;
  found.reserve(groups.size());
  for (const auto group : groups) {
    found.push_back(this_shard().tasks.find(group));
    if (group.empty() || found.back()) continue;
    error(status_code::not_found,
          name() + ": shard " + std::to_string(this_shard_id()) + " has no scheduling group " + std::string(group))
        .raise();
  }
  if (has_slots()) {
    std::function<std::uint64_t(status_code)> moves;
    if (this_shard_id() == 0) moves = [this](status_code code) { return slot_moves[code]; };
    stats.export_slots([this] { return static_cast<double>(slots().owned()); },
                       [this] { return static_cast<double>(slots().waiting()); }, moves);
  }
  s.groups = std::move(found);
  s.stats = &stats;
}

void service_core::open(void* instance) noexcept {
  site& s = local();
  ATOLL_ASSERT(s.instance == nullptr, "a shard has one instance of a service");
  s.instance = instance;
  s.closed = false;
  s.streams_ended = false;
  s.calls_ended = false;
}

/// Ends the calls that are served for too long.
struct service_core::impatience final : timer_node {
  explicit impatience(service_core& c) noexcept : timer_node(&passed), core(c) {}
  static void passed(timer_node* t) noexcept { static_cast<impatience*>(t)->core.end_calls(); }
  service_core& core;
};

future<void*> service_core::close(duration patience) {
  site& s = local();
  s.closed = true;
  end_streams();
  impatience limit(*this);
  if (patience <= duration::zero()) {
    end_calls();
  } else if (patience != duration::max()) {
    this_shard().timers->arm_after(limit, patience);
  }
  if (s.serving > 0) {
    co_await s.drained.emplace().get_future();
    s.drained.reset();
  }
  co_return std::exchange(s.instance, nullptr);
}

void service_core::serves_on(call_context& call) noexcept {
  site& s = local();
  if (s.calls_ended) [[unlikely]]
    return call.cancel(is_stopping());
  s.calls.push_back(call);
}

void service_core::end_calls() noexcept {
  site& s = local();
  s.calls_ended = true;
  if (s.calls.empty()) return;
  const error why = is_stopping();
  while (call_context* call = s.calls.pop_front()) call->cancel(why);
}

std::optional<error> service_core::open_stream(open_streams& place, call_message& call) {
  site& s = local();
  if (s.streams_ended) return is_stopping();
  if (s.streams_open >= shape_.streams_max) {
    return error(status_code::resource_exhausted,
                 name() + ": " + std::to_string(shape_.streams_max) + " calls with streams are open on this shard");
  }
  ++s.streams_open;
  place.call = &call;
  s.streams.push_back(place);
  return std::nullopt;
}

void service_core::close_stream(open_streams& place) noexcept {
  if (!place.linked()) return;
  place.unlink();
  --local().streams_open;
}

void service_core::end_streams() noexcept {
  site& s = local();
  s.streams_ended = true;
  if (s.streams.empty()) return;
  const error why = is_stopping();
  for (open_streams& each : s.streams) each.call->cancel_work(why);
}

error service_core::is_stopping() const noexcept {
  try {
    return {status_code::unavailable, name() + " is stopping"};
  } catch (const std::bad_alloc&) {
    return error(status_code::unavailable);
  }
}

error service_core::not_running() const {
  return {status_code::unavailable, name() + " is not running on shard " + std::to_string(this_shard_id())};
}

}  // namespace atoll_root::atoll
