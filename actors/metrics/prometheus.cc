// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/metrics/prometheus.hh>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include <atoll/actors/base/text.hh>

namespace atoll_root::atoll {
namespace {

constexpr std::array<std::string_view, 3> kind_names = {"counter", "gauge", "histogram"};
constexpr std::string_view replacement = "\xef\xbf\xbd";  // U+FFFD

void append_text(std::string& out, std::string_view text, bool in_quotes) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const char first = text[0];
    if (length == 0 || first == '\0') {
      out += replacement;
    } else if (first == '\n') {
      out += "\\n";
    } else if (first == '\\' || (first == '"' && in_quotes)) {
      out += '\\';
      out += first;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
}

void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
  } else if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

void append_number(std::string& out, std::uint64_t value) { fmt::format_to(std::back_inserter(out), "{}", value); }

/// {a="1",b="2": the labels that all lines of a sample have, without the closing brace; empty where there are none.
std::string common_labels(const metric_labels& labels, const std::uint32_t* shard) {
  std::string out;
  const auto append = [&out](std::string_view name, std::string_view value) {
    out += out.empty() ? '{' : ',';
    out += name;
    out += "=\"";
    append_text(out, value, true);
    out += '"';
  };
  for (const auto& [name, value] : labels) append(name, value);
  if (shard != nullptr) append("shard", std::to_string(*shard));
  return out;
}

template <class Number>
void append_line(std::string& out, std::string_view name, std::string_view suffix, std::string_view labels,
                 Number value) {
  out += name;
  out += suffix;
  out += labels;
  if (!labels.empty()) out += '}';
  out += ' ';
  append_number(out, value);
  out += '\n';
}

void append_histogram(std::string& out, std::string_view name, const std::string& labels, const bucketed_values& v) {
  std::uint64_t below = 0;
  std::string with_bound;
  for (std::size_t i = 0; i < v.counts.size(); ++i) {
    below += v.counts[i];
    with_bound = labels;
    with_bound += labels.empty() ? "{le=\"" : ",le=\"";
    append_number(with_bound, i < v.bounds.size() ? v.bounds[i] : HUGE_VAL);
    with_bound += '"';
    append_line(out, name, "_bucket", with_bound, below);
  }
  append_line(out, name, "_sum", labels, v.sum);
  append_line(out, name, "_count", labels, below);
}

void append_sample(std::string& out, std::string_view name, const std::string& labels, const metric_value& value) {
  if (const auto* counter = std::get_if<std::uint64_t>(&value)) return append_line(out, name, "", labels, *counter);
  if (const auto* gauge = std::get_if<double>(&value)) return append_line(out, name, "", labels, *gauge);
  append_histogram(out, name, labels, std::get<bucketed_values>(value));
}

void reduce_to_count(bucketed_values& v) {
  v.counts = {std::accumulate(v.counts.begin(), v.counts.end(), std::uint64_t{0})};
  v.bounds.clear();
}

void add(bucketed_values& into, bucketed_values from) {
  if (into.bounds != from.bounds || into.counts.size() != from.counts.size()) {
    reduce_to_count(into);
    reduce_to_count(from);
  }
  for (std::size_t i = 0; i < into.counts.size(); ++i) into.counts[i] += from.counts[i];
  into.sum += from.sum;
}

void add(metric_value& into, const metric_value& from) {
  if (into.index() != from.index()) return;
  if (auto* counter = std::get_if<std::uint64_t>(&into)) {
    *counter += std::get<std::uint64_t>(from);
  } else if (auto* gauge = std::get_if<double>(&into)) {
    *gauge += std::get<double>(from);
  } else {
    add(std::get<bucketed_values>(into), std::get<bucketed_values>(from));
  }
}

struct family_of_shard {
  std::uint32_t shard;
  const metric_family* family;
};

void append_family(std::string& out, std::span<const family_of_shard> members, const prometheus_options& options) {
  const metric_family& first = *members.front().family;
  if (!first.help.empty()) {
    out += "# HELP " + first.name + ' ';
    append_text(out, first.help, false);
    out += '\n';
  }
  out += "# TYPE " + first.name + ' ';
  out += kind_names[static_cast<std::size_t>(first.kind)];
  out += '\n';
  std::map<metric_labels, metric_value> sums;
  for (const auto& [shard, family] : members) {
    if (family->kind != first.kind) continue;
    for (const auto& sample : family->samples) {
      if (!options.sum_shards) {
        append_sample(out, first.name, common_labels(sample.labels, &shard), sample.value);
      } else if (const auto [sum, fresh] = sums.try_emplace(sample.labels, sample.value); !fresh) {
        add(sum->second, sample.value);
      }
    }
  }
  for (const auto& [labels, value] : sums) append_sample(out, first.name, common_labels(labels, nullptr), value);
}

using families_by_name = std::map<std::string_view, std::vector<family_of_shard>>;

bool is_series_of_histogram(const families_by_name& by_name, std::string_view name) {
  return std::ranges::any_of(histogram_suffixes, [&](std::string_view suffix) {
    if (!name.ends_with(suffix)) return false;
    const auto found = by_name.find(name.substr(0, name.size() - suffix.size()));
    return found != by_name.end() && found->second.front().family->kind == metric_kind::histogram;
  });
}

}  // namespace

std::string render_prometheus(std::span<const metrics_snapshot> shards, const prometheus_options& options) {
  families_by_name by_name;
  for (const auto& shard : shards) {
    for (const auto& family : shard.families) by_name[family.name].push_back({shard.shard, &family});
  }
  std::string out;
  for (const auto& [name, members] : by_name) {
    if (!is_series_of_histogram(by_name, name)) append_family(out, members, options);
  }
  return out;
}

}  // namespace atoll_root::atoll
