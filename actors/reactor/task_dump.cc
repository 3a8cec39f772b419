// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/task_dump.hh>

#include <algorithm>
#include <array>
#include <iterator>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include <atoll/actors/base/function_name.hh>
#include <atoll/actors/base/text.hh>
#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll {
namespace {

constexpr std::size_t none = static_cast<std::size_t>(-1);

/// The names of the groups, each asked for once.
class group_names {
 public:
  explicit group_names(const scheduler& of) : scheduler_(of) {}
  const std::string& operator[](group_id id) {
    auto& name = names_[id];
    if (name.empty()) {
      const auto stats = scheduler_.stats({id});
      name = stats ? stats->name : std::to_string(id);
    }
    return name;
  }

 private:
  const scheduler& scheduler_;
  std::array<std::string, std::size_t{1} << (8 * sizeof(group_id))> names_;
};

std::uintptr_t id_of(const detail::coroutine_base& c) noexcept { return reinterpret_cast<std::uintptr_t>(&c); }

task_info describe(const detail::coroutine_base& c, time_point now, group_names& groups) {
  task_info info;
  info.id = id_of(c);
  if (c.result != nullptr) {
    info.dropped = !c.result->has_consumer();
    const auto* waiter = info.dropped ? nullptr : detail::as_coroutine(c.result->waiter());
    if (waiter != nullptr) info.awaited_by = id_of(*waiter);
  }
  if (this_shard().running == &c) info.state = task_state::running;
  if (const call_context* context = c.context.get()) {
    info.cancelled = context->reason() != nullptr;
    if (context->values().deadline != never) info.deadline_left = context->values().deadline - now;
  }
  info.function = short_function_name(c.site.function_name());
  if (info.function.starts_with("atoll::")) info.runs = lambda_given_to(c.site.function_name());
  info.file = c.site.file_name();
  info.line = c.site.line();
  info.age = std::max(now - c.since, duration::zero());
  info.group = groups[c.group];
  return info;
}

std::string about(duration d) {
  if (d < std::chrono::milliseconds(1)) return fmt::format("{}us", d.count() / 1'000);
  if (d < std::chrono::seconds(1)) return fmt::format("{}ms", d.count() / 1'000'000);
  if (d < std::chrono::hours(1)) return fmt::format("{:.1f}s", static_cast<double>(d.count()) / 1e9);
  return fmt::format("{:.1f}h", static_cast<double>(d.count()) / 3.6e12);
}

/// Coroutines that wait at one line on behalf of the same ones.
struct task_line {
  const task_info* first;
  std::size_t parent;
  std::size_t count = 0;
  std::size_t cancelled = 0;
  duration oldest{};
  std::optional<duration> deadline_left{};
  std::vector<std::size_t> children{};
};

class task_tree {
 public:
  explicit task_tree(const std::vector<task_info>& tasks) : tasks_(tasks), line_of_(tasks.size(), none) {
    for (std::size_t i = 0; i < tasks.size(); ++i) by_id_.emplace(tasks[i].id, i);
    for (std::size_t i = 0; i < tasks.size(); ++i) place(i);
  }

  /// Appends the lines, at most so many; returns how many coroutines are in none of them.
  std::size_t print(std::string& out, std::size_t lines_max) const {
    std::size_t told = 0;
    std::size_t lines = 0;
    std::vector<std::pair<std::size_t, std::size_t>> to_do;  // line and depth
    const auto add = [&to_do](const std::vector<std::size_t>& all, std::size_t depth) {
      for (auto i = all.size(); i-- > 0;) to_do.emplace_back(all[i], depth);
    };
    add(roots_, 1);
    while (!to_do.empty() && lines < lines_max) {
      const auto [at, depth] = to_do.back();
      to_do.pop_back();
      append_line(out, lines_[at], depth);
      told += lines_[at].count;
      ++lines;
      add(lines_[at].children, depth + 1);
    }
    return tasks_.size() - told;
  }

 private:
  static constexpr std::size_t visiting = none - 1;

  [[nodiscard]] std::size_t awaiter_of(std::size_t i) const {
    const auto found = by_id_.find(tasks_[i].awaited_by);
    return tasks_[i].awaited_by == 0 || found == by_id_.end() ? none : found->second;
  }

  /// Finds the lines of a coroutine and of those it is awaited by.
  void place(std::size_t i) {
    std::vector<std::size_t> chain;
    std::size_t at = i;
    while (at != none && line_of_[at] == none) {
      line_of_[at] = visiting;
      chain.push_back(at);
      at = awaiter_of(at);
    }
    // Coroutines that await each other in a circle begin somewhere.
    std::size_t parent = at == none || line_of_[at] == visiting ? none : line_of_[at];
    for (; !chain.empty(); chain.pop_back()) {
      parent = line_for(tasks_[chain.back()], parent);
      line_of_[chain.back()] = parent;
    }
  }

  std::size_t line_for(const task_info& task, std::size_t parent) {
    auto [found, fresh] = same_.try_emplace(key{parent, &task}, lines_.size());
    if (fresh) {
      lines_.push_back({.first = &task, .parent = parent});
      (parent == none ? roots_ : lines_[parent].children).push_back(found->second);
    }
    auto& line = lines_[found->second];
    ++line.count;
    line.cancelled += task.cancelled ? 1 : 0;
    line.oldest = std::max(line.oldest, task.age);
    if (task.deadline_left) {
      line.deadline_left = std::min(line.deadline_left.value_or(*task.deadline_left), *task.deadline_left);
    }
    return found->second;
  }

  static void append_line(std::string& out, const task_line& line, std::size_t depth) {
    constexpr std::size_t depth_max = 40;
    const task_info& task = *line.first;
    out.append(2 * std::min(depth, depth_max), ' ');
    const auto to = std::back_inserter(out);
    if (line.count > 1) fmt::format_to(to, "x {}  ", line.count);
    fmt::format_to(to, "{}{}{}  {}:{}  {}{}  ", task.function, task.runs.empty() ? "" : " of ", task.runs, task.file,
                   task.line, line.count > 1 ? "oldest " : "", about(line.oldest));
    append_escaped(out, task.group);
    if (task.state == task_state::running) out += "  running";
    if (task.dropped) out += "  dropped";
    if (line.deadline_left && *line.deadline_left >= duration::zero()) {
      fmt::format_to(to, "  deadline in {}", about(*line.deadline_left));
    } else if (line.deadline_left) {
      fmt::format_to(to, "  deadline {} ago", about(-*line.deadline_left));
    }
    if (line.count > 1) {
      if (line.cancelled > 0) fmt::format_to(to, "  {} cancelled", line.cancelled);
    } else {
      if (line.cancelled > 0) out += "  cancelled";
      fmt::format_to(to, "  {:#x}", task.id);
    }
    out += '\n';
  }

  /// What coroutines of one line have in common.
  struct key {
    std::size_t parent;
    const task_info* task;
    bool operator==(const key& other) const noexcept {
      const auto &a = *task, &b = *other.task;
      return parent == other.parent && a.line == b.line && a.state == b.state && a.dropped == b.dropped &&
             a.function == b.function && a.runs == b.runs && a.file == b.file && a.group == b.group;
    }
  };
  struct key_hash {
    std::size_t operator()(const key& k) const noexcept {
      return (k.parent * 31 + k.task->line) * 31 + std::hash<std::string_view>()(k.task->function);
    }
  };

  const std::vector<task_info>& tasks_;
  std::unordered_map<std::uintptr_t, std::size_t> by_id_;
  std::vector<std::size_t> line_of_;  // by task
  std::vector<task_line> lines_;
  std::vector<std::size_t> roots_;
  std::unordered_map<key, std::size_t, key_hash> same_;
};

}  // namespace

std::vector<task_info> suspended_tasks(std::size_t tasks_max) {
  shard& s = this_shard();
  group_names groups(s.tasks);
  const time_point now = mono_now();
  std::vector<task_info> tasks;
  for (auto& hook : s.coroutines) {
    if (tasks.size() >= tasks_max) break;
    tasks.push_back(describe(static_cast<const detail::coroutine_base&>(hook), now, groups));
  }
  return tasks;
}

std::string dump_tasks(const task_dump_limits& limits) {
  const auto tasks = suspended_tasks(limits.tasks_max);
  const std::size_t all = this_shard().coroutines_suspended;
  std::string out = fmt::format("shard {}: {} coroutine{}\n", this_shard_id(), all, all == 1 ? "" : "s");
  const std::size_t untold = task_tree(tasks).print(out, limits.lines_max) + (all - tasks.size());
  if (untold > 0) fmt::format_to(std::back_inserter(out), "  ... and {} more\n", untold);
  return out;
}

}  // namespace atoll_root::atoll
