// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/metrics/metrics.hh>

#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atoll/actors/metrics/prometheus.hh>
#include <atoll/actors/metrics/shard_metrics.hh>
#include <atoll/sharding/sendable.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

template <>
inline constexpr bool atoll::enable_sendable<atoll::metrics_snapshot> = true;

namespace {

using atoll::counter;
using atoll::gauge;
using atoll::histogram_metric;
using atoll::metric_family;
using atoll::metric_group;
using atoll::metric_kind;
using atoll::metric_labels;
using atoll::metric_value;
using atoll::metrics_registry;
using atoll::observable_counter;
using atoll::observable_gauge;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr std::size_t own = 3;  // metrics of the registry

/// All but the registry's own.
std::vector<metric_family> families(const metrics_registry& registry) {
  auto all = registry.collect().families;
  std::erase_if(all, [](const auto& family) { return family.name.starts_with("atoll_metrics"); });
  return all;
}

std::vector<std::string> names(const metrics_registry& registry) {
  std::vector<std::string> all;
  for (const auto& family : families(registry)) all.push_back(family.name);
  return all;
}

metric_value only_value(const metrics_registry& registry) {
  const auto all = families(registry);
  if (all.size() == 1 && all[0].samples.size() == 1) return all[0].samples[0].value;
  ADD_FAILURE() << all.size() << " families";
  return {};
}

/// What is logged while it lives.
class quiet {
 public:
  quiet() { ::testing::internal::CaptureStderr(); }
  quiet(const quiet&) = delete;
  quiet& operator=(const quiet&) = delete;
  ~quiet() {
    if (!taken_) take();
  }
  std::string take() {
    taken_ = true;
    return ::testing::internal::GetCapturedStderr();
  }

