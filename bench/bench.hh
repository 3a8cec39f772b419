// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A benchmark: something measured, and in the same run the machine's own limit for that work, measured beside it.
//
// The repetitions are outermost and interleave limit and value, so that both see the same machine; what is reported
// is the median of each and of the ratios of the pairs, and the spread of these ratios.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bench {

/// One repetition's pair of figures, in the bench's unit.
struct pair {
  double value = 0;
  double limit = 0;
};

/// What the bench is to reach: the median value, or the median ratio, is at most this.
struct target {
  enum class measure : std::uint8_t { value, ratio };
  measure of = measure::value;
  double at_most = 0;
};

inline constexpr target value_at_most(double figure) { return {target::measure::value, figure}; }
inline constexpr target ratio_at_most(double figure) { return {target::measure::ratio, figure}; }

struct benchmark {
  std::string name;
  std::string unit;  // "ns" for one operation, "calls/s"
  std::function<pair()> measure;
  std::optional<target> goal = std::nullopt;
};

/// The benches of a file.
std::vector<benchmark> alloc_benches();
std::vector<benchmark> compile_benches();
std::vector<benchmark> coroutine_benches();
std::vector<benchmark> future_benches();
std::vector<benchmark> keyed_benches();
std::vector<benchmark> lane_benches();
std::vector<benchmark> service_benches();
std::vector<benchmark> rpc_benches();
std::vector<benchmark> shards_benches();
std::vector<benchmark> simulation_benches();
std::vector<benchmark> slow_shard_benches();
std::vector<benchmark> start_benches();
std::vector<benchmark> stream_benches();
std::vector<benchmark> sync_benches();
std::vector<benchmark> task_benches();
std::vector<benchmark> timer_benches();
std::vector<benchmark> wake_benches();

/// Binds this thread to a processor.
void pin(unsigned cpu);

// The limits, in the shapes that are documented with each.
/// Two pinned threads, a request and a response ring of 64-byte slots, `outstanding` at a time: ns a round trip.
double ring_round_trip_ns(std::uint32_t outstanding);
/// The least that a call between two pinned threads can be, `outstanding` at a time, in the shape of lane_sketch.cc: ns a call.
double sketched_call_ns(std::uint32_t outstanding);
/// Two pinned threads, a ring of 8-byte values that go one way, 64 a time: ns a value.
double ring_one_way_ns();
/// Two pinned threads, raw epoll loops that spin, 64-byte messages over loopback TCP, `outstanding` at a time, batched
/// reads and writes: echoes a second. The server side is another process, as the bench's is.
double tcp_echoes_per_second(std::uint32_t outstanding);

/// The server process of an rpc bench: serves until its standard input ends. Gives the process's exit code.
int run_rpc_server(std::uint16_t port);
/// The server process of the TCP limit: prints its port, echoes until the connection ends.
int run_tcp_server();
/// The path of this program, to start it again.
std::string own_path();

}  // namespace bench
