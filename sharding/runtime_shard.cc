// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/runtime_shard.hh>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/sharding/call_streams.hh>
#include <atoll/sharding/shard_local.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll {
namespace {

future<> start_no_more() {
  local_sharding().ending = true;
  return make_ready_future();
}

/// Of this shard, newest first.
future<> stop_leftovers() {
  auto& cores = local_sharding().cores;
  const auto runs = [](const auto& core) { return core->running != nullptr; };
  while (true) {
    const auto newest = std::find_if(cores.rbegin(), cores.rend(), runs);
    if (newest == cores.rend()) co_return;
    const auto core = *newest;
    const auto running = std::exchange(core->running, nullptr);
    const auto stop = [&running] { return running->stop_everywhere(); };
    const auto stopped = co_await as_result(detail::invoke_safely(stop));
    if (!stopped) {
      log_error("stopping {}: {} {}", core->name(), to_string(stopped.error().code()), stopped.error().message());
    }
  }
}

/// A main that throws before it gives a future has failed like any other.
future<int> call_main(const runtime::main_function& main) {
  static constexpr work_name the_main{"app", "main"};
  co_await yield();  // the loop runs, and sees how long it takes
  auto ended = [&main] {
    const detail::work_scope working(the_main);
    return main();
  }();
  co_return co_await std::move(ended);
}

future<> run_main(runtime_shared& all) {
  all.outcome = co_await as_result(call_main(all.main));
  all.foreign->close();
  while (!all.foreign->quiet()) co_await yield();
  // No message of its own: there may be no memory for it.
  const auto stopped = co_await as_result(detail::invoke_safely(detail::stop_leftovers_everywhere));
  if (!stopped) {
    log_error("stopping the services: {} {}", to_string(stopped.error().code()), stopped.error().message());
  }
  all.orders.give(all.offload);  // after the services: they may still write something
}

}  // namespace

future<> detail::stop_leftovers_everywhere() {
  // As far as there is memory to say so, which may be used up for good.
  const auto tell = [] { return on_all_shards(&start_no_more); };
  static_cast<void>(co_await as_result(detail::invoke_safely(tell)));
  co_await on_all_shards(&stop_leftovers);
}

last_orders::last_orders(shard_id shards) : orders_(shards), running_(shards) {
  for (auto& each : orders_) each.all = this;
  orders_[0].run = &stop_loops;
}

void last_orders::stop_loops(task* t) noexcept {
  last_orders& self = *static_cast<order*>(t)->all;
  for (shard_id to = 1; to < self.orders_.size(); ++to) local_sharding().mail.send(self.orders_[to], to);
  self.one_stopped();
}

void last_orders::stop_loop(task* t) noexcept {
  local_sharding().loop.stop();
  t->run = &answered;
  local_sharding().mail.send(*t, 0);
}

void last_orders::answered(task* t) noexcept { static_cast<order*>(t)->all->one_stopped(); }

void last_orders::one_stopped() noexcept {
  if (--running_ == 0) local_sharding().loop.stop();
}

runtime_shard::runtime_shard(shard_id id, runtime_shared& all) noexcept : id_(id), all_(all) {}

runtime_shard::~runtime_shard() = default;

void runtime_shard::unmake() noexcept {
  work_.reset();
  metrics_.reset();
  local_.reset();
  loop_.reset();
}

void runtime_shard::make(const reactor_options& options, clock& time, std::unique_ptr<io_backend> io,
                         shard_memory* memory) {
  loop_.emplace(options, time, std::move(io));
  all_.mail.open(id_, loop_->io());
  if (memory != nullptr) memory->attach(loop_->context());
  local_ = std::make_unique<sharding_local>(*loop_, all_.mail, id_, all_.processors, all_.foreign, all_.offload);
  loop_->context().slot<sharding_local>(shard_slot::sharding) = local_.get();
  loop_->context().pollers->add(local_->mail);
  metrics_.emplace(*local_);
}

void runtime_shard::begin() {
  if (id_ != 0) return;
  work_ = run_main(all_);
  if (!work_->available() || !work_->failed()) return;
  // No memory for its frame.
  all_.outcome = error(status_code::resource_exhausted);
  all_.foreign->close();
  all_.orders.give(all_.offload);
}

void runtime_shard::has_run() noexcept {
  all_.mail.close(id_);
  while (auto* call = local_->foreign_running.pop_front()) call->abandon();
}

void runtime_shard::all_have_run() noexcept {
  if (work_) static_cast<void>(work_->get_result());
  call_streams_base::free_rest(*local_);
}

}  // namespace atoll_root::atoll
