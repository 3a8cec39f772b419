// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Metrics are members of the class they tell about, and exported for as long as they live.
//
//   class cache {
//     atoll::metric_group metrics_{atoll::shard_metrics(), "cache"};       // metrics/shard_metrics.hh
//     atoll::counter hits_{metrics_, "hits_total", "Reads answered.", {{"from", "memory"}}};
//     atoll::gauge bytes_{metrics_, "bytes", "Memory that entries take."};
//     atoll::observable_gauge entries_{metrics_, "entries", "Entries.", [this] { return map_.size(); }};
//     atoll::histogram_metric reads_{metrics_, "read_seconds", "Time of a read.", atoll::nanoseconds_as_seconds};
//   };
//   hits_.add();   bytes_.set(4096);   reads_.record(elapsed_ns);          // cache_hits_total{from="memory"} 1
//
// Shard rules: a metric and its registry belong to one shard; the others get snapshots. Neither is copied or moved. The
// registry may go before its metrics, which then count on unseen.
// Names are Prometheus's: [a-zA-Z_:][a-zA-Z0-9_:]*; labels [a-zA-Z_][a-zA-Z0-9_]*, but not __*, `shard` or, for a
// histogram, `le`. All metrics of a name are of one kind, and the first of them says the help text.
// Errors: none. A metric that is misnamed, a duplicate (name and labels), or past the registry's bound works as any
// other but is not exported: that is logged (ten lines in ten seconds) and counted in atoll_metrics_refused_total.
// Constructors throw bad_alloc alone.
// Cost: counting is one addition in memory, a histogram's record() a few ns. Construction and destruction are a search
// in a map; collect() some 100 ns a metric, without a break: 1 ms of the shard's time at the bound.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <atoll/actors/base/histogram.hh>
#include <atoll/actors/base/log.hh>
#include <atoll/actors/metrics/snapshot.hh>

namespace atoll_root::atoll {

class metrics_registry;

/// What metrics have in common: the registry, the beginning of the name (joined by _) and labels. Metrics copy what
/// they need of it. A registry alone is a group too; without one (null) metrics count unseen.
class metric_group {
 public:
  metric_group(metrics_registry& registry) noexcept : registry_(&registry) {}  // NOLINT(google-explicit-constructor)
  metric_group(metrics_registry& registry, std::string prefix, metric_labels labels = {})
      : metric_group(&registry, std::move(prefix), std::move(labels)) {}
  metric_group(metrics_registry* registry, std::string prefix = {},  // NOLINT(google-explicit-constructor)
               metric_labels labels = {})
      : registry_(registry), prefix_(std::move(prefix)), labels_(std::move(labels)) {}

  [[nodiscard]] metrics_registry* registry() const noexcept { return registry_; }
  [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }
  [[nodiscard]] const metric_labels& labels() const noexcept { return labels_; }

 private:
  metrics_registry* registry_;
  std::string prefix_;
  metric_labels labels_;
};

namespace detail {

class metric;

/// The metrics of one name, by their labels, which are sorted.
struct registered_family {
  std::string help;
  metric_kind kind;
  std::map<metric_labels, metric*> members;
};
using registered_families = std::map<std::string, registered_family, std::less<>>;

class metric {
 public:
  metric(const metric&) = delete;
  metric& operator=(const metric&) = delete;

  /// False where it was refused, or the registry is gone.
  [[nodiscard]] bool exported() const noexcept { return registry_ != nullptr; }

 protected:
  metric(const metric_group& group, metric_kind kind, std::string_view name, std::string_view help,
         const metric_labels& labels);
  virtual ~metric();

 private:
  friend class atoll::metrics_registry;

  /// May throw what a user's function throws.
  [[nodiscard]] virtual metric_value read() const = 0;

  metrics_registry* registry_ = nullptr;
  registered_families::iterator family_;               // valid where it is exported
  std::map<metric_labels, metric*>::iterator member_;  // so is this
};

/// A function without arguments for a number, or a pointer to one, as a function.
template <class Out, class Source>
std::function<Out()> reader(Source source) {
  if constexpr (std::is_pointer_v<Source> && !std::is_function_v<std::remove_pointer_t<Source>>) {
    return [source] { return static_cast<Out>(*source); };
  } else {
    return [source = std::move(source)]() mutable { return static_cast<Out>(source()); };
  }
}

/// What such a function gives, or such a pointer points to.
template <class Source>
struct read_type {};
template <class Source>
  requires std::is_invocable_v<Source&>
struct read_type<Source> : std::remove_cvref<std::invoke_result_t<Source&>> {};
template <class Number>
struct read_type<Number*> : std::remove_cv<Number> {};
template <class Number>
  requires std::is_invocable_v<Number*>
struct read_type<Number*> : std::remove_cvref<std::invoke_result_t<Number*>> {};

template <class Source>
concept readable_number = std::is_arithmetic_v<typename read_type<Source>::type>;
template <class Source>
concept readable_unsigned = std::unsigned_integral<typename read_type<Source>::type>;

}  // namespace detail

/// Something that only grows. It wraps around at 2^64.
class counter final : public detail::metric {
 public:
  counter(const metric_group& group, std::string_view name, std::string_view help, const metric_labels& labels = {})
      : metric(group, metric_kind::counter, name, help, labels) {}

  void add(std::uint64_t n = 1) noexcept { value_ += n; }
  [[nodiscard]] std::uint64_t value() const noexcept { return value_; }

