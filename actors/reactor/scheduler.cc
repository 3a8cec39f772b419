// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/scheduler.hh>

#include <algorithm>
#include <bit>

#include <atoll/actors/metrics/metrics.hh>

namespace atoll_root::atoll {
namespace {

constexpr std::uint64_t weight_unit = 64;

// Weighted times wrap around after years: what counts is which of two is ahead.
bool is_before(std::uint64_t a, std::uint64_t b) noexcept { return static_cast<std::int64_t>(a - b) < 0; }
std::uint64_t later(std::uint64_t a, std::uint64_t b) noexcept { return is_before(a, b) ? b : a; }

}  // namespace

/// A group with what is seldom looked at.
struct scheduler::whole_group : group {
  std::unique_ptr<node> family;  // where it has children: the inner node above them and itself
  std::unique_ptr<histogram> latency = std::make_unique<histogram>();
  std::unique_ptr<group_metrics> metrics;
};

struct scheduler::whole_groups {
  std::array<std::unique_ptr<whole_group>, groups_max + 1> all;
};

struct scheduler::group_metrics {
  static constexpr std::size_t counted_max = 10'000;  // some 100 us

  group_metrics(metrics_registry& registry, const whole_group& g)
      : own(registry, "atoll_group", {{"group", g.name}}), of(g) {}