 private:
  bool taken_ = false;
};

TEST(metrics, of_each_kind_are_collected) {
  metrics_registry registry(7);
  counter hits{registry, "hits_total", "Hits."};
  gauge level{registry, "level", "Level."};
  histogram_metric sizes{registry, "sizes", "Sizes.", {1, 1, 3}};
  hits.add();
  hits.add(41);
  level.set(2.5);
  level.add(-1);
  for (std::uint64_t size = 0; size < 5; ++size) sizes.record(size);

  EXPECT_EQ(hits.value(), 42U);
  EXPECT_EQ(level.value(), 1.5);
  EXPECT_EQ(sizes.values().count(), 5U);
  EXPECT_EQ(registry.collect().shard, 7U);
  const metric_family of_hits{"hits_total", "Hits.", metric_kind::counter, {{{}, std::uint64_t{42}}}};
  const metric_family of_level{"level", "Level.", metric_kind::gauge, {{{}, 1.5}}};
  const metric_family of_sizes{
      "sizes", "Sizes.", metric_kind::histogram, {{{}, atoll::bucketed_values{{1, 3}, {2, 2, 1}, 10}}}};
  EXPECT_THAT(families(registry), ElementsAre(of_hits, of_level, of_sizes));
}

std::uint64_t seven() { return 7; }

TEST(metrics, read_functions_and_pointers_when_they_are_collected) {
  metrics_registry registry(0);
  std::uint64_t counted = 1;
  const std::uint32_t small = 2;
  float level = -1.5F;
  observable_counter a{registry, "a", "", &counted};
  observable_counter b{registry, "b", "", &small, {{"l", "v"}}};
  observable_counter c{registry, "c", "", seven};
  observable_counter d{registry, "d", "", [&] { return counted * 2; }};
  observable_gauge e{registry, "e", "", &level};
  observable_gauge f{registry, "f", "", [n = 0]() mutable { return ++n; }};
  counted = 10;
  std::vector<metric_value> values;
  for (const auto& family : families(registry)) values.push_back(family.samples.at(0).value);
  using u = std::uint64_t;
  EXPECT_THAT(values, ElementsAre(u{10}, u{2}, u{7}, u{20}, -1.5, 1.0));
}

TEST(metrics, that_can_not_be_read_are_missing_and_the_others_are_there) {
  metrics_registry registry(0);
  bool fails = true;
  observable_gauge bad{registry, "x", "", [&] { return fails ? throw std::runtime_error("no") : 1; }, {{"l", "1"}}};
  observable_gauge good{registry, "x", "", [] { return 2; }, {{"l", "2"}}};
  EXPECT_EQ(only_value(registry), metric_value(2.0));
  fails = false;
  EXPECT_EQ(families(registry).at(0).samples.size(), 2U);
}

TEST(metrics, are_exported_while_they_live) {
  metrics_registry registry(0);
  std::optional<counter> a, b, c;
  a.emplace(registry, "x", "First.", metric_labels{{"l", "1"}});
  b.emplace(registry, "x", "Second.", metric_labels{{"l", "2"}});
  EXPECT_EQ(registry.size(), own + 2);
  EXPECT_EQ(families(registry).at(0).help, "First.");
  a.reset();
  EXPECT_EQ(families(registry).at(0).samples.size(), 1U);
  b.reset();
  EXPECT_EQ(registry.size(), own);
  EXPECT_THAT(names(registry), ElementsAre());
  // The name is free again, for another kind too.
  gauge again{registry, "x", "Third."};
  EXPECT_TRUE(again.exported());
  EXPECT_EQ(families(registry).at(0).help, "Third.");
}

TEST(metrics, may_outlive_their_registry) {
  auto registry = std::make_unique<metrics_registry>(0);
  counter hits{*registry, "hits", ""};
  EXPECT_TRUE(hits.exported());
  registry.reset();
  EXPECT_FALSE(hits.exported());
  hits.add(3);
  EXPECT_EQ(hits.value(), 3U);
}

TEST(metrics, without_a_registry_count_unseen) {
  const metric_group none(nullptr, "x");
  counter hits{none, "hits", ""};
  hits.add();
  EXPECT_EQ(hits.value(), 1U);
  EXPECT_FALSE(hits.exported());
}

TEST(metrics, of_a_group_have_its_prefix_and_labels) {
  metrics_registry registry(0);
  std::optional<metric_group> group(std::in_place, registry, "cache", metric_labels{{"z", "1"}, {"kind", "lru"}});
  counter hits{*group, "hits", "", {{"from", "memory"}}};
  group.reset();
  EXPECT_THAT(names(registry), ElementsAre("cache_hits"));
  EXPECT_THAT(families(registry).at(0).samples.at(0).labels,
              ElementsAre(Pair("from", "memory"), Pair("kind", "lru"), Pair("z", "1")));
}

TEST(metrics, with_bad_names_work_but_are_not_exported) {
  for (const char* name : {"", "1x", "x-y", "x y", "x\n", "gr\xc3\xbc\xc3\x9f", "x{", "\xff"}) {
    const quiet log;
    metrics_registry registry(0);
    counter bad{registry, name, ""};
    bad.add();
    EXPECT_FALSE(bad.exported()) << name;
    EXPECT_EQ(bad.value(), 1U);
    EXPECT_EQ(registry.refused(), 1U);
    EXPECT_EQ(registry.size(), own);
  }
  for (const char* label : {"", "1x", "x:y", "x-y", "__x", "shard", "\xff", "a\nb"}) {
    const quiet log;
    metrics_registry registry(0);
    EXPECT_FALSE(counter(registry, "x", "", {{label, "v"}}).exported()) << label;
    const metric_group group(registry, "p", {{label, "v"}});
    EXPECT_FALSE(gauge(group, "x", "").exported()) << label;
    EXPECT_EQ(registry.refused(), 2U);
  }
  const quiet log;
  metrics_registry registry(0);
  EXPECT_FALSE(histogram_metric(registry, "x", "", {}, {{"le", "1"}}).exported());
  EXPECT_FALSE(counter(registry, "x", "", {{"a", "1"}, {"a", "2"}}).exported());
  EXPECT_FALSE(counter(metric_group(registry, "p", {{"a", "1"}}), "x", "", {{"a", "1"}}).exported());
  EXPECT_TRUE(counter(registry, "a:b_1", "", {{"le", "1"}, {"_x9", "1"}}).exported());
  EXPECT_TRUE(counter(registry, ":", "").exported());
}

TEST(metrics, that_are_there_already_are_not_exported) {
  quiet log;
  metrics_registry registry(0);
  counter first{registry, "x", "", {{"a", "1"}, {"b", "2"}}};
  counter other_order{registry, "x", "", {{"b", "2"}, {"a", "1"}}};
  counter as_good_as_equal{registry, "x", "", {{"b", "2"}, {"a", "1"}, {"c", ""}}};
  gauge other_kind{registry, "x", ""};
  counter other_labels{registry, "x", "", {{"a", "1"}}};
  counter of_the_registry{registry, "atoll_metrics", ""};
  EXPECT_FALSE(other_order.exported());
  EXPECT_FALSE(as_good_as_equal.exported());
  EXPECT_FALSE(other_kind.exported());
  EXPECT_TRUE(other_labels.exported());
  EXPECT_FALSE(of_the_registry.exported());
  EXPECT_EQ(registry.refused(), 4U);
  EXPECT_THAT(
      log.take(),
      HasSubstr("warning metrics: a metric is not exported: there is one of this name and these labels name=x\n"));
  // What was refused leaves nothing behind, and takes nothing along.
  EXPECT_EQ(registry.size(), own + 2);
}

TEST(metrics, keep_away_from_the_series_of_histograms) {
  const quiet log;
  metrics_registry registry(0);
  {
    histogram_metric h{registry, "h", ""};
    EXPECT_FALSE(counter(registry, "h_sum", "").exported());
    EXPECT_FALSE(gauge(registry, "h_count", "").exported());
    EXPECT_FALSE(gauge(registry, "h_bucket", "").exported());
    EXPECT_TRUE(gauge(registry, "h_total", "").exported());
    EXPECT_TRUE(gauge(registry, "hh_sum", "").exported());
  }
  gauge sum{registry, "h_sum", ""};
  EXPECT_TRUE(sum.exported());
  EXPECT_FALSE(histogram_metric(registry, "h", "").exported());
}

TEST(metrics, past_the_bound_are_not_exported) {
  quiet log;
  metrics_registry registry(0, own + 2);
  counter a{registry, "a", ""};
  std::optional<counter> b(std::in_place, registry, "b", "");
  counter past{registry, "past", ""};
  EXPECT_TRUE(b->exported());
  EXPECT_FALSE(past.exported());
  EXPECT_EQ(registry.size(), own + 2);
  EXPECT_THAT(log.take(),
              HasSubstr("warning metrics: a metric is not exported: the shard has as many as it may name=past\n"));
  b.reset();
  EXPECT_TRUE(counter(registry, "c", "").exported());
}

TEST(metrics, are_10000_by_default_and_refusals_are_logged_sparingly) {
  quiet log;
  metrics_registry registry(0);
  std::vector<std::unique_ptr<counter>> many;
  for (std::size_t i = own; i < metrics_registry::metrics_max_default + 100; ++i) {
    many.push_back(std::make_unique<counter>(registry, "many", "", metric_labels{{"i", std::to_string(i)}}));
  }
  EXPECT_EQ(registry.size(), 10'000U);
  EXPECT_EQ(registry.refused(), 100U);
  EXPECT_EQ(families(registry).at(0).samples.size(), 10'000U - own);
  const auto lines = log.take();
  EXPECT_GE(std::ranges::count(lines, '\n'), 10);
  EXPECT_LT(std::ranges::count(lines, '\n'), 100);
  many.clear();
  EXPECT_EQ(registry.size(), own);
}

TEST(metrics, of_the_registry_tell_of_its_bound) {
  const quiet log;
  metrics_registry registry(0, 50);
  counter x{registry, "x", ""};
  counter refused{registry, "x", ""};
  const auto page = render_prometheus(std::vector{registry.collect()});
  EXPECT_THAT(page, HasSubstr("\natoll_metrics{shard=\"0\"} 4\n"));
  EXPECT_THAT(page, HasSubstr("\natoll_metrics_max{shard=\"0\"} 50\n"));
  EXPECT_THAT(page, HasSubstr("\natoll_metrics_refused_total{shard=\"0\"} 1\n"));
}

atoll::bucketed_values exported(const atoll::histogram_export& how, const std::vector<std::uint64_t>& values) {
  metrics_registry registry(0);
  histogram_metric h{registry, "h", "", how};
  for (const auto value : values) h.record(value);
  return std::get<atoll::bucketed_values>(only_value(registry));
}

TEST(metrics, export_histograms_with_few_bounds) {
  constexpr auto largest = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint64_t lowest : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1000}, largest}) {
    for (const std::uint64_t highest : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1'000'000}, largest}) {
      const auto v = exported({1, lowest, highest}, {0, largest});
      EXPECT_GE(v.bounds.size(), 1U);
      EXPECT_LE(v.bounds.size(), atoll::histogram_export::bounds_max);
      EXPECT_EQ(v.counts.size(), v.bounds.size() + 1);
      EXPECT_EQ(v.counts.front(), 1U);
      EXPECT_EQ(v.counts.back(), 1U);
      EXPECT_GE(v.bounds.front(), std::min(static_cast<double>(lowest), 0x1p63 - 1));
      EXPECT_GE(v.bounds.back(), std::min(static_cast<double>(highest), 0x1p62 - 1));
      EXPECT_TRUE(std::ranges::is_sorted(v.bounds));
    }
  }
}

