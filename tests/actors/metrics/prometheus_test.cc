// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/metrics/prometheus.hh>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace {

using atoll::bucketed_values;
using atoll::metric_family;
using atoll::metric_kind;
using atoll::metric_labels;
using atoll::metric_value;
using atoll::metrics_snapshot;
using atoll::render_prometheus;

constexpr std::uint64_t u(std::uint64_t n) { return n; }

metrics_snapshot of(std::uint32_t shard, std::vector<metric_family> families) { return {shard, std::move(families)}; }

metric_family counters(std::string name, std::vector<atoll::metric_sample> samples) {
  return {std::move(name), "Help.", metric_kind::counter, std::move(samples)};
}
metric_family gauge(double value) { return {"g", "", metric_kind::gauge, {{{}, value}}}; }
metric_family histogram(bucketed_values values, metric_labels labels = {}) {
  return {"h", "", metric_kind::histogram, {{std::move(labels), std::move(values)}}};
}

std::string page(const std::vector<metrics_snapshot>& shards) { return render_prometheus(shards); }
std::string sum(const std::vector<metrics_snapshot>& shards) { return render_prometheus(shards, {.sum_shards = true}); }

std::string page_of_label(std::string value) {
  return page({of(0, {counters("c", {{{{"l", std::move(value)}}, u(1)}})})});
}
std::string page_of_help(std::string help) {
  return page({of(0, {{"c", std::move(help), metric_kind::counter, {{{}, u(1)}}}})});
}

TEST(prometheus, has_no_page_for_nothing) {
  EXPECT_EQ(page({}), "");
  EXPECT_EQ(page({of(0, {})}), "");
  EXPECT_EQ(sum({of(0, {}), of(1, {})}), "");
}

TEST(prometheus, has_one_sample_for_each_shard) {
  const std::vector<metrics_snapshot> shards = {
      of(0, {counters("b", {{{{"l", "x"}}, u(1)}, {{{"l", "y"}}, u(2)}}), counters("c", {{{}, u(3)}})}),
      of(1, {counters("a", {{{}, u(4)}}), counters("b", {{{{"l", "x"}}, u(5)}})}),
  };
  EXPECT_EQ(page(shards),
            "# HELP a Help.\n# TYPE a counter\na{shard=\"1\"} 4\n"
            "# HELP b Help.\n# TYPE b counter\n"
            "b{l=\"x\",shard=\"0\"} 1\nb{l=\"y\",shard=\"0\"} 2\nb{l=\"x\",shard=\"1\"} 5\n"
            "# HELP c Help.\n# TYPE c counter\nc{shard=\"0\"} 3\n");
  EXPECT_EQ(sum(shards),
            "# HELP a Help.\n# TYPE a counter\na 4\n"
            "# HELP b Help.\n# TYPE b counter\nb{l=\"x\"} 6\nb{l=\"y\"} 2\n"
            "# HELP c Help.\n# TYPE c counter\nc 3\n");
}

TEST(prometheus, escapes_label_values) {
  const auto line = [](std::string_view value) {
    return "# HELP c Help.\n# TYPE c counter\nc{l=\"" + std::string(value) + "\",shard=\"0\"} 1\n";
  };
  EXPECT_EQ(page_of_label("a \"b\" \\ {c=\"d\"}\n"), line(R"(a \"b\" \\ {c=\"d\"}\n)"));
  EXPECT_EQ(page_of_label("gr\xc3\xbc\xc3\x9f \xf0\x9f\x8f\x9d\t\r\x01"),
            line("gr\xc3\xbc\xc3\x9f \xf0\x9f\x8f\x9d\t\r\x01"));
  EXPECT_EQ(page_of_label("\xff\xc3(\xed\xa0\x80"),
            line("\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"));
  EXPECT_EQ(page_of_label(std::string(1, '\0')), line("\xef\xbf\xbd"));
}

TEST(prometheus, escapes_help_texts_and_leaves_empty_ones_out) {
  EXPECT_EQ(page_of_help("two\nlines, a \\ and \"quotes\" \xff"),
            "# HELP c two\\nlines, a \\\\ and \"quotes\" \xef\xbf\xbd\n# TYPE c counter\nc{shard=\"0\"} 1\n");
  EXPECT_EQ(page_of_help(""), "# TYPE c counter\nc{shard=\"0\"} 1\n");
}

