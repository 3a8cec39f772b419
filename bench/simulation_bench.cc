// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// sim.event: what one happening of a simulated world takes, three nodes of two shards calling each other without a rest; an event of
// a bare queue of 64. sim.cluster: real time for a second of the world's, where each shard calls each other node 20 times a second; what is asked for.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "bench.hh"

namespace bench {
namespace {

double ask(const std::string& what) {
  const std::string path = own_path();
  const std::string command = path.substr(0, path.rfind('/')) + "/atoll_simulation_bench " + what;
  std::FILE* said = ::popen(command.c_str(), "r");
  double figure = 0;
  const bool read = said != nullptr && std::fscanf(said, "%lf", &figure) == 1;
  if (said == nullptr || ::pclose(said) != 0 || !read) throw std::runtime_error("no figure from " + command);
  return figure;
}

}  // namespace

std::vector<benchmark> simulation_benches() {
  constexpr double ns_asked = 5'000;  // 200,000 a second
  constexpr double ms_asked = 10;     // 100 seconds of the world's time a second
  return {{"sim.event", "ns", [] { return pair{ask("events"), ask("heap")}; }, value_at_most(ns_asked)},
          {"sim.cluster", "ms", [] { return pair{1000 / ask("cluster"), ms_asked}; }, value_at_most(ms_asked)}};
}

}  // namespace bench
