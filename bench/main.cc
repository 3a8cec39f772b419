// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
//   atoll_bench [FILTER] [--json] [--runs N]
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "bench.hh"

namespace bench {

std::string own_path() {
  std::array<char, 4096> path{};
  const auto n = ::readlink("/proc/self/exe", path.data(), path.size() - 1);
  return n > 0 ? std::string(path.data(), static_cast<std::size_t>(n)) : std::string();
}

}  // namespace bench

namespace {

double median(std::vector<double> figures) {
  std::sort(figures.begin(), figures.end());
  const auto middle = figures.size() / 2;
  return figures.size() % 2 == 1 ? figures[middle] : (figures[middle - 1] + figures[middle]) / 2;
}

struct summary {
  double value = 0;
  double limit = 0;
  double ratio = 0;
  double ratio_least = 0;
  double ratio_most = 0;
};

summary run(const bench::benchmark& b, int runs) {
  std::vector<double> values, limits, ratios;
  for (int i = 0; i < runs; ++i) {
    const auto p = b.measure();
    values.push_back(p.value);
    limits.push_back(p.limit);
    ratios.push_back(p.value / p.limit);
  }
  const auto [least, most] = std::minmax_element(ratios.begin(), ratios.end());
  return {median(values), median(limits), median(ratios), *least, *most};
}

bool is_met(const bench::target& goal, const summary& s) {
  return (goal.of == bench::target::measure::value ? s.value : s.ratio) <= goal.at_most;
}

void print_json(const bench::benchmark& b, const summary& s, int runs) {
  nlohmann::ordered_json line = {{"name", b.name},
                                 {"value", s.value},
                                 {"unit", b.unit},
                                 {"limit", s.limit},
                                 {"ratio", s.ratio},
                                 {"runs", runs},
                                 {"spread", {s.ratio_least, s.ratio_most}}};
  if (b.goal) {
    line["target"] = {{"of", b.goal->of == bench::target::measure::value ? "value" : "ratio"},
                      {"at_most", b.goal->at_most},
                      {"met", is_met(*b.goal, s)}};
  }
  std::printf("%s\n", line.dump().c_str());
}

void print_row(const bench::benchmark& b, const summary& s, int runs) {
  // Three digits that say something: a figure can be 0.2 or 400,000.
  const auto digits = [](double figure) { return figure < 1 ? 3 : figure < 10 ? 2 : figure < 100 ? 1 : 0; };
  std::printf("%-24s %9.*f %-7s %9.*f %-7s %5.2f  %.2f to %.2f in %d runs", b.name.c_str(), digits(s.value), s.value,
              b.unit.c_str(), digits(s.limit), s.limit, b.unit.c_str(), s.ratio, s.ratio_least, s.ratio_most, runs);
  if (b.goal) {
    const bool of_value = b.goal->of == bench::target::measure::value;
    std::printf(", target %g %s: %s", b.goal->at_most, of_value ? b.unit.c_str() : "x",
                is_met(*b.goal, s) ? "met" : "not met");
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  ::setenv("ATOLL_LOG", "error", 0);  // nodes that come and go are the benches' daily work
  CLI::App parser("Atoll's benchmarks, each beside the machine's own limit for the same work.", "atoll_bench");
  std::string filter;
  bool json = false;
  int runs = 7;
  std::uint16_t rpc_server = 0;
  bool tcp_server = false;
  parser.add_option("filter", filter, "run the bench of this name, or those whose names begin with it");
  parser.add_flag("--json", json, "one JSON object a line");
  parser.add_option("--runs", runs, "repetitions of each bench")->check(CLI::Range(1, 1000))->capture_default_str();
  parser.add_option("--rpc-server", rpc_server, "be the server of an rpc bench on this port")->group("");
  parser.add_flag("--tcp-server", tcp_server, "be the server of the TCP limit")->group("");
  CLI11_PARSE(parser, argc, argv);
  if (rpc_server != 0) return bench::run_rpc_server(rpc_server);
  if (tcp_server) return bench::run_tcp_server();

  std::vector<bench::benchmark> all;
  for (auto* const benches_of :
       {&bench::coroutine_benches, &bench::task_benches, &bench::future_benches, &bench::timer_benches,
        &bench::alloc_benches, &bench::wake_benches, &bench::start_benches, &bench::sync_benches, &bench::lane_benches,
        &bench::shards_benches, &bench::slow_shard_benches, &bench::service_benches, &bench::keyed_benches,
        &bench::stream_benches, &bench::rpc_benches, &bench::simulation_benches, &bench::compile_benches}) {
    for (auto& b : benches_of()) all.push_back(std::move(b));
  }
  // A whole name means that bench, not also the ones it is the beginning of.
  const bool exact = std::any_of(all.begin(), all.end(), [&filter](const auto& b) { return b.name == filter; });
  int matched = 0;
  if (!json) std::printf("%-24s %17s %17s %5s  %s\n", "bench", "value", "limit", "ratio", "spread of the ratio");
  for (const auto& b : all) {
    if (exact ? b.name != filter : !b.name.starts_with(filter)) continue;
    ++matched;
    const auto s = run(b, runs);
    if (json) {
      print_json(b, s, runs);
    } else {
      print_row(b, s, runs);
    }
    std::fflush(stdout);
  }
  if (matched > 0) return 0;
  std::fprintf(stderr, "atoll_bench: no bench begins with '%s'\n", filter.c_str());
  return 2;
}