  metric_group own;
  const whole_group& of;
  observable_gauge shares{own, "shares", "The group's weight among its siblings.", &of.shares};
  observable_seconds ran{own, "run_seconds_total", "Processor time of the group's tasks.", &of.ran};
  observable_counter wakeups{own, "wakeups_total", "Times it had no task and got one.", &of.wakeups};
  observable_gauge ready{own, "tasks_ready", "Tasks of the group that wait to run; no more than 10,000 are counted.",
                         [this] { return static_cast<double>(of.tasks.length(counted_max)); }};
  observable_histogram waited{own, "wait_seconds", "From such a wake-up to its first task, while another group ran.",
                              *of.latency, nanoseconds_as_seconds};
};

task& run_queue::pop_shuffled(rng& random) noexcept {
  constexpr std::uint64_t reach = 16;  // each of these is as likely: the last of a short queue must not win mostly
  task* before = nullptr;
  task* chosen = head_;
  std::uint64_t length = 0;
  for (const task* t = head_; t != nullptr && length < reach; t = t->next) ++length;
  ATOLL_ASSERT(chosen != nullptr, "an empty queue has nothing to pop");
  for (std::uint64_t steps = random.below(length); steps > 0; --steps) {
    before = chosen;
    chosen = chosen->next;
  }
  if (chosen->ordered) {  // the first of the ordered ones goes first
    before = nullptr;
    for (chosen = head_; !chosen->ordered; chosen = chosen->next) before = chosen;
  }
  if (before == nullptr) return pop();
  before->next = chosen->next;
  if (tail_ == chosen) tail_ = before;
  return *chosen;
}

scheduler::scheduler(clock& time) : time_(time), last_look_(time.now()), slice_began_(last_look_) {
  own_ = std::make_unique<whole_groups>();
  groups_.fill(&nobody_);
  own_->all[0] = std::make_unique<whole_group>();
  own_->all[0]->name = "main";
  own_->all[0]->parent = &root_;
  groups_[0] = own_->all[0].get();
  current_ = groups_[0];
  count_ = 1;
}

scheduler::~scheduler() = default;

scheduler::whole_group* scheduler::at(group_id id) const noexcept { return own_->all[id].get(); }

result<> scheduler::may_create(std::string_view name, std::uint32_t shares, scheduling_group parent) const {
  if (shares < shares_min || shares > shares_max) {
    return error(status_code::out_of_range, "shares of a scheduling group are 1 to 10000");
  }
  if (parent != top() && !knows(parent.id)) return error(status_code::not_found, "no such parent group");
  if (count_ == groups_max) return error(status_code::resource_exhausted, "a shard has at most 64 scheduling groups");
  for (const auto& each : own_->all) {
    if (each != nullptr && each->name == name) {
      return error(status_code::already_exists, "there is a scheduling group " + std::string(name));
    }
  }
  return {};
}

std::uint64_t scheduler::ids_used() const noexcept {
  static_assert(groups_max == 64);
  std::uint64_t used = 0;
  for (std::size_t i = 0; i < groups_max; ++i) used |= std::uint64_t{groups_[i] != &nobody_} << i;
  return used;
}

result<scheduling_group> scheduler::create_group(std::string_view name, std::uint32_t shares, scheduling_group parent,
                                                 std::optional<group_id> id) {
  if (auto allowed = may_create(name, shares, parent); !allowed) return std::move(allowed).error();
  if (!id) id = static_cast<group_id>(std::countr_one(ids_used()));
  if (*id >= groups_max) return error(status_code::out_of_range, "ids of scheduling groups are 0 to 63");
  if (knows(*id)) return error(status_code::already_exists, "a scheduling group has this id");
  auto made = std::make_unique<whole_group>();
  made->id = *id;
  made->name = name;
  made->shares = shares;
  made->parent = &root_;
  if (parent != top()) {
    whole_group& above = *at(parent.id);
    if (above.family == nullptr) {
      // The parent becomes an inner node; its own tasks go on as a child of it, with its own shares.
      above.family = std::make_unique<node>();
      above.family->parent = above.parent;
      above.family->shares = above.shares;
      above.family->used = above.used;
      const bool was_active = above.active;
      if (was_active) deactivate(above);
      above.parent = above.family.get();
      above.used = 0;
      if (was_active) activate(above);
    }
    made->parent = above.family.get();
  }
  if (registry_ != nullptr) made->metrics = std::make_unique<group_metrics>(*registry_, *made);
  groups_[*id] = made.get();
  own_->all[*id] = std::move(made);
  ++count_;
  return scheduling_group{*id};
}

std::optional<group_id> scheduler::find(std::string_view name) const noexcept {
  for (const auto& each : own_->all) {
    if (each != nullptr && each->name == name) return each->id;
  }
  return std::nullopt;
}

void scheduler::withdraw_group(group_id id) noexcept {
  if (!knows(id)) return;
  const bool unused = groups_[id]->tasks.empty() && current_ != groups_[id];
  ATOLL_ASSERT(unused, "no task has run in it");
  groups_[id] = &nobody_;
  own_->all[id].reset();
  --count_;
}

void scheduler::export_metrics(metrics_registry& registry) {
  registry_ = &registry;
  for (auto& g : own_->all) {
    if (g != nullptr) g->metrics = std::make_unique<group_metrics>(registry, *g);
  }
}

result<> scheduler::set_shares(scheduling_group which, std::uint32_t shares) {
  if (!knows(which.id)) return error(status_code::not_found, "no such scheduling group");
  if (shares < shares_min || shares > shares_max) {
    return error(status_code::out_of_range, "shares of a scheduling group are 1 to 10000");
  }
  whole_group& g = *at(which.id);
  g.shares = shares;
  if (g.family != nullptr) g.family->shares = shares;
  return {};
}

result<scheduler::group_stats> scheduler::stats(scheduling_group which) const {
  if (!knows(which.id)) return error(status_code::not_found, "no such scheduling group");
  const whole_group& g = *at(which.id);
  return group_stats{g.name, g.shares, g.ran, g.wakeups, *g.latency};
}

void scheduler::push_first(task& t) noexcept {
  if (groups_[t.group] == &nobody_) {
    t.group = 0;
    return push(t);
  }
  group& g = *groups_[t.group];
  activate(g);
  g.tasks.push(t);
}

void scheduler::activate(group& g) noexcept {
  ++g.wakeups;
  ++groups_active_;
  for (node* n = &g; n->parent != nullptr && !n->active; n = n->parent) {
    if (!n->parent->ready.empty()) n->parent->floor = later(n->parent->floor, least(*n->parent).used);
    n->active = true;
    n->used = later(n->used, n->parent->floor);
    n->parent->ready.push_back(*n);
  }
  if (&g == current_) return;
  // The clock only where two groups compete: this costs a look a wake-up.
  g.woke = current_->tasks.empty() ? never : time_.now();
  preempt_ = true;
}

scheduler::node& scheduler::least(node& parent) noexcept {
  node* least = &parent.ready.front();
  for (node& child : parent.ready) {
    if (is_before(child.used, least->used)) least = &child;
  }
  return *least;
}

void scheduler::deactivate(group& g) noexcept {
  --groups_active_;
  leave_tree(g);
}

void scheduler::leave_tree(node& n) noexcept {
  for (node* each = &n; each->parent != nullptr; each = each->parent) {
    each->active = false;
    each->unlink();
    if (!each->parent->ready.empty()) return;
  }
}

run_queue* scheduler::pick_anew() noexcept {
  preempt_ = false;
  if (alone()) {
    slice_began_ = last_look_;
    return current_->tasks.empty() ? nullptr : &current_->tasks;
  }
  const time_point now = time_.now();
  look(now, false);
  preempt_ = false;
  if (current_->active && current_->tasks.empty()) deactivate(*current_);
  node* n = &root_;
  while (!n->ready.empty()) {
    node& chosen = least(*n);
    n->floor = later(n->floor, chosen.used);
    n = &chosen;
  }
  current_ = static_cast<group*>(n);
  slice_began_ = now;
  if (current_->woke != never) {
    const time_point woke = std::exchange(current_->woke, never);
    at(current_->id)->latency->record(now > woke ? static_cast<std::uint64_t>((now - woke).count()) : 0);
  }
  return &current_->tasks;
}

void scheduler::look(time_point now, bool idle) noexcept {
  const duration passed = now - std::exchange(last_look_, now);
  if (idle) return;
  current_->ran += passed;
  for (node* n = current_; n->parent != nullptr; n = n->parent) {
    n->used += static_cast<std::uint64_t>(passed.count()) * weight_unit / n->shares;
  }
  if (now - slice_began_ >= quota_) preempt_ = true;
}

}  // namespace atoll_root::atoll
