// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/service_core.hh>

#include <algorithm>
#include <functional>
#include <vector>

#include <atoll/sharding/call.hh>
#include <atoll/sharding/service_site.hh>
#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {

namespace {

/// The bounds of a service, then of its methods; empty where there are none.
std::vector<turn_options> bounds_of(const service_shape& shape) {
  const service_options& own = shape.options;
  if (shape.one_per_key) return {{.concurrency = 1, .queue = own.queue, .per_key = true}};
  bool any = own.concurrency != 0;
  std::vector<turn_options> all{{.concurrency = own.concurrency, .queue = own.queue}};
  for (std::size_t i = 0; i < shape.method_count; ++i) {
    const method_options& method = shape.methods[i].options;
    any = any || method.concurrency != 0;
    all.push_back({.concurrency = method.concurrency, .queue = method.queue, .per_key = method.per_key});
  }
  if (!any) all.clear();
  return all;
}

}  // namespace

service_core::service_core(const service_shape& shape, shard_id shards)
    : shape_(shape), shards_(shards), own_(std::make_unique<parts>(shards)), sites_(own_->sites.get()) {
  // An address tells services apart.
  const std::uint64_t id = (reinterpret_cast<std::uintptr_t>(this) >> 4) & 0x7fff'ffff'ffffU;
  const auto bounds = bounds_of(shape_);
  for (shard_id s = 0; s < shards; ++s) {
    site& each = sites_[s];
    each.bounds.reserve(bounds.size());
    for (const auto& bound : bounds) each.bounds.emplace_back(bound);
    if (!bounds.empty() && each.bounds.front().bounded()) each.of_all = &each.bounds.front();
    if (has_slots()) each.slots.emplace(id, shape_.options.slots, shards);
  }
}

service_core::~service_core() = default;

std::shared_ptr<service_core> service_core::make(const service_shape& shape) {
  auto core = std::make_shared<service_core>(shape, shard_count());
  local_sharding().cores.push_back(core);
  return core;
}

service_core& detail::core_of_none(const service_shape& shape) {
  auto& all = local_sharding().of_none;
  const auto at = std::ranges::find_if(all, [&shape](const auto& core) { return core->shape_ == shape; });
  if (at != all.end()) return **at;
  all.reserve(all.size() + 1);
  return *all.emplace_back(service_core::make(shape));
}

std::uint32_t service_core::streams_open() const noexcept { return here().streams_open; }
void* service_core::instance() const noexcept { return here().instance; }
service_core::slot_moves& service_core::moves() const noexcept { return own_->moves; }
slot_map& service_core::slots() noexcept { return *here().slots; }

detail::slot_place detail::place_of_key(service_core& core, std::uint64_t hash) noexcept {
  slot_map& slots = core.slots();
  const slot_id slot = slot_of_hash(hash, slots.count());
  return {&slots, slot, slots.owner(slot)};
}

void service_core::starts(const std::shared_ptr<service_core>& core) noexcept {
  auto& all = local_sharding().cores;
  const auto at = std::ranges::find(all, core);
  if (at != all.end()) std::rotate(at, std::next(at), all.end());
}

void service_core::prepare() {
  site& s = here();
  std::vector<std::string_view> names;
  std::vector<std::optional<group_id>> groups;
  bool any = false;
  for (std::size_t i = 0; i < shape_.method_count; ++i) {
    const described_method& method = shape_.methods[i];
    names.push_back(method.name);
    const std::string_view group = method.options.group;
    groups.push_back(this_shard().tasks.find(group));
    any = any || groups.back();
    if (group.empty() || groups.back()) continue;
    error(status_code::not_found,
          name() + ": shard " + std::to_string(this_shard_id()) + " has no scheduling group " + std::string(group))
        .raise();
  }
  if (!any) groups.clear();
  service_stats& stats = local_sharding().stats.of(shape_.name, names);
  if (has_slots()) {
    std::function<std::uint64_t(status_code)> moves;
    if (this_shard_id() == 0) moves = [this](status_code code) { return own_->moves.ended[code]; };
    stats.export_slots([this] { return static_cast<double>(slots().owned()); },
                       [this] { return static_cast<double>(slots().waiting()); }, moves);
  }
  s.groups = std::move(groups);
  s.stats = &stats;
  s.methods = stats.all();
}

void service_core::open(void* instance) noexcept {
  site& s = here();
  ATOLL_ASSERT(s.instance == nullptr, "a shard has one instance of a service");
  s.instance = instance;
  s.open_to_all = s.bounds.empty() ? instance : nullptr;
  for (turns& each : s.bounds) each.forget_kept();
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
  site& s = here();
  s.closed = true;
  s.open_to_all = nullptr;
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

void service_core::end_calls() noexcept {
  site& s = here();
  s.calls_ended = true;
  if (s.calls.empty()) return;
  const error why = is_stopping();
  while (call_context* call = s.calls.pop_front()) call->cancel(why);
}

std::optional<error> service_core::open_stream(open_streams& place, call_message& call) {
  site& s = here();
  if (s.streams_ended) return is_stopping();
  if (s.streams_open >= shape_.options.streams) {
    return error(status_code::resource_exhausted,
                 name() + ": " + std::to_string(shape_.options.streams) + " calls with streams are open on this shard");
  }
  ++s.streams_open;
  place.call = &call;
  s.streams.push_back(place);
  return std::nullopt;
}

void service_core::close_stream(open_streams& place) noexcept {
  if (!place.linked()) return;
  place.unlink();
  --here().streams_open;
}

void service_core::end_streams() noexcept {
  site& s = here();
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

error service_core::not_running() const noexcept {
  if (instance() != nullptr) return is_stopping();
  try {
    return {status_code::unavailable, name() + " is not running on shard " + std::to_string(this_shard_id())};
  } catch (const std::bad_alloc&) {
    return error(status_code::unavailable);
  }
}

}  // namespace atoll_root::atoll
