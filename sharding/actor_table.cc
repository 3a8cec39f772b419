// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/actor_table.hh>

#include <algorithm>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/actors/metrics/shard_metrics.hh>

namespace atoll_root::atoll::detail {
namespace {

constexpr duration look_every_min = std::chrono::milliseconds(1);
constexpr duration look_every_max = std::chrono::seconds(1);

}  // namespace

struct actor_table_base::metrics {
  explicit metrics(const actor_table_base& table)
      : self(table), group(shard_metrics(), "atoll_actors", {{"service", table.service_}}) {}

  const actor_table_base& self;
  metric_group group;
  observable_gauge active{group, "active", "Actors that are active.",
                          [this] { return static_cast<double>(self.active_); }};
  counter activations{group, "activations_total", "Actors activated."};
  counter failed{group, "activations_failed_total", "Activations that failed."};
  counter deactivations{group, "deactivations_total", "Actors deactivated."};
};

actor_table_base::actor_table_base(std::string_view service, const keyed_options& options)
    : service_(service), options_(options), metrics_(std::make_unique<metrics>(*this)) {
  options_.idle_after = std::max(options_.idle_after, look_every_min);
}
actor_table_base::~actor_table_base() = default;

result<gate_hold> actor_table_base::begin_activation() {
  auto inside = activations_.enter();
  if (!inside) return error(status_code::unavailable, service_ + " is stopping: no actor is activated any more");
  if (!watches_) watches_ = watcher_.spawn([this] { return watch(); });
  return inside;
}

void actor_table_base::activated(actor_entry& e) {
  ++active_;
  metrics_->activations.add();
  used(e);
  const std::size_t staying = active_ - leaving_.running();
  if (staying > options_.active_max) ask_first(staying - options_.active_max);
  // A flood of new keys may fill the memory between two looks.
  if (metrics_->activations.value() % activations_a_look == 0 && memory_is_short()) ask_first(share_that_leaves());
}

future<> actor_table_base::in_no_context(future<> (*f)(actor_entry& e), actor_entry& e) {
  return with_context({}, [f, &e] { return f(e); });
}

void actor_table_base::activation_failed() noexcept { metrics_->failed.add(); }

void actor_table_base::used(actor_entry& e) noexcept {
  e.used_ = coarse_now();
  e.leaving_ = false;
  e.unlink();
  by_use_.push_back(e);
}

void actor_table_base::deactivated(actor_entry& e, const result<>& outcome) noexcept {
  --active_;
  e.unlink();
  metrics_->deactivations.add();
  if (!outcome) {
    logger("actors").warning(complaints_, "an actor's on_deactivate failed", kv("service", service_),
                             kv("error", outcome.error().to_string()));
  }
}

bool actor_table_base::memory_is_short() const noexcept {
  const shard_memory* memory = this_shard().memory;
  if (memory == nullptr) return false;
  const auto now = memory->statistics();
  return now.enforced &&
         static_cast<double>(now.used_bytes) > options_.memory_share * static_cast<double>(now.budget_bytes);
}

future<> actor_table_base::watch() {
  const duration look_every = std::clamp(options_.idle_after / 4, look_every_min, look_every_max);
  duration since_memory = duration::zero();
  while (true) {
    co_await sleep(look_every);
    while (!by_use_.empty() && by_use_.front().used_ + options_.idle_after <= coarse_now()) {
      auto place = co_await leaving_places_.acquire();
      if (!by_use_.empty()) ask(by_use_.front(), std::move(place));
    }
    since_memory += look_every;
    if (since_memory < look_every_max) continue;
    since_memory = duration::zero();
    if (memory_is_short()) ask_first(share_that_leaves());
  }
}

void actor_table_base::ask_first(std::size_t how_many) {
  for (; how_many > 0 && !by_use_.empty(); --how_many) {
    auto place = leaving_places_.try_acquire();
    if (!place) return;
    ask(by_use_.front(), *std::move(place));
  }
}

void actor_table_base::ask(actor_entry& e, semaphore_units place) {
  e.unlink();
  e.leaving_ = true;
  if (!leaving_.spawn(&actor_table_base::leave, this, &e, std::move(place))) used(e);
}

future<> actor_table_base::leave(actor_entry* e, semaphore_units) {
  const auto begin = [this, e] { return leave_in_turn(*e, false); };
  const auto outcome = co_await as_result(invoke_safely(begin));
  // It didn't come to its turn: no memory, or too many messages wait for it.
  if (!outcome) used(*e);
}

future<> actor_table_base::stop() {
  co_await activations_.close();
  co_await watcher_.stop();
  co_await leaving_.close();
  std::vector<std::pair<actor_entry*, future<>>> parts;
  parts.reserve(leaving_max);
  while (!by_use_.empty()) {
    while (parts.size() < leaving_max && !by_use_.empty()) {
      actor_entry& each = by_use_.front();
      each.unlink();
      const auto begin = [this, &each] { return leave_in_turn(each, true); };
      parts.emplace_back(&each, invoke_safely(begin));
    }
    bool again = false;
    for (auto& [entry, part] : parts) {
      if (co_await as_result(std::move(part))) continue;
      used(*entry);  // as above: it is there still
      again = true;
    }
    parts.clear();
    if (again) co_await sleep(look_every_min);
  }
}

}  // namespace atoll_root::atoll::detail
