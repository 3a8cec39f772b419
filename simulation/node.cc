// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/simulation/node.hh>

#include <csignal>
#include <cstdio>

#include <fmt/format.h>

#include <atoll/actors/base/text.hh>
#include <atoll/actors/reactor/task_dump.hh>
#include <atoll/sharding/mailroom.hh>
#include <atoll/sharding/shard_local.hh>
#include <atoll/sharding/stop_signals.hh>
#include <atoll/simulation/guard.hh>

namespace atoll_root::atoll::sim {
namespace {

constexpr int exit_by_signal = 128;  // and its number

/// This thread is that shard meanwhile.
class as_shard {
 public:
  explicit as_shard(shard& s) noexcept : before_(std::exchange(detail::current_shard, &s)) {}
  as_shard(const as_shard&) = delete;
  as_shard& operator=(const as_shard&) = delete;
  ~as_shard() { detail::current_shard = before_; }

 private:
  shard* before_;
};

future<> stop_at_signal(cancel_source main) {
  local_sharding().stop.watched = true;
  const std::array<int, 1> wanted{SIGTERM};
  const auto came = co_await as_result(this_shard().io->next_signal(wanted));
  if (came) ask_to_stop(*came, main);
}

/// What app::run() does of signals.
future<int> run_main(const main_of_node& main) {
  cancel_source end;
  cancel_source main_ends;
  auto stops = end.run([&main_ends] { return stop_at_signal(main_ends); });
  auto outcome = co_await as_result(main_ends.run(main));
  end.cancel();
  static_cast<void>(co_await as_result(std::move(stops)));
  if (!outcome && main_ends.cancelled() && outcome.error().code() == status_code::cancelled) {
    co_return exit_by_signal + local_sharding().stop.signal;
  }
  co_return co_await or_fail(future<int>::from_result(std::move(outcome)));
}

/// Lines of a shard, told with their node and the world's time.
class node_log final : public log_sink {
 public:
  node_log(const engine& world, std::uint32_t number) : world_(world), number_(number) {}
  void write(std::string_view line) noexcept override {
    const outside_world real;
    std::fprintf(stderr, "%.9f n%u %.*s", std::chrono::duration<double>(world_.now().time_since_epoch()).count(),
                 number_, static_cast<int>(line.size()), line.data());
  }

 private:
  const engine& world_;
  std::uint32_t number_;
};

class no_log final : public log_sink {
 public:
  void write(std::string_view /*line*/) noexcept override {}
};

}  // namespace

struct node::parts final : mail_delays, offload_runner {
  parts(node& of, shard_id shards, const main_of_node& its_main);

  bool let_through(shard_id from, shard_id to) noexcept override;
  void begin(offload_job& job) noexcept override;

  enum class way : std::uint8_t { nothing, kept_back, open };
  [[nodiscard]] bool keeps_back_for(shard_id to) const noexcept {
    for (std::size_t from = 0; from < shards.size(); ++from) {
      if (ways[from * shards.size() + to] != way::nothing) return true;
    }
    return false;
  }

  node& self;
  main_of_node main;
  std::function<future<int>()> run;
  node_log log;
  no_log silence;
  chance turns;
  chance mail_draws;
  mailroom mail;
  runtime_shared all;
  std::vector<way> ways;
  std::vector<std::unique_ptr<shard_of>> shards;
  shard_id ended = 0;
  std::uint64_t left_behind = 0;  // by shards that have ended
  bool crashed = false;
};

class node::shard_of {
 public:
  shard_of(node& of, shard_id id, runtime_shared& all) : node_(of), id_(id), runs_(id, all) {}

  void make(std::uint64_t seed) {
    auto io = std::make_unique<backend>(node_.net_, node_.options_.host, [this] { wake(); });
    backend_ = io.get();
    const reactor_options options{.id = id_,
                                  .count = node_.options_.shards,
                                  .seed = seed,
                                  .spin_for = duration::zero(),
                                  .stall_threshold = duration::zero(),
                                  .shuffle = true,
                                  .ticks = false};
    runs_.make(options, node_.clock_, std::move(io), nullptr);
    auto& s = runs_.loop().context();
    if (node_.options_.logs) {
      s.logs.sink = &node_.parts_->log;
    } else {
      s.logs.sink = &node_.parts_->silence;
    }
    s.points = node_.options_.points;
    // As deep as on a shard's own thread, from here on: what the stack held before must make no difference.
    constexpr std::uintptr_t stack_bytes = std::uintptr_t{1} << 20U;
    s.stack_floor = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) - stack_bytes;
    detail::current_shard = nullptr;
  }
  void begin() {
    const as_shard here(context());
    runs_.begin();
  }
  void end() {
    {
      const as_shard here(context());
      runs_.all_have_run();
    }
    detail::current_shard = &context();
    node_.parts_->left_behind += context().failures_abandoned + context().scopes_leaked;
    runs_.unmake();
    detail::current_shard = nullptr;
  }

  [[nodiscard]] shard& context() noexcept { return runs_.loop().context(); }
  [[nodiscard]] sim::backend& io() noexcept { return *backend_; }

  void wake() { turn_at(node_.world_.now() + node_.parts_->turns.between(duration(0), node_.pace_.wake_max)); }
  /// The next turn is then, if none is before.
  void turn_at(time_point when) {
    if (ended_ || node_.parts_->crashed || when >= next_turn_) return;
    next_turn_ = when;
    node_.world_.at(when, [this, number = ++turns_] {
      if (number == turns_ && !node_.parts_->crashed) turn();
    });
  }

