// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/simulation/world.hh>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include <fmt/format.h>

#include <atoll/actors/reactor/points.hh>
#include <atoll/simulation/guard.hh>

namespace atoll_root::atoll::sim {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr wall_time first_day = std::chrono::sys_days(std::chrono::year(2000) / 1 / 1);

}  // namespace

/// What happens at the points of all nodes.
class world_points final : public sim_points {
 public:
  world_points(engine& of) : world_(of), draws_(of.stream(purpose::points)) {
    if (const char* chosen = std::getenv("ATOLL_MUTANT"); chosen != nullptr) mutant_ = std::atoi(chosen);
  }

  bool fires(std::uint64_t place, double probability) noexcept override {
    if (!on) return false;
    constexpr double active_probability = 0.25;
    chance of_place = world_.stream(purpose::points, place);
    if (!of_place.happens(active_probability)) return false;
    return draws_.happens(probability);
  }
  std::uint64_t knob(std::uint64_t name, std::uint64_t value, std::uint64_t least,
                     std::uint64_t most) noexcept override {
    chance of_knob = world_.stream(purpose::points, name);
    if (!of_knob.happens(0.5)) return value;
    const bool extreme = of_knob.happens(0.3);
    return extreme ? (of_knob.happens(0.5) ? least : most) : of_knob.between(least, most);
  }
  void hit(std::string_view name) noexcept override { hits.emplace(name); }
  [[noreturn]] void broken(std::string_view why, std::string_view file, std::uint32_t line) noexcept override {
    forbidden(fmt::format("what must always hold does not ({}, {}:{})", why, file, line).c_str());
  }
  [[nodiscard]] int mutant() const noexcept override { return mutant_; }

  bool on = true;
  std::set<std::string> hits;

 private:
  engine& world_;
  chance draws_;
  int mutant_ = 0;
};

extern "C" {
// The linker's: where the names of ATOLL_SOMETIMES lie, if there are any.
[[gnu::weak]] extern const char* const __start_atoll_sometimes;  // NOLINT(bugprone-reserved-identifier)
[[gnu::weak]] extern const char* const __stop_atoll_sometimes;   // NOLINT(bugprone-reserved-identifier)
}

struct world::parts {
  parts(std::uint64_t seed, const world_options& its_options)
      : options(its_options),
        world(seed),
        net(world, its_options.network),
        nodes_draws(world.stream(purpose::nodes)),
        clock_draws(world.stream(purpose::clocks)),
        faults(world.stream(purpose::faults)),
        test(world.stream(purpose::test)) {}

  struct place {
    node_options options{};
    main_of_node main{};
    host_id host = 0;
    std::uint32_t incarnations = 0;
    std::int64_t drift_ppm = 0;
    duration wall_offset{};
    std::unique_ptr<node> process{};
    bool down_by_chaos = false;
  };

  void start(node_id n);
  void crash(node_id n, host_end how);
  [[nodiscard]] bool is_up(const place& p) const {
    return p.process && !p.process->has_crashed() && !p.process->has_ended();
  }
  void step();

  // Chaos.
  template <class F>
  void every(duration mean, F what);
  std::vector<node_id> some_nodes();
  void crash_one();
  void pause_one();
  void cut_some();
  void clog_some();
  void change_a_clock();
  void set_clock(node_id n, std::int64_t ppm, duration step);
  void pause(node_id n, duration how_long);

  world_options options;
  engine world;
  class network net;
  chance nodes_draws;
  chance clock_draws;
  chance faults;
  chance test;
  std::vector<place> places;
  std::vector<std::unique_ptr<node>> graves;  // what crashed nodes had
  world_points of_nodes{world};
  chaos_options chaos{};
  std::uint64_t chaos_number = 0;  // of the one under way; what others planned is not held
  bool chaos_on = false;
};

world::world(std::uint64_t seed, const world_options& options) : parts_(std::make_unique<parts>(seed, options)) {}

world::~world() {
  // What the nodes' coroutines refer to may be gone: it all stays as it is, as if they had crashed, where a search for leaks
  // finds it.
  static auto& kept = *new std::vector<parts*>;
  kept.push_back(parts_.release());
}

