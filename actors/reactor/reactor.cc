// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/reactor.hh>

#include <atoll/actors/base/log.hh>

namespace atoll_root::atoll {
reactor::reactor(const reactor_options& options, clock& time, std::unique_ptr<io_backend> io)
    : io_(std::move(io)), timers_(time.now()), spin_for_(options.spin_for) {
  ATOLL_ASSERT(detail::current_shard == nullptr, "one reactor a thread");
  shard_.id = options.id;
  shard_.count = options.count;
  shard_.time = &time;
  shard_.timers = &timers_;
  shard_.io = io_.get();
  shard_.pollers = &pollers_;
  shard_.random = rng(options.seed + options.id);
  detail::current_shard = &shard_;
}

reactor::~reactor() {
  io_.reset();
  detail::current_shard = nullptr;
}

std::uint32_t reactor::run_tasks() noexcept {
  std::uint32_t ran = 0;
  for (; ran < tasks_a_pass && !shard_.tasks.empty(); ++ran) {
    task& t = shard_.tasks.pop();
    shard_.context = t.context.get();
    shard_.ready_awaits = 0;
    t.run(&t);
  }
  shard_.context = nullptr;
  return ran;
}

bool reactor::poll_kernel(bool busy) noexcept {
  const time_point now = shard_.time->now();
  bool found = timers_.advance(now) > 0;
  found = io_->poll() || found;
  if (busy || found) {
    idle_since_ = never;
  } else if (idle_since_ == never) {
    idle_since_ = now;
  }
  return found;
}

void reactor::run() {
  bool busy = false;  // since the last full pass
  while (true) {
    const std::uint32_t ran = run_tasks();
    bool found = ran > 0;
    for (poller* p : pollers_) found = p->poll() || found;
    busy = busy || found;
    since_full_pass_ += 1 + ran;
    if (since_full_pass_ < full_pass_every) continue;
    since_full_pass_ = 0;
    if (poll_kernel(busy) || busy || !shard_.tasks.empty()) {
      busy = false;
    } else if (stopping_ && nothing_left()) {
      return;
    } else if (shard_.time->now() - idle_since_ >= spin_for_) {
      sleep();
    }
  }
}

bool reactor::nothing_left() noexcept {
  bool quiet = true;
  for (poller* p : pollers_) quiet = p->try_sleep() && quiet;
  for (poller* p : pollers_) p->woken();
  return quiet;
}

void reactor::sleep() noexcept {
  bool may_sleep = true;
  for (poller* p : pollers_) may_sleep = p->try_sleep() && may_sleep;
  if (may_sleep) {
    const time_point next = timers_.next();
    const time_point now = shard_.time->now();
    if (next > now) io_->wait(next);
    idle_since_ = never;
  }
  for (poller* p : pollers_) p->woken();
}

}  // namespace atoll_root::atoll