 private:
  void turn();

  node& node_;
  const shard_id id_;
  sim::backend* backend_ = nullptr;
  runtime_shard runs_;
  time_point next_turn_ = never;
  std::uint64_t turns_ = 0;  // that were planned; those before the last are not held
  bool ended_ = false;
};

void node::shard_of::turn() {
  engine& world = node_.world_;
  next_turn_ = never;
  if (node_.paused_until_ > world.now()) return turn_at(node_.paused_until_);
  auto& draws = node_.parts_->turns;
  const auto tasks = static_cast<std::uint32_t>(draws.between(1, node_.pace_.tasks_a_turn_max));
  const duration takes = draws.between(node_.pace_.turn_min, node_.pace_.turn_max);
  node_.clock_.begin_turn();
  reactor::progress did{};
  {
    const as_shard here(context());
    did = runs_.loop().step(tasks);
  }
  world.note(happening::turn, (node_.options_.number << 8U) | id_, (did.ran << 16U) ^ context().coroutines_suspended,
             context().random.fingerprint());
  using kind = reactor::progress::kind;
  switch (did.is) {
    case kind::busy:
      return turn_at(world.now() + takes);
    case kind::idle:
      if (did.wake_at != never) turn_at(std::max(node_.clock_.in_world(did.wake_at), world.now() + takes));
      return;
    case kind::ended:
      // On a machine it would have seen what was sent to it before the order to end.
      if (node_.parts_->keeps_back_for(id_)) return turn_at(world.now() + node_.pace_.mail_max);
      break;
  }
  ended_ = true;
  {
    const as_shard here(context());
    runs_.has_run();
  }
  auto& parts = *node_.parts_;
  if (++parts.ended < parts.shards.size()) return;
  for (auto& each : parts.shards) each->end();
  node_.net_.down(node_.options_.host, host_end::told);
  world.note(happening::node, node_.options_.number, 2);
}

node::parts::parts(node& of, shard_id shard_total, const main_of_node& its_main)
    : self(of),
      main(its_main),
      run([this] { return run_main(main); }),
      log(of.world_, of.options_.number),
      turns(of.world_.stream(purpose::schedule,
                             2 + (std::uint64_t{of.options_.number} << 32U) + of.options_.incarnation)),
      mail_draws(
          of.world_.stream(purpose::lanes, (std::uint64_t{of.options_.number} << 32U) + of.options_.incarnation)),
      mail(shard_total, this),
      all(mail, {}, {processor{}}, runtime::main_function(run), this),
      ways(std::size_t{shard_total} * shard_total, way::nothing) {}

bool node::parts::let_through(shard_id from, shard_id to) noexcept {
  way& w = ways[from * shards.size() + to];
  if (w == way::kept_back) return false;
  if (w == way::nothing) {
    const duration takes = mail_draws.between(duration(0), self.pace_.mail_max);
    if (takes > duration(0)) {
      w = way::kept_back;
      self.world_.after(takes, [this, from, to, &w] {
        if (crashed) return;
        w = way::open;
        mail.tell_again(from, to);
      });
      return false;
    }
  }
  w = way::nothing;
  self.world_.note(happening::mail, self.options_.number, from, to);
  return true;
}

void node::parts::begin(offload_job& job) noexcept {
  const duration takes = mail_draws.between(duration(0), self.pace_.offload_max);
  self.world_.after(takes, [this, &job] {
    if (!crashed) all.offload.run_job(job);
  });
}

node::node(engine& world, network& net, const pace_options& pace, const start_options& options,
           const main_of_node& main)
    : world_(world),
      net_(net),
      pace_(pace),
      options_(options),
      clock_(world, options.clock_start, options.wall, options.drift_ppm) {
  parts_ = std::make_unique<parts>(*this, options.shards, main);
  net.up(options.host);
  for (shard_id id = 0; id < options.shards; ++id) {
    parts_->shards.push_back(std::make_unique<shard_of>(*this, id, parts_->all));
  }
  for (auto& each : parts_->shards) each->make(options.seed);
  world.note(happening::node, options.number, 0, options.incarnation);
  parts_->shards.front()->begin();
  for (auto& each : parts_->shards) each->wake();
}

node::~node() = default;

void node::crash() noexcept {
  parts_->crashed = true;
  world_.note(happening::node, options_.number, 1);
}

void node::ask_to_stop() {
  world_.note(happening::node, options_.number, 3);
  parts_->shards.front()->io().deliver(SIGTERM);
}

void node::end_pause() {
  if (paused_until_ <= world_.now()) return;
  paused_until_ = {};
  for (auto& each : parts_->shards) each->wake();
}

bool node::has_ended() const noexcept { return parts_->ended == parts_->shards.size(); }
bool node::has_crashed() const noexcept { return parts_->crashed; }
const std::optional<result<int>>& node::outcome() const noexcept { return parts_->all.outcome; }

std::string node::dump_tasks() {
  if (has_ended() || has_crashed()) return {};
  std::string text;
  for (auto& each : parts_->shards) {
    const as_shard here(each->context());
    text += fmt::format("node {}, {}", options_.number, atoll::dump_tasks());
  }
  return text;
}

std::uint64_t node::left_behind() {
  std::uint64_t all = parts_->left_behind;
  if (has_ended() || has_crashed()) return all;
  for (auto& each : parts_->shards) all += each->context().failures_abandoned + each->context().scopes_leaked;
  return all;
}

}  // namespace atoll_root::atoll::sim