std::uint64_t world::seed() const noexcept { return parts_->world.seed(); }
duration world::elapsed() const noexcept { return parts_->world.now().time_since_epoch(); }
chance& world::random() noexcept { return parts_->test; }
const history& world::past() const noexcept { return parts_->world.past(); }
void world::note(std::string_view text) { parts_->world.note(happening::note, history::hash_of(text)); }
void world::trace_to(std::FILE* file, std::uint64_t from, std::uint64_t to) {
  auto& past = parts_->world.past();
  past.tell = [file, from, to, &past](time_point at, happening what, std::uint64_t a, std::uint64_t b,
                                      std::uint64_t c) {
    if (past.happenings() <= from || past.happenings() > to) return;
    const outside_world real;
    fmt::print(file, "{} {:.9f} {} {:#x} {:#x} {:#x} {:#x}\n", past.happenings(),
               std::chrono::duration<double>(at.time_since_epoch()).count(),
               happening_names[static_cast<std::size_t>(what)], a, b, c, past.hash());
  };
}
const std::set<std::string>& world::points_hit() const noexcept { return parts_->of_nodes.hits; }
std::vector<std::string> world::all_points() {
  const auto* const begin = &__start_atoll_sometimes;
  const auto* const end = &__stop_atoll_sometimes;
  std::set<std::string> names;
  for (const auto* each = begin; each != end; ++each) names.emplace(*each);
  return {names.begin(), names.end()};
}
std::size_t world::nodes() const noexcept { return parts_->places.size(); }
network_options& world::network() noexcept { return parts_->net.options(); }

// --- Nodes.

void world::parts::start(node_id n) {
  place& p = places[n];
  const duration up_for = nodes_draws.between(hours(1), hours(24 * 100));
  const std::uint64_t seed = nodes_draws();
  net.is_back(p.host);
  node::start_options how;
  how.number = n;
  how.incarnation = p.incarnations++;
  how.host = p.host;
  how.shards = p.options.shards;
  how.clock_start = time_point(up_for);
  how.wall = first_day + world.now().time_since_epoch() + p.wall_offset;
  how.drift_ppm = p.drift_ppm;
  how.seed = seed;
  how.points = &of_nodes;
  how.logs = std::getenv("ATOLL_SIM_LOG") != nullptr;
  if (p.process) graves.push_back(std::move(p.process));
  p.down_by_chaos = false;
  p.process = std::make_unique<node>(world, net, options.pace, how, p.main);
}

void world::parts::crash(node_id n, host_end how) {
  place& p = places[n];
  if (!is_up(p)) return;
  p.process->crash();
  net.down(p.host, how);
}

node_id world::add_node(const node_options& options, main_of_node main) {
  ATOLL_ASSERT(options.shards > 0, "a node has a shard");
  const auto n = static_cast<node_id>(parts_->places.size());
  auto& p = parts_->places.emplace_back();
  p.options = options;
  p.main = std::move(main);
  p.host = parts_->net.add_host(address(n));
  const auto most = static_cast<std::uint64_t>(parts_->options.drift_max_ppm);
  p.drift_ppm = static_cast<std::int64_t>(parts_->clock_draws.between(0, 2 * most)) - static_cast<std::int64_t>(most);
  p.wall_offset = parts_->clock_draws.between(-seconds(2), seconds(2));
  parts_->start(n);
  return n;
}

std::string world::address(node_id n) const { return fmt::format("10.0.{}.{}", (n + 1) / 256, (n + 1) % 256); }
bool world::is_up(node_id n) const noexcept { return parts_->is_up(parts_->places[n]); }

std::optional<result<int>> world::outcome(node_id n) const {
  const auto& p = parts_->places[n];
  if (!p.process || !p.process->outcome()) return std::nullopt;
  const result<int>& of = *p.process->outcome();
  return of ? result<int>(*of) : result<int>(of.error());
}

void world::crash(node_id n, host_end how) { parts_->crash(n, how); }

void world::start(node_id n) {
  ATOLL_ASSERT(!is_up(n), "start() of a node that is up");
  parts_->start(n);
}

void world::stop(node_id n) {
  if (is_up(n)) parts_->places[n].process->ask_to_stop();
}

void world::pause(node_id n, duration how_long) { parts_->pause(n, how_long); }

void world::set_clock_drift(node_id n, std::int64_t ppm) { parts_->set_clock(n, ppm, {}); }

void world::step_wall_clock(node_id n, duration by) { parts_->set_clock(n, parts_->places[n].drift_ppm, by); }