TEST(metrics, count_each_value_below_its_bound) {
  for (const atoll::histogram_export how :
       {atoll::histogram_export{}, {1, 1, 1 << 20}, {1, 100, 1000}, {1, 0, ~0ULL}}) {
    for (int bits = 0; bits < 64; ++bits) {
      for (const std::uint64_t value : {(std::uint64_t{1} << bits) - 1, std::uint64_t{1} << bits}) {
        const auto v = exported(how, {value});
        const auto bucket = static_cast<std::size_t>(std::ranges::find(v.counts, 1U) - v.counts.begin());
        ASSERT_LT(bucket, v.counts.size());
        // Doubles tell 2^e from 2^e - 1 no more past 2^53, so the comparison is of exponents there.
        const auto fits = [&](double bound) {
          return value < static_cast<std::uint64_t>(bound) + (bound < 0x1p53 ? 1 : 0);
        };
        EXPECT_TRUE(bucket == v.bounds.size() || fits(v.bounds[bucket])) << value;
        EXPECT_FALSE(bucket > 0 && fits(v.bounds[bucket - 1])) << value;
      }
    }
  }
}

TEST(metrics, export_nanoseconds_as_seconds) {
  const auto v = exported(atoll::nanoseconds_as_seconds, {1'000'000'000, 500'000'000});
  EXPECT_EQ(v.sum, 1.5);
  EXPECT_NEAR(v.bounds.front(), 1e-6, 1e-7);
  EXPECT_GE(v.bounds.back(), 30);
  EXPECT_EQ(v.bounds.size(), 26U);
}

ATOLL_TEST(metrics, of_a_shard_are_those_of_the_shard_that_runs) {
  counter hits{atoll::shard_metrics(), "test_hits", ""};
  EXPECT_THAT(names(*atoll::this_shard().metrics), ::testing::Contains("test_hits"));
  co_return;
}

ATOLL_TEST(metrics, snapshots_go_to_other_shards) {
  const auto collect = [] {
    metrics_registry registry(atoll::this_shard_id());
    counter hits{registry, "hits", "Hits.", {{"l", "v"}}};
    hits.add(5);
    return registry.collect();
  };
  const auto there = co_await atoll::submit_to(1, collect);
  EXPECT_THAT(render_prometheus(std::vector{there}), HasSubstr("\nhits{l=\"v\",shard=\"1\"} 5\n"));
}

}  // namespace