TEST(prometheus, writes_any_number) {
  constexpr auto inf = std::numeric_limits<double>::infinity();
  const std::vector<std::pair<double, std::string>> cases = {{0, "0"},      {-0.5, "-0.5"}, {1e300, "1e+300"},
                                                             {0.1, "0.1"},  {NAN, "NaN"},   {-NAN, "NaN"},
                                                             {inf, "+Inf"}, {-inf, "-Inf"}};
  for (const auto& [value, text] : cases) {
    EXPECT_EQ(page({of(0, {gauge(value)})}), "# TYPE g gauge\ng{shard=\"0\"} " + text + "\n");
  }
  EXPECT_EQ(page({of(0, {counters("c", {{{}, ~u(0)}})})}),
            "# HELP c Help.\n# TYPE c counter\nc{shard=\"0\"} 18446744073709551615\n");
}

TEST(prometheus, writes_histograms_with_rising_counts) {
  const bucketed_values values{{0.25, 1}, {3, 0, 2}, 7.5};
  EXPECT_EQ(page({of(3, {histogram(values, {{"l", "v"}})})}),
            "# TYPE h histogram\n"
            "h_bucket{l=\"v\",shard=\"3\",le=\"0.25\"} 3\n"
            "h_bucket{l=\"v\",shard=\"3\",le=\"1\"} 3\n"
            "h_bucket{l=\"v\",shard=\"3\",le=\"+Inf\"} 5\n"
            "h_sum{l=\"v\",shard=\"3\"} 7.5\n"
            "h_count{l=\"v\",shard=\"3\"} 5\n");
}

TEST(prometheus, sums_histograms) {
  const bucketed_values a{{0.25, 1}, {3, 0, 2}, 7.5}, b{{0.25, 1}, {1, 1, 1}, 0.5};
  EXPECT_EQ(sum({of(0, {histogram(a)}), of(1, {histogram(b)})}),
            "# TYPE h histogram\nh_bucket{le=\"0.25\"} 4\nh_bucket{le=\"1\"} 5\nh_bucket{le=\"+Inf\"} 8\n"
            "h_sum 8\nh_count 8\n");
}

TEST(prometheus, sums_histograms_of_different_bounds_as_well_as_it_can) {
  const bucketed_values a{{0.25, 1}, {3, 0, 2}, 7.5}, b{{0.5}, {1, 1}, 0.5};
  const std::string expected = "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 7\nh_sum 8\nh_count 7\n";
  EXPECT_EQ(sum({of(0, {histogram(a)}), of(1, {histogram(b)})}), expected);
  EXPECT_EQ(sum({of(0, {histogram(b)}), of(1, {histogram(a)})}), expected);
}

TEST(prometheus, sums_gauges) {
  EXPECT_EQ(sum({of(0, {gauge(1.5)}), of(1, {gauge(-4)})}), "# TYPE g gauge\ng -2.5\n");
  EXPECT_EQ(sum({of(0, {gauge(1.5)}), of(1, {gauge(NAN)})}), "# TYPE g gauge\ng NaN\n");
}

TEST(prometheus, leaves_out_what_is_of_another_kind_elsewhere) {
  const std::vector<metrics_snapshot> shards = {of(0, {counters("x", {{{}, u(1)}})}),
                                                of(1, {{"x", "Other.", metric_kind::gauge, {{{}, 2.0}}}})};
  EXPECT_EQ(page(shards), "# HELP x Help.\n# TYPE x counter\nx{shard=\"0\"} 1\n");
  EXPECT_EQ(sum(shards), "# HELP x Help.\n# TYPE x counter\nx 1\n");
}

TEST(prometheus, leaves_out_what_has_the_name_of_a_series_of_a_histogram) {
  const bucketed_values values{{}, {2}, 1};
  EXPECT_EQ(sum({of(0, {counters("h_sum", {{{}, u(9)}})}), of(1, {histogram(values)})}),
            "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 2\nh_sum 1\nh_count 2\n");
  EXPECT_THAT(sum({of(0, {counters("x_sum", {{{}, u(9)}})}), of(1, {histogram(values)})}),
              ::testing::HasSubstr("\nx_sum 9\n"));
}

}  // namespace
