// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Which task of a shard runs next: scheduling groups that share the processor by weight.
//
//   auto batch = this_shard().tasks.create_group("batch", 100);        // result<scheduling_group>
//   co_await atoll::with_group(*batch, [] { return compact(); });      // and all it awaits and spawns: group.hh
//   this_shard().tasks.set_shares(*batch, 50);
//
// Groups form a tree: a group's children divide its part by their shares, among those that have work now.
// The scheduler runs the group that had least time for its weight (start-time fair queueing: Goyal, Vin, Cheng
// 1996, on each level of the tree) until it has no task left, its quota is over, or a task of another group
// becomes ready. Tasks of one group run in the order they became ready.
// Who has slept gets no credit for it: its account starts where the others are.
// Shard rules: one shard's; a group made here exists here only (sharding makes groups on all shards).
// Cost: a task is queued and picked in a few ns; changing the group costs a look at the clock (some 25 ns).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <atoll/actors/base/histogram.hh>
#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/actors/base/result.hh>
#include <atoll/actors/reactor/clock.hh>
#include <atoll/actors/reactor/task.hh>

namespace atoll_root::atoll {

class metrics_registry;

/// Names a group; a value that any shard may hold. The default constructed one is the default group.
struct scheduling_group {
  group_id id = 0;
  friend bool operator==(scheduling_group, scheduling_group) noexcept = default;
};

class scheduler {
 public:
  static constexpr std::size_t groups_max = 64;
  static constexpr std::uint32_t shares_min = 1;
  static constexpr std::uint32_t shares_max = 10'000;
  static constexpr std::uint32_t default_shares = 1'000;

  /// What a group has used so far.
  struct group_stats {
    std::string name;
    std::uint32_t shares = 0;
    duration ran{};             // processor time, as of the last look at the clock
    std::uint64_t wakeups = 0;  // times it had no task and got one
    histogram latency;          // ns from such a wake-up to its first task, while another group ran
  };

  explicit scheduler(clock& time);
  scheduler(const scheduler&) = delete;
  scheduler& operator=(const scheduler&) = delete;
  ~scheduler();

  /// `out_of_range` for shares outside shares_min to shares_max, `not_found` for a parent that doesn't exist,
  /// `already_exists` for a name in use, `resource_exhausted` past groups_max. A parent must not run tasks itself
  /// while its children do: it gets its own part as if it were one more child with its own shares.
  /// With an id, that one, which must be free (else `already_exists`); so that all shards have the same.
  result<scheduling_group> create_group(std::string_view name, std::uint32_t shares, scheduling_group parent = top(),
                                        std::optional<group_id> id = std::nullopt);
  /// Whether create_group() would succeed, but for the id.
  [[nodiscard]] result<> may_create(std::string_view name, std::uint32_t shares, scheduling_group parent) const;
  /// A bit for each id in use.
  [[nodiscard]] std::uint64_t ids_used() const noexcept;
  result<> set_shares(scheduling_group group, std::uint32_t shares);
  [[nodiscard]] result<group_stats> stats(scheduling_group group) const;
  [[nodiscard]] std::size_t groups() const noexcept { return count_; }
  /// Exports what each group uses, those made later too. Once; no group is made after the registry is gone.
  void export_metrics(metrics_registry& registry);
  /// Stands for the root of the tree, as a parent.
  static constexpr scheduling_group top() noexcept { return {groups_max}; }

  /// A task that another shard made, of a group that doesn't exist here, becomes one of the default group.
  [[gnu::always_inline]] void push(task& t) noexcept {
    group& g = *groups_[t.group];
    // The last thing done, so that code that schedules keeps nothing for afterwards.
    if (!g.active) [[unlikely]]
      return push_first(t);
    g.tasks.push(t);
  }
  [[nodiscard]] bool empty() const noexcept { return current_->tasks.empty() && alone(); }

  // For the reactor.
  /// The queue to run tasks of now; null if there are none. Sets the group in force.
  run_queue* pick() noexcept {
    if (!preempt_ && !current_->tasks.empty()) [[likely]]
      return &current_->tasks;
    return pick_anew();
  }
  /// A task of another group became ready, or the quota is over.
  [[nodiscard]] bool preempted() const noexcept { return preempt_; }
  [[nodiscard]] group_id current() const noexcept { return current_->id; }
  /// Charges the time since the last look to the current group, or to nobody if the shard was idle.
  void look(time_point now, bool idle) noexcept;
  /// By its name.
  [[nodiscard]] std::optional<group_id> find(std::string_view name) const noexcept;
  /// Takes back a group that was just made: no task has run in it. Nothing where there is none.
  void withdraw_group(group_id id) noexcept;
  void set_quota(duration q) noexcept { quota_ = q; }
  [[nodiscard]] duration quota() const noexcept { return quota_; }
  [[nodiscard]] bool knows(group_id id) const noexcept { return id < groups_max && groups_[id] != &nobody_; }

 private:
  /// A place in the tree. Weighted times are ns * 64 / shares, and wrap around.
  struct node : list_hook {
    node* parent = nullptr;
    std::uint32_t shares = default_shares;
    std::uint64_t used = 0;   // weighted
    std::uint64_t floor = 0;  // the `used` of the child picked last: where one that wakes starts
    intrusive_list<node> ready;
    bool active = false;  // among its parent's ready children
  };
  struct group : node {
    group_id id = 0;
    run_queue tasks;
    std::string name;
    duration ran{};
    std::uint64_t wakeups = 0;
    time_point woke = never;
  };
  struct whole_group;
  struct group_metrics;
  struct whole_groups;

  [[nodiscard]] whole_group* at(group_id id) const noexcept;

  void push_first(task& t) noexcept;
  void activate(group& g) noexcept;
  void deactivate(group& g) noexcept;
  static void leave_tree(node& n) noexcept;
  run_queue* pick_anew() noexcept;
  static node& least(node& parent) noexcept;
  /// No group but the current one has tasks.
  [[nodiscard]] bool alone() const noexcept { return groups_active_ == (current_->active ? 1U : 0U); }

  clock& time_;
  group* current_;
  bool preempt_ = false;
  duration quota_ = std::chrono::microseconds(500);
  time_point last_look_;
  time_point slice_began_;
  std::size_t count_ = 0;
  std::uint32_t groups_active_ = 0;
  metrics_registry* registry_ = nullptr;
  node root_;
  group nobody_;  // where there is none: never active
  std::array<group*, groups_max + 1> groups_{};
  std::unique_ptr<whole_groups> own_;
};

}  // namespace atoll_root::atoll
