// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/reactor.hh>

#include <pthread.h>

#include <algorithm>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/memory/block_returns.hh>
#include <atoll/actors/metrics/metrics.hh>

namespace atoll_root::atoll {
namespace {

/// Below this, a coroutine that is called starts as a task: what else is on the stack has a quarter of it, 1 MiB at most.
std::uintptr_t lowest_start_on_this_stack() noexcept {
  pthread_attr_t attributes;
  void* lowest = nullptr;
  std::size_t bytes = 0;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return 0;
  const bool known = ::pthread_attr_getstack(&attributes, &lowest, &bytes) == 0;
  ::pthread_attr_destroy(&attributes);
  constexpr std::size_t kept_max = std::size_t{1} << 20;
  return known ? reinterpret_cast<std::uintptr_t>(lowest) + std::min(bytes / 4, kept_max) : 0;
}

}  // namespace

/// What the loop tells about itself.
struct reactor::metrics {
  static constexpr std::size_t counted_max = 10'000;  // some 100 us

  explicit metrics(reactor& r) : registry(r.shard_.id), self(r) {
    r.shard_.metrics = &registry;
    r.shard_.tasks.export_metrics(registry);
  }

  metrics_registry registry;
  reactor& self;
  metric_group group{registry, "atoll_shard"};
  observable_counter tasks{group, "tasks_total", "Tasks run.", [this] { return self.shard_.tasks_run; }};
  observable_gauge suspended{group, "coroutines_suspended",
                             "Coroutines that have been suspended and still have a frame.",
                             [this] { return static_cast<double>(self.shard_.coroutines_suspended); }};
  observable_counter abandoned{group, "failures_abandoned_total", "Failed futures that nobody read.",
                               [this] { return self.shard_.failures_abandoned; }};
  observable_counter leaked{group, "scopes_leaked_total", "Scopes destroyed while their work ran.",
                            [this] { return self.shard_.scopes_leaked; }};
  observable_counter stalls{group, "stalls_total", "Tasks that ran longer than the stall threshold.",
                            [this] { return self.ticks_.stalls(); }};
  observable_counter sleeps{group, "sleeps_total", "Times the shard slept.", [this] { return self.sleeps_; }};
  observable_gauge groups{group, "scheduling_groups", "Scheduling groups.",
                          [this] { return static_cast<double>(self.shard_.tasks.groups()); }};
  observable_counter armed{group, "timers_armed_total", "Timers armed.", [this] { return self.timers_.armed(); }};
  observable_gauge waiting{group, "timers_waiting", "Timers armed now; no more than 10,000 are counted.",
                           [this] { return static_cast<double>(self.timers_.waiting(counted_max)); }};
  observable_counter fired{group, "timers_fired_total", "Timers that came due.",
                           [this] { return self.timers_.fired(); }};
  metric_group io{registry, "atoll_io"};
  observable_counter read{io, "read_bytes_total", "Bytes read from sockets.", &self.shard_.socket_bytes_read};
  observable_counter written{io, "written_bytes_total", "Bytes written to sockets.", &self.shard_.socket_bytes_written};
  observable_counter streams{io, "streams_total", "Connections that became this shard's.", &self.shard_.socket_streams};
};

reactor::reactor(const reactor_options& options, clock& time, std::unique_ptr<io_backend> io)
    : shard_(time),
      io_(std::move(io)),
      timers_(time.now()),
      ticks_(shard_, options.task_quota, options.stall_threshold, options.ticks),
      spin_for_(options.spin_for),
      shares_processor_(options.shares_processor) {
  ATOLL_ASSERT(detail::current_shard == nullptr, "one reactor a thread");
  shard_.id = options.id;
  shard_.count = options.count;
  shard_.timers = &timers_;
  shard_.io = io_.get();
  shard_.pollers = &pollers_;
  shard_.random = rng(options.seed + options.id);
  shard_.coarse_now = time.now();
  shard_.stack_floor = lowest_start_on_this_stack();
  shard_.tasks.set_quota(options.task_quota);
  shard_.has_ticker = ticks_.works();
  shard_.clock_age_max = std::max<duration>(options.task_quota, ticker::rest_for);
  shard_.shuffled = options.shuffle;
  detail::current_shard = &shard_;
  try {
    metrics_ = std::make_unique<metrics>(*this);
  } catch (...) {
    detail::current_shard = nullptr;
    throw;
  }
}

reactor::~reactor() {
  io_.reset();
  metrics_.reset();
  context_ptr::free_spare(shard_);
  detail::current_shard = nullptr;
}

std::uint32_t reactor::run_tasks(std::uint32_t most) noexcept {
  std::uint32_t ran = 0;
  // A tick ends the pass: however long the tasks are, timers, lanes and the kernel are asked once a quota.
  bool ticked = false;
  while (ran < most && !ticked) {
    run_queue* ready = shard_.tasks.pick();
    if (ready == nullptr) break;
    shard_.group = shard_.tasks.current();
    const bool shuffled = shard_.shuffled;
    do {
      task& t = shuffled ? ready->pop_shuffled(shard_.random) : ready->pop();
      shard_.context = t.context.get();
      shard_.running = nullptr;
      t.run(&t);
      ++ran;
      ticked = shard_.tick && detail::tick_is_due(shard_);
    } while (ran < most && !ticked && !ready->empty() && !shard_.tasks.preempted());
    shard_.running = nullptr;
    if (ticked) since_full_pass_ = full_pass_every;
    ticks_.turn();
  }
  shard_.context = nullptr;
  shard_.group = 0;
  shard_.tasks_run += ran;
  return ran;
}

void reactor::look(bool idle) noexcept {
  shard_.tick = !shard_.has_ticker || shard_.shuffled;
  shard_.calls_since_look = 0;
  shard_.coarse_now = shard_.time->now();
  shard_.recent_ns = shard_.tick ? shard::long_ago : shard_.coarse_now.time_since_epoch().count();
  timers_.look(shard_.coarse_now);
  shard_.tasks.look(shard_.coarse_now, idle);
  if (shard_.returns != nullptr) shard_.returns->turn(shard_.blocks);
  ticks_.turn();
}

bool reactor::poll_kernel(bool busy) noexcept {
  look(!busy);
  bool found = timers_.advance(shard_.coarse_now) > 0;
  found = io_->poll() || found;
  if (busy || found) {
    idle_since_ = never;
    if (++looks_busy_ == 2) ticks_.start();
  } else if (idle_since_ == never) {
    idle_since_ = shard_.coarse_now;
  }
  return found;
}

void reactor::run() {
  bool busy = false;  // since the last full pass
  ticks_.start();
  while (true) {
    const std::uint32_t ran = run_tasks(tasks_a_pass);
    bool found = ran > 0;
    for (poller* p : pollers_) found = p->poll() || found;
    busy = busy || found;
    since_full_pass_ += std::max(ran, pass_counts);
    if (since_full_pass_ < full_pass_every) continue;
    since_full_pass_ = 0;
    if (poll_kernel(busy) || busy || !shard_.tasks.empty()) {
      busy = false;
    } else if (stopping_ && nothing_left()) {
      ticks_.stop();
      return;
    } else if (shard_.coarse_now - idle_since_ >= spin_for_ || !shard_.time->runs_alone()) {
      sleep();
    } else if (shares_processor_) {
      io_->give_way();
    }
  }
}

reactor::progress reactor::step(std::uint32_t tasks_max) noexcept {
  if (std::exchange(declared_asleep_, false)) {
    for (poller* p : pollers_) p->woken();
    look(true);
  }
  const std::uint32_t ran = run_tasks(tasks_max);
  bool found = ran > 0;
  for (poller* p : pollers_) found = p->poll() || found;
  found = poll_kernel(found) || found || !shard_.tasks.empty();
  if (found) return {.is = progress::kind::busy, .ran = ran};
  if (stopping_ && nothing_left()) return {.is = progress::kind::ended};
  bool may_sleep = true;
  for (poller* p : pollers_) may_sleep = p->try_sleep() && may_sleep;
  if (!may_sleep) {
    for (poller* p : pollers_) p->woken();
    return {.is = progress::kind::busy};
  }
  declared_asleep_ = true;
  ++sleeps_;
  return {.is = progress::kind::idle, .wake_at = timers_.next()};
}

bool reactor::nothing_left() noexcept {
  bool quiet = true;
  for (poller* p : pollers_) quiet = p->try_sleep() && quiet;
  for (poller* p : pollers_) p->woken();
  return quiet;
}

bool reactor::wait_until(time_point next) noexcept {
  // Neither the kernel nor we know when a clock that somebody moves will be there.
  const bool alone = shard_.time->runs_alone();
  return io_->wait(alone ? next : std::min(next, saturating_add(shard_.time->now(), clock::idle_look_every)));
}

void reactor::sleep() noexcept {
  bool may_sleep = true;
  for (poller* p : pollers_) may_sleep = p->try_sleep() && may_sleep;
  if (may_sleep) {
    const time_point next = timers_.next();
    if (next > shard_.time->now()) {
      ticks_.sleeps();
      ++sleeps_;
      // The last tick wakes us, too.
      const bool was_ticking = ticks_.is_on();
      if (!wait_until(next) && was_ticking && !ticks_.is_on()) wait_until(next);
      ticks_.wakes();
      looks_busy_ = 0;
      look(true);
    }
    idle_since_ = never;
  }
  for (poller* p : pollers_) p->woken();
}

}  // namespace atoll_root::atoll