 private:
  [[nodiscard]] metric_value read() const override { return value_; }
  std::uint64_t value_ = 0;
};

/// Something that goes up and down; any double, also NaN and the infinities.
class gauge final : public detail::metric {
 public:
  gauge(const metric_group& group, std::string_view name, std::string_view help, const metric_labels& labels = {})
      : metric(group, metric_kind::gauge, name, help, labels) {}

  void set(double value) noexcept { value_ = value; }
  void add(double n) noexcept { value_ += n; }
  [[nodiscard]] double value() const noexcept { return value_; }

 private:
  [[nodiscard]] metric_value read() const override { return value_; }
  double value_ = 0;
};

/// A counter that is counted elsewhere: an unsigned number that a function gives, or that is pointed to, read when
/// metrics are collected. It outlives the metric. The function neither makes nor destroys metrics; where it throws, the
/// sample is missing.
class observable_counter final : public detail::metric {
 public:
  template <detail::readable_unsigned Source>
  observable_counter(const metric_group& group, std::string_view name, std::string_view help, Source source,
                     const metric_labels& labels = {})
      : metric(group, metric_kind::counter, name, help, labels),
        read_(detail::reader<std::uint64_t>(std::move(source))) {}

 private:
  [[nodiscard]] metric_value read() const override { return read_(); }
  std::function<std::uint64_t()> read_;
};

/// The same for a gauge, of any type of number.
class observable_gauge final : public detail::metric {
 public:
  template <detail::readable_number Source>
  observable_gauge(const metric_group& group, std::string_view name, std::string_view help, Source source,
                   const metric_labels& labels = {})
      : metric(group, metric_kind::gauge, name, help, labels), read_(detail::reader<double>(std::move(source))) {}

 private:
  [[nodiscard]] metric_value read() const override { return read_(); }
  std::function<double()> read_;
};

/// A counter of time that is counted elsewhere, not negative: a pointer to it, or a function that gives it, under the
/// same rules. Exported in seconds.
class observable_seconds final : public detail::metric {
 public:
  template <class Source>
    requires std::is_same_v<typename detail::read_type<Source>::type, duration>
  observable_seconds(const metric_group& group, std::string_view name, std::string_view help, Source source,
                     const metric_labels& labels = {})
      : metric(group, metric_kind::counter, name, help, labels), read_(detail::reader<duration>(std::move(source))) {}

 private:
  [[nodiscard]] metric_value read() const override { return std::chrono::duration<double>(read_()).count(); }
  std::function<duration()> read_;
};

/// How a histogram is exported: in which unit, and which of the numbers 2^e - 1 are its bounds.
struct histogram_export {
  /// Besides +Inf. Where there would be more, every second is one.
  static constexpr std::size_t bounds_max = 32;

  double factor = 1;         // from the unit of the values to the exported one; finite and > 0
  std::uint64_t lowest = 1;  // in the unit of the values: the first bound is this, or up to twice as much
  std::uint64_t highest = std::numeric_limits<std::uint64_t>::max();  // so is the last
};

/// Values in ns exported in seconds, from 1 us to 34 s, a bound for each power of two.
inline constexpr histogram_export nanoseconds_as_seconds = {1e-9, 1'000, 30'000'000'000};

/// A histogram of unsigned numbers. 8 KB.
class histogram_metric final : public detail::metric {
 public:
  histogram_metric(const metric_group& group, std::string_view name, std::string_view help,
                   const histogram_export& how = {}, const metric_labels& labels = {});

  void record(std::uint64_t value) noexcept { values_.record(value); }
  [[nodiscard]] const histogram& values() const noexcept { return values_; }

 private:
  [[nodiscard]] metric_value read() const override;
  histogram values_;
  histogram_export how_;
};

/// A histogram that is kept elsewhere. It outlives the metric.
class observable_histogram final : public detail::metric {
 public:
  observable_histogram(const metric_group& group, std::string_view name, std::string_view help, const histogram& values,
                       const histogram_export& how = {}, const metric_labels& labels = {});

 private:
  [[nodiscard]] metric_value read() const override;
  const histogram& values_;
  histogram_export how_;
};

/// The metrics of one shard.
class metrics_registry {
 public:
  static constexpr std::size_t metrics_max_default = 10'000;

  /// `metrics_max` bounds how many are exported at a time, the registry's own three among them.
  explicit metrics_registry(std::uint32_t shard, std::size_t metrics_max = metrics_max_default);
  metrics_registry(const metrics_registry&) = delete;
  metrics_registry& operator=(const metrics_registry&) = delete;
  ~metrics_registry();

  [[nodiscard]] metrics_snapshot collect() const;

  /// How many are exported.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  /// How many were not.
  [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

 private:
  friend class detail::metric;

  void add(detail::metric& m, const metric_group& group, metric_kind kind, std::string_view name, std::string_view help,
           const metric_labels& labels);
  void remove(detail::metric& m) noexcept;
  [[nodiscard]] std::string_view why_not(std::string_view name, metric_kind kind, const metric_labels& labels) const;
  [[nodiscard]] bool is_histogram(std::string_view name) const noexcept;

  std::uint32_t shard_;
  std::size_t metrics_max_;
  std::size_t size_ = 0;
  std::uint64_t refused_ = 0;
  rate_limit refusals_;
  detail::registered_families families_;
  observable_gauge size_metric_;
  observable_gauge max_metric_;
  observable_counter refused_metric_;
};

}  // namespace atoll_root::atoll
