// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/metrics/metrics.hh>

#include <algorithm>
#include <bit>
#include <chrono>

namespace atoll_root::atoll {
namespace {

constexpr logger metrics_log{"metrics"};
constexpr duration refusals_interval = std::chrono::seconds(10);
constexpr std::uint32_t refusals_logged = 10;  // in an interval

bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool is_metric_name(std::string_view name) noexcept {
  return !name.empty() && !is_digit(name[0]) &&
         std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c) || c == ':'; });
}

bool is_label_name(std::string_view name) noexcept {
  return !name.empty() && !is_digit(name[0]) && !name.starts_with("__") &&
         std::ranges::all_of(name, [](char c) { return is_letter(c) || is_digit(c); });
}

/// Both sets of labels, sorted.
metric_labels joined(const metric_labels& a, const metric_labels& b) {
  metric_labels all = a;
  all.insert(all.end(), b.begin(), b.end());
  std::ranges::sort(all);
  return all;
}

unsigned bits_of(std::uint64_t value) noexcept { return static_cast<unsigned>(std::bit_width(value)); }

/// The exponents e of the bounds 2^e - 1: `count` of them, from `first` in steps.
struct bound_exponents {
  static constexpr unsigned largest = 63;  // all values are below 2^64: +Inf is that bound

  unsigned first;
  unsigned step = 1;
  unsigned count;

  explicit bound_exponents(const histogram_export& how) noexcept : first(std::min(bits_of(how.lowest), largest)) {
    const unsigned last = std::clamp(bits_of(how.highest), first, largest);
    while ((last - first) / step + 1 > histogram_export::bounds_max) step *= 2;
    count = (last - first + step - 1) / step + 1;
    if (first + (count - 1) * step > largest) --count;
  }

  /// The bucket of the values of so many bits.
  [[nodiscard]] std::size_t bucket_of(unsigned bits) const noexcept {
    return bits <= first ? 0 : std::min((bits - first + step - 1) / step, count);
  }
};

bucketed_values in_buckets(const histogram& values, const histogram_export& how) {
  const bound_exponents exponents(how);
  bucketed_values out;
  for (unsigned i = 0; i < exponents.count; ++i) {
    const auto bound = (std::uint64_t{1} << (exponents.first + i * exponents.step)) - 1;
    out.bounds.push_back(static_cast<double>(bound) * how.factor);
  }
  out.counts.resize(out.bounds.size() + 1);
  values.for_each_bucket([&](std::uint64_t, std::uint64_t highest, std::uint64_t count) {
    out.counts[exponents.bucket_of(bits_of(highest))] += count;
  });
  out.sum = static_cast<double>(values.sum()) * how.factor;
  return out;
}

}  // namespace

namespace detail {

metric::metric(const metric_group& group, metric_kind kind, std::string_view name, std::string_view help,
               const metric_labels& labels) {
  if (group.registry() != nullptr) group.registry()->add(*this, group, kind, name, help, labels);
}

metric::~metric() {
  if (registry_ != nullptr) registry_->remove(*this);
}

}  // namespace detail

histogram_metric::histogram_metric(const metric_group& group, std::string_view name, std::string_view help,
                                   const histogram_export& how, const metric_labels& labels)
    : metric(group, metric_kind::histogram, name, help, labels), how_(how) {}

metric_value histogram_metric::read() const { return in_buckets(values_, how_); }

observable_histogram::observable_histogram(const metric_group& group, std::string_view name, std::string_view help,
                                           const histogram& values, const histogram_export& how,
                                           const metric_labels& labels)
    : metric(group, metric_kind::histogram, name, help, labels), values_(values), how_(how) {}

metric_value observable_histogram::read() const { return in_buckets(values_, how_); }

metrics_registry::metrics_registry(std::uint32_t shard, std::size_t metrics_max)
    : shard_(shard),
      metrics_max_(metrics_max),
      refusals_(refusals_interval, refusals_logged),
      size_metric_(*this, "atoll_metrics", "Metrics that this shard exports.", &size_),
      max_metric_(*this, "atoll_metrics_max", "How many metrics this shard exports at most.", &metrics_max_),
      refused_metric_(*this, "atoll_metrics_refused_total",
                      "Metrics not exported: misnamed, duplicate, or past the bound.", &refused_) {}

metrics_registry::~metrics_registry() {
  for (auto& [name, family] : families_) {
    for (auto& [labels, member] : family.members) member->registry_ = nullptr;
  }
}

bool metrics_registry::is_histogram(std::string_view name) const noexcept {
  const auto found = families_.find(name);
  return found != families_.end() && found->second.kind == metric_kind::histogram;
}

std::string_view metrics_registry::why_not(std::string_view name, metric_kind kind, const metric_labels& labels) const {
  if (size_ >= metrics_max_) return "the shard has as many as it may";
  if (!is_metric_name(name)) return "this is no name of a metric";
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto& label = labels[i].first;
    if (!is_label_name(label)) return "a label's name is none";
    if (label == "shard" || (label == "le" && kind == metric_kind::histogram)) return "a label's name is reserved";
    if (i > 0 && labels[i - 1].first == label) return "a label is given twice";
  }
  for (const auto suffix : histogram_suffixes) {
    if (name.ends_with(suffix) && is_histogram(name.substr(0, name.size() - suffix.size()))) {
      return "the name is one of a histogram's series";
    }
    if (kind == metric_kind::histogram && families_.contains(std::string(name).append(suffix))) {
      return "a series of the histogram has the name of another metric";
    }
  }
  return {};
}

void metrics_registry::add(detail::metric& m, const metric_group& group, metric_kind kind, std::string_view name,
                           std::string_view help, const metric_labels& labels) {
  std::string full = group.prefix();
  if (!full.empty()) full += '_';
  full += name;
  auto all = joined(group.labels(), labels);
  auto why = why_not(full, kind, all);
  if (why.empty()) {
    std::erase_if(all, [](const auto& label) { return label.second.empty(); });
    const auto family = families_.try_emplace(full, detail::registered_family{std::string(help), kind, {}}).first;
    auto& members = family->second.members;
    const auto put_in = [&] {
      try {
        return members.try_emplace(std::move(all), &m);
      } catch (...) {
        if (members.empty()) families_.erase(family);
        throw;
      }
    };
    if (family->second.kind != kind) {
      why = "metrics of this name are of another kind";
    } else if (const auto [member, fresh] = put_in(); fresh) {
      m.registry_ = this;
      m.family_ = family;
      m.member_ = member;
      ++size_;
      return;
    } else {
      why = "there is one of this name and these labels";
    }
  }
  ++refused_;
  metrics_log.warning(refusals_, "a metric is not exported: {}", why, kv("name", full));
}

void metrics_registry::remove(detail::metric& m) noexcept {
  m.family_->second.members.erase(m.member_);
  if (m.family_->second.members.empty()) families_.erase(m.family_);
  m.registry_ = nullptr;
  --size_;
}

metrics_snapshot metrics_registry::collect() const {
  metrics_snapshot out;
  out.shard = shard_;
  out.families.reserve(families_.size());
  for (const auto& [name, family] : families_) {
    auto& into = out.families.emplace_back(metric_family{name, family.help, family.kind, {}});
    into.samples.reserve(family.members.size());
    for (const auto& [labels, member] : family.members) {
      try {
        into.samples.push_back({labels, member->read()});
      } catch (...) {
        continue;  // what can't be read is missing, and the rest is there
      }
    }
  }
  return out;
}

}  // namespace atoll_root::atoll