std::string world::dump_tasks() const {
  std::string text;
  for (const auto& p : parts_->places) {
    if (p.process) text += p.process->dump_tasks();
  }
  return text;
}

std::string world::left_behind() const {
  std::string text;
  const auto look = [&text](node& of) {
    if (of.has_crashed()) return;
    if (const auto left = of.left_behind(); left > 0) text += fmt::format("node {}: {}\n", of.number(), left);
  };
  for (const auto& p : parts_->places) {
    if (p.process) look(*p.process);
  }
  for (const auto& grave : parts_->graves) look(*grave);
  return text;
}

// --- The network.

void world::cut(node_id from, node_id to) { parts_->net.cut(parts_->places[from].host, parts_->places[to].host); }
void world::mend(node_id from, node_id to) { parts_->net.mend(parts_->places[from].host, parts_->places[to].host); }

void world::isolate(std::initializer_list<node_id> side) {
  for (const node_id a : side) {
    for (node_id b = 0; b < nodes(); ++b) {
      if (std::ranges::find(side, b) != side.end()) continue;
      cut(a, b);
      cut(b, a);
    }
  }
}

void world::clog(node_id from, node_id to, duration how_long) {
  parts_->net.clog(parts_->places[from].host, parts_->places[to].host, parts_->world.now() + how_long);
}

bool world::break_connection(node_id a, node_id b) {
  return parts_->net.break_one(parts_->places[a].host, parts_->places[b].host);
}

// --- Chaos.

template <class F>
void world::parts::every(duration mean, F what) {
  if (mean <= duration(0)) return;
  world.after(faults.between(duration(0), 2 * mean), [this, mean, what, number = chaos_number] {
    if (number != chaos_number) return;
    what();
    every(mean, what);
  });
}

/// One to all but one.
std::vector<node_id> world::parts::some_nodes() {
  std::vector<node_id> all(places.size());
  for (node_id n = 0; n < all.size(); ++n) all[n] = n;
  for (std::size_t i = all.size(); i > 1; --i) {
    const std::uint64_t other = faults.between(0, i - 1);
    std::swap(all[i - 1], all[other]);
  }
  all.resize(faults.between(1, std::max<std::uint64_t>(all.size() - 1, 1)));
  return all;
}

void world::parts::crash_one() {
  const auto down = std::ranges::count_if(places, [](const place& p) { return p.down_by_chaos; });
  const auto n = static_cast<node_id>(faults.between(0, places.size() - 1));
  const bool silent = faults.happens(0.3);
  const duration until = faults.between(duration(0), chaos.down_max);
  if (static_cast<std::uint64_t>(down) >= chaos.down_at_a_time || !is_up(places[n])) return;
  crash(n, silent ? host_end::silent : host_end::told);
  places[n].down_by_chaos = true;
  world.after(until, [this, n] {
    if (places[n].down_by_chaos) start(n);
  });
}

void world::parts::pause_one() {
  const auto n = static_cast<node_id>(faults.between(0, places.size() - 1));
  const duration how_long = faults.between(duration(0), chaos.pause_max);
  pause(n, how_long);
}

void world::parts::pause(node_id n, duration how_long) {
  if (!is_up(places[n])) return;
  world.note(happening::node, n, 4, static_cast<std::uint64_t>(how_long.count()));
  places[n].process->pause_until(world.now() + how_long);
}

void world::parts::cut_some() {
  const auto side = some_nodes();
  const bool there = faults.happens(0.8);
  const bool back = !there || faults.happens(0.7);
  const bool pair_only = faults.happens(0.3);
  const duration until = faults.between(duration(0), chaos.cut_max);
  std::vector<std::pair<host_id, host_id>> ways;
  for (const node_id a : side) {
    for (node_id b = 0; b < places.size(); ++b) {
      if (std::ranges::find(side, b) != side.end()) continue;
      if (there) ways.emplace_back(places[a].host, places[b].host);
      if (back) ways.emplace_back(places[b].host, places[a].host);
      if (pair_only) break;
    }
    if (pair_only) break;
  }
  for (const auto& [a, b] : ways) net.cut(a, b);
  world.after(until, [this, ways, number = chaos_number] {
    if (number != chaos_number) return;
    for (const auto& [a, b] : ways) net.mend(a, b);
  });
}

