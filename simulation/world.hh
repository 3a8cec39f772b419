// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A simulated world: nodes with their shards, a network between them and the time, all in one thread and all from one seed.
//
//   sim::world world(seed);
//   const auto server = world.add_node({.shards = 2}, [] { return serve(); });      // future<int> serve(): as for a real node
//   const auto client = world.add_node({}, [&] { return ask(world.address(server)); });
//   world.run_until_ended({client}, 1min);                                         // of the world's time
//   world.crash(server);  world.run_for(10s);  world.start(server);
//
// What a node's code sees are the same seams as on a machine: clocks, timers, lanes, sockets, signals, offloaded functions. Its tasks
// run in random order where none is promised, awaits of what is there give way at random, lanes, wake-ups and the network take
// their time, and each node's clock has a start and a drift of its own. The same seed gives the same world: history().hash() says so.
// A node's main is a function that may be called again, when the node is started again. It and what it calls share no
// memory with other nodes but what the test uses to look on: that is the test's to keep in order.
// Rules: a world is driven on the thread that made it, outside any shard; one world a thread at a time. What a crashed node had
// allocated is kept until the process ends.
#pragma once

#include <cstdio>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include <atoll/actors/base/result.hh>
#include <atoll/actors/future/future.hh>
#include <atoll/actors/io/address.hh>
#include <atoll/simulation/chance.hh>
#include <atoll/simulation/history.hh>
#include <atoll/simulation/network.hh>
#include <atoll/simulation/node.hh>

namespace atoll_root::atoll::sim {

/// Names a node of a world: their number, from 0.
using node_id = std::uint32_t;

/// Nothing can happen any more, or not in time; the message has what every coroutine waits for.
class stuck : public std::runtime_error {
  using runtime_error::runtime_error;
};

struct node_options {
  shard_id shards = 1;
};

/// What goes wrong, and how often: the mean time between two; 0: never.
struct chaos_options {
  duration crashes{};        // of a process, or of the machine's power; it is started again
  duration pauses{};         // of a whole node
  duration cuts{};           // of ways between nodes: one node from all, two halves, a pair, in one direction or both
  duration clogs{};          // of ways, which then let everything through at once; some of them one after the other
  duration breaks{};         // of a connection
  duration clock_changes{};  // of the drift, and of the time of day
  duration down_max = std::chrono::seconds(5);  // until a crashed node is started again
  duration pause_max = std::chrono::seconds(2);
  duration cut_max = std::chrono::seconds(20);
  std::uint32_t down_at_a_time = 1;
};

struct world_options {
  network_options network{};
  pace_options pace{};
  std::int64_t drift_max_ppm = 200;
  duration time_max = std::chrono::hours(24);  // of the world's; past it run_for() and the like throw stuck
};

class world {
 public:
  explicit world(std::uint64_t seed, const world_options& options = {});
  world(const world&) = delete;
  world& operator=(const world&) = delete;
  ~world();

  [[nodiscard]] std::uint64_t seed() const noexcept;
  /// Since its beginning.
  [[nodiscard]] duration elapsed() const noexcept;
  /// For the test's own choices.
  [[nodiscard]] chance& random() noexcept;
  [[nodiscard]] const history& past() const noexcept;
  /// A line for each thing that happens from number `from` on and before `to`.
  void trace_to(std::FILE* file, std::uint64_t from = 0, std::uint64_t to = UINT64_MAX);
  /// The ATOLL_SOMETIMES points that were hit (actors/reactor/points.hh).
  [[nodiscard]] const std::set<std::string>& points_hit() const noexcept;
  /// All of them in this program, where it was built with points.
  [[nodiscard]] static std::vector<std::string> all_points();
  /// Says something of the test's into the history, where it differs.
  void note(std::string_view text);

  // Nodes.
  node_id add_node(const node_options& options, main_of_node main);
  [[nodiscard]] std::size_t nodes() const noexcept;
  /// "10.0.0.1" for node 0.
  [[nodiscard]] std::string address(node_id n) const;
  [[nodiscard]] socket_address address(node_id n, std::uint16_t port) const { return {address(n), port}; }
  [[nodiscard]] bool is_up(node_id n) const noexcept;
  /// What its main gave, since it was started last; nothing while it runs, or where it has crashed.
  [[nodiscard]] std::optional<result<int>> outcome(node_id n) const;
  /// Its process ends at once. `told`: its peers hear of it, as its kernel lives; `silent`: its machine's power fails.
  void crash(node_id n, host_end how = host_end::told);
  /// A new process of a node that is not up.
  void start(node_id n);
  /// SIGTERM: stop_signal() is ready there, or main is cancelled.
  void stop(node_id n);
  /// None of its shards runs for so long; its clock goes on.
  void pause(node_id n, duration how_long);
  void set_clock_drift(node_id n, std::int64_t ppm);
  void step_wall_clock(node_id n, duration by);
  [[nodiscard]] std::string dump_tasks() const;
  /// What nodes that did not crash left: failed futures that nobody read, scopes destroyed while their work ran. Empty: nothing.
  [[nodiscard]] std::string left_behind() const;

  // The network.
  void cut(node_id from, node_id to);
  void mend(node_id from, node_id to);
  /// No way between one of these and any other node.
  void isolate(std::initializer_list<node_id> side);
  /// What goes there arrives when that time has passed, all at once.
  void clog(node_id from, node_id to, duration how_long);
  /// Breaks a connection between the two, if there is one.
  bool break_connection(node_id a, node_id b);
  [[nodiscard]] network_options& network() noexcept;

  void begin_chaos(const chaos_options& options);
  /// Some of what can go wrong, chosen at random, at random rates.
  [[nodiscard]] chaos_options some_chaos();
  /// Chaos ends, the network is whole, nodes that it had crashed are started and paused ones run; and no point in the code does anything.
  void heal();

  // Time.
  void run_for(duration how_long);
  /// True when the condition holds, looked at after each event; false when that time has passed before. Throws stuck where
  /// nothing is left that could happen.
  bool run_until(const std::function<bool()>& condition, duration most);
  /// The same until the mains of these nodes have ended; throws stuck where they don't in time.
  void run_until_ended(const std::vector<node_id>& which, duration most);

 private:
  struct parts;
  std::unique_ptr<parts> parts_;
};

}  // namespace atoll_root::atoll::sim
