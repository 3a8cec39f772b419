// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/offload_pool.hh>

#include <algorithm>
#include <string>
#include <system_error>
#include <utility>

#include <atoll/actors/base/log.hh>

namespace atoll_root::atoll {
namespace {

offload_limits at_least_one(offload_limits limits) noexcept {
  limits.threads_max = std::max(limits.threads_max, 1U);
  limits.queue_max = std::max(limits.queue_max, 1U);
  return limits;
}

}  // namespace

offload_pool::offload_pool(mailroom& room, const offload_limits& limits, const std::vector<processor>& allowed,
                           offload_runner* runner)
    : room_(room), limits_(at_least_one(limits)), allowed_(allowed), runner_(runner), workers_(limits_.threads_max) {}

offload_pool::~offload_pool() {
  ATOLL_ASSERT(counts_.threads == 0, "the runtime stops its pool");
  for (auto& w : workers_) {  // they have given up the lock for the last time
    if (w.thread.joinable()) w.thread.join();
  }
}

offload_pool::counts offload_pool::now() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

std::optional<error> offload_pool::submit(offload_job& job) {
  {
    const std::lock_guard lock(mutex_);
    const auto refused = [this](status_code code, const std::string& why) {
      ++counts_.refused;
      return error(code, "offload: " + why);
    };
    if (stopping_) return refused(status_code::unavailable, "the runtime has stopped");
    if (counts_.queued >= limits_.queue_max) {
      return refused(status_code::resource_exhausted,
                     std::to_string(limits_.queue_max) + " functions wait for a thread");
    }
    if (runner_ != nullptr) {
      ++counts_.queued;
      runner_->begin(job);
      return std::nullopt;
    }
    const bool wants_thread = counts_.idle <= counts_.queued && counts_.threads < limits_.threads_max;
    if (wants_thread && !start_thread() && counts_.threads == 0) {
      return refused(status_code::resource_exhausted, "can't start a thread");
    }
    waiting_.push(job);
    ++counts_.queued;
  }
  work_came_.notify_one();
  return std::nullopt;
}

bool offload_pool::start_thread() {
  const auto free = std::find_if(workers_.begin(), workers_.end(), [](const worker& w) { return !w.running; });
  if (free->thread.joinable()) free->thread.join();  // it has given up the lock for the last time
  const unbound_thread floating(allowed_);
  try {
    free->thread = std::thread([this, &self = *free] { serve(self); });
  } catch (const std::exception& e) {  // for want of a thread, or of memory
    log_warning("offload: can't start thread {}: {}", counts_.threads + 1, e.what());
    return false;
  }
  free->running = true;
  ++counts_.threads;
  return true;
}

void offload_pool::serve(worker& self) {
  std::unique_lock lock(mutex_);
  while (true) {
    if (!waiting_.empty()) {
      auto& job = static_cast<offload_job&>(waiting_.pop());
      --counts_.queued;
      ++counts_.taken;
      lock.unlock();
      const shard_id home = job.home();
      job.run_unless_unwanted();
      room_.send_foreign(job, home);
      lock.lock();
      continue;
    }
    if (stopping_) break;
    ++counts_.idle;
    const bool came = work_came_.wait_for(lock, limits_.idle_for, [this] { return stopping_ || !waiting_.empty(); });
    --counts_.idle;
    if (!came) break;
  }
  self.running = false;
  --counts_.threads;
  const bool last = stopping_ && counts_.threads == 0;
  lock.unlock();
  if (last) room_.send_foreign(*when_ended_, 0);
}

void offload_pool::run_job(offload_job& job) {
  --counts_.queued;
  ++counts_.taken;
  const shard_id home = job.home();
  job.run_unless_unwanted();
  room_.send_foreign(job, home);
  if (stopping_ && counts_.queued == 0) room_.send_foreign(*when_ended_, 0);
}

void offload_pool::stop(task& ended) noexcept {
  if (runner_ != nullptr) {
    stopping_ = true;
    when_ended_ = &ended;
    if (counts_.queued == 0) schedule(ended);
    return;
  }
  run_queue not_begun;
  bool some_live = false;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    when_ended_ = &ended;
    not_begun = std::exchange(waiting_, run_queue());
    counts_.queued = 0;
    some_live = counts_.threads > 0;
  }
  work_came_.notify_all();
  while (!not_begun.empty()) {
    auto& job = static_cast<offload_job&>(not_begun.pop());
    room_.send_foreign(job, job.home());
  }
  if (!some_live) schedule(ended);
}

}  // namespace atoll_root::atoll
