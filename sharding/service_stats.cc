// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/service_stats.hh>

#include <algorithm>
#include <list>
#include <optional>

#include <atoll/actors/metrics/shard_metrics.hh>
#include <atoll/actors/metrics/status_metric.hh>

namespace atoll_root::atoll {

struct timed_calls::exported {
  explicit exported(const metric_group& group)
      : metric(group, "seconds", "How long calls took.", values, nanoseconds_as_seconds) {}
  histogram values;
  observable_histogram metric;
};

timed_calls::timed_calls() = default;
timed_calls::~timed_calls() = default;

std::uint32_t timed_calls::weigh_this(time_point look) noexcept {
  const std::int64_t window = look.time_since_epoch().count() >> window_bits;
  if (window != window_) {
    window_ = window;
    in_window_ = 0;
  }
  const std::uint32_t weight = weight_;
  weight_ = until_next_ = ++in_window_ < each_of_first ? 1 : then_one_in;
  return weight;
}

void timed_calls::record(duration took, std::uint32_t weight, const metric_group& group) noexcept {
  if (values_ == nullptr) {
    try {
      values_ = std::make_unique<exported>(group);
    } catch (const std::bad_alloc&) {
      return;
    }
  }
  values_->values.record(static_cast<std::uint64_t>(std::max(took, duration::zero()).count()), weight);
}

struct service_stats::exported {
  std::vector<metric_group> groups;  // by place
  std::list<observable_counter> counters;
  std::list<observable_gauge> gauges;
  std::optional<observable_status_counts> moves;
  bool has_slots = false;
};

service_stats::service_stats(std::string_view service, const std::vector<std::string_view>& methods)
    : service_(service),
      described_(methods.size()),
      methods_(std::make_unique<method_stats[]>(methods.size() + 1)),
      exported_(std::make_unique<exported>()) {
  for (std::size_t i = 0; i <= described_; ++i) {
    method_stats& each = methods_[i];
    const std::string method(i > 0 ? methods[i - 1] : "(other)");
    const auto& group = exported_->groups.emplace_back(
        shard_metrics(), "atoll_method", metric_labels{{"service", std::string(service)}, {"method", method}});
    export_code(i, status_code::ok);
    exported_->gauges.emplace_back(group, "in_flight", "Calls that are served and wait for something.", &each.serving);
    exported_->gauges.emplace_back(group, "queued", "Calls that wait for their turn.", &each.in_queue);
  }
}
service_stats::~service_stats() = default;

void service_stats::export_code(std::size_t place, status_code code) {
  exported_->counters.emplace_back(
      exported_->groups[place], "calls_total", "Calls that were answered.",
      [&counted = methods_[place], code] { return counted.ended[code]; },
      metric_labels{{"code", std::string(to_string(code))}});
}

void service_stats::export_slots(std::function<double()> owned, std::function<double()> waiting,
                                 const std::function<std::uint64_t(status_code)>& moves) {
  if (exported_->has_slots) return;
  const metric_group group(shard_metrics(), "atoll_slots", {{"service", service_}});
  exported_->gauges.emplace_back(group, "owned", "Slots that are this shard's.", std::move(owned));
  exported_->gauges.emplace_back(group, "calls_waiting", "Calls that wait for a slot to move.", std::move(waiting));
  if (moves) exported_->moves.emplace(group, "moves_total", "Moves of slots.", moves);
  exported_->has_slots = true;
}

void service_stats::took(std::size_t number, duration how_long, std::uint32_t weight) noexcept {
  const std::size_t place = place_of(number);
  methods_[place].timed.record(how_long, weight, exported_->groups[place]);
}

void service_stats::failed(std::size_t number, status_code code) noexcept {
  const std::size_t place = place_of(number);
  if (methods_[place].ended[code] == 0) {
    try {
      export_code(place, code);
    } catch (const std::bad_alloc&) {
      return;  // so that the next one is the first
    }
  }
  methods_[place].ended.add(code);
}

std::uint64_t service_stats::ended(status_code code) const noexcept {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i <= described_; ++i) sum += methods_[i].ended[code];
  return sum;
}

std::uint64_t service_stats_table::ended(status_code code) const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [name, each] : all_) sum += each->ended(code);
  return sum;
}

service_stats& service_stats_table::of(std::string_view name, const std::vector<std::string_view>& methods) {
  const std::pair key(std::string(name), methods.size());
  const auto found = all_.find(key);
  if (found != all_.end()) return *found->second;
  auto made = std::make_unique<service_stats>(name, methods);
  return *all_.emplace(key, std::move(made)).first->second;
}

}  // namespace atoll_root::atoll