/// Some nodes' ways, each from a time of its own to a time of its own: swizzled, where there are several.
void world::parts::clog_some() {
  for (const node_id a : some_nodes()) {
    const duration from = faults.between(duration(0), chaos.cut_max / 2);
    const duration how_long = faults.between(duration(0), chaos.cut_max / 2);
    world.after(from, [this, a, how_long, number = chaos_number] {
      if (number != chaos_number) return;
      for (const place& b : places) {
        if (b.host == places[a].host) continue;
        net.clog(places[a].host, b.host, world.now() + how_long);
        net.clog(b.host, places[a].host, world.now() + how_long);
      }
    });
  }
}

void world::parts::change_a_clock() {
  const auto n = static_cast<node_id>(faults.between(0, places.size() - 1));
  const auto most = static_cast<std::uint64_t>(options.drift_max_ppm);
  const auto ppm = static_cast<std::int64_t>(faults.between(0, 2 * most)) - static_cast<std::int64_t>(most);
  const duration step = faults.between(-seconds(3600), seconds(3600));
  set_clock(n, ppm, step);
}

void world::parts::set_clock(node_id n, std::int64_t ppm, duration step) {
  world.note(happening::fault, 3, n, static_cast<std::uint64_t>(ppm ^ step.count()));
  places[n].drift_ppm = ppm;
  places[n].wall_offset += step;
  if (!is_up(places[n])) return;
  places[n].process->clock().set_drift(ppm);
  places[n].process->clock().step_wall(step);
}

void world::begin_chaos(const chaos_options& options) {
  auto& p = *parts_;
  p.chaos = options;
  ++p.chaos_number;
  p.every(options.crashes, [&p] { p.crash_one(); });
  p.every(options.pauses, [&p] { p.pause_one(); });
  p.every(options.cuts, [&p] { p.cut_some(); });
  p.every(options.clogs, [&p] { p.clog_some(); });
  p.every(options.clock_changes, [&p] { p.change_a_clock(); });
  p.every(options.breaks, [&p] {
    const auto a = static_cast<node_id>(p.faults.between(0, p.places.size() - 1));
    const auto b = static_cast<node_id>(p.faults.between(0, p.places.size() - 1));
    p.net.break_some(p.places[a].host, p.places[b].host);
  });
}

chaos_options world::some_chaos() {
  auto& draws = parts_->faults;
  chaos_options chosen;
  for (duration* each :
       {&chosen.crashes, &chosen.pauses, &chosen.cuts, &chosen.clogs, &chosen.breaks, &chosen.clock_changes}) {
    const bool on = draws.happens(0.5);
    const duration mean = draws.between(std::chrono::milliseconds(200), seconds(20));
    if (on) *each = mean;
  }
  return chosen;
}

void world::heal() {
  auto& p = *parts_;
  p.of_nodes.on = false;
  ++p.chaos_number;
  p.net.heal();
  for (node_id n = 0; n < p.places.size(); ++n) {
    if (p.places[n].down_by_chaos) p.start(n);
    if (p.is_up(p.places[n])) p.places[n].process->end_pause();
  }
}

// --- Time.

void world::parts::step() {
  if (world.now().time_since_epoch() > options.time_max) throw stuck("the world's time is over");
  const world_runs closed;
  world.step();
}

void world::run_for(duration how_long) {
  auto& p = *parts_;
  const time_point until = p.world.now() + how_long;
  while (p.world.next_at() <= until) p.step();
  p.world.pass_until(until);
}

bool world::run_until(const std::function<bool()>& condition, duration most) {
  auto& p = *parts_;
  const time_point until = p.world.now() + most;
  while (!condition()) {
    if (p.world.idle()) throw stuck("nothing is left that could happen; waiting are:\n" + dump_tasks());
    if (p.world.next_at() > until) {
      p.world.pass_until(until);
      return false;
    }
    p.step();
  }
  return true;
}

void world::run_until_ended(const std::vector<node_id>& which, duration most) {
  const auto ended = [this, &which] {
    return std::ranges::all_of(which, [this](node_id n) {
      const auto& p = parts_->places[n];
      return p.process && p.process->has_ended();
    });
  };
  if (run_until(ended, most)) return;
  throw stuck(fmt::format("nodes have not ended within {} ms; waiting are:\n{}",
                          std::chrono::duration_cast<std::chrono::milliseconds>(most).count(), dump_tasks()));
}

}  // namespace atoll_root::atoll::sim
