// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/runtime.hh>

#include <pthread.h>
#include <sys/random.h>

#include <atomic>
#include <barrier>
#include <new>
#include <optional>
#include <system_error>
#include <thread>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/reactor/reactor.hh>
#include <atoll/sharding/call_streams.hh>
#include <atoll/sharding/cgroup.hh>
#include <atoll/sharding/memory_ranges.hh>
#include <atoll/sharding/offload_pool.hh>
#include <atoll/sharding/shard_local.hh>
#include <atoll/sharding/sharding_metrics.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll {

namespace {

/// Ends everything, in order: the offload pool, the loops of the other shards, and when they have answered shard 0's, which
/// takes their answers. Needs no memory: else a runtime that has none left could not end.
class last_orders {
 public:
  explicit last_orders(shard_id shards) : orders_(shards), running_(shards) {
    for (auto& each : orders_) each.all = this;
    orders_[0].run = &stop_loops;
  }

  /// On shard 0, once.
  void give(offload_pool& pool) noexcept { pool.stop(orders_[0]); }

 private:
  struct order final : task {
    order() noexcept : task(&stop_loop) {}
    last_orders* all = nullptr;
  };

  static void stop_loops(task* t) noexcept {
    last_orders& self = *static_cast<order*>(t)->all;
    for (shard_id to = 1; to < self.orders_.size(); ++to) local_sharding().mail.send(self.orders_[to], to);
    self.one_stopped();
  }
  static void stop_loop(task* t) noexcept {
    local_sharding().loop.stop();
    t->run = &answered;
    local_sharding().mail.send(*t, 0);
  }
  static void answered(task* t) noexcept { static_cast<order*>(t)->all->one_stopped(); }
  void one_stopped() noexcept {
    if (--running_ == 0) local_sharding().loop.stop();
  }

  std::vector<order> orders_;  // of fixed size, by shard
  std::size_t running_;        // shard 0's
};

}  // namespace

/// What the threads share while they start and end.
struct runtime::shared {
  shared(mailroom& mail, const runtime_options& options, std::vector<processor> allowed, shard_ranges ranges,
         main_function its_main)
      : memory(std::move(ranges)),
        everyone(static_cast<std::ptrdiff_t>(mail.shards())),
        failures(mail.shards()),
        processors(std::move(allowed)),
        foreign(std::make_shared<foreign_gate>(mail)),
        offload(mail, options.offload, processors),
        orders(mail.shards()),
        main(its_main) {}

  const shard_ranges memory;
  std::barrier<> everyone;
  std::atomic<bool> failed{false};
  std::atomic<bool> floats{false};             // somebody could not be bound to a processor, and has said so for all
  std::vector<std::optional<error>> failures;  // of a shard's start, by shard
  const std::vector<processor> processors;
  const std::shared_ptr<foreign_gate> foreign;
  offload_pool offload;
  last_orders orders;
  main_function main;
  std::optional<result<int>> outcome;
};

namespace {

std::uint64_t system_seed() noexcept {
  std::uint64_t seed = 0;
  // A refusal leaves the seed at 0: random numbers here place back-off, they keep no secrets.
  [[maybe_unused]] const auto got = ::getrandom(&seed, sizeof seed, GRND_NONBLOCK);
  return seed;
}

/// Of this shard, newest first.
future<> stop_leftovers() {
  auto& cores = local_sharding().cores;
  for (std::size_t i = cores.size(); i-- > 0;) {
    const auto core = cores[i];
    const auto running = std::exchange(core->running, nullptr);
    if (running == nullptr) continue;
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

}  // namespace

future<> detail::stop_leftovers_everywhere() { return on_all_shards(&stop_leftovers); }

runtime::runtime(const runtime_options& options, mailroom& mail) noexcept : options_(options), mail_(mail) {}

void runtime::run_shard(shard_id id, shared& state) {
  shard_memory memory(state.memory.budget_bytes, state.memory.of(id));
  std::optional<reactor> loop;
  std::optional<sharding_local> local;
  std::optional<sharding_metrics> metrics;
  const auto make = [&]() -> result<void> {
    if (options_.pin) {
      const auto bound = bind_thread(state.processors[id % state.processors.size()]);
      if (!bound && !state.floats.exchange(true)) log_warning("shards are not pinned: {}", bound.error().message());
    }
    auto io = make_epoll_backend();
    if (!io) return std::move(io).error();
    const reactor_options options{.id = id,
                                  .count = mail_.shards(),
                                  .seed = options_.seed,
                                  .spin_for = options_.spin_for,
                                  .shares_processor = options_.shards > state.processors.size(),
                                  .task_quota = options_.task_quota,
                                  .stall_threshold = options_.stall_threshold,
                                  .shuffle = options_.shuffle};
    loop.emplace(options, options_.time == nullptr ? system_clock() : *options_.time, *std::move(io));
    // run() has seen that it is well-formed.
    if (!options_.log.empty()) static_cast<void>(loop->context().logs.set(options_.log));
    loop->context().logs.times = loop->context().logs.times && options_.log_times;
    mail_.open(id, loop->io());
    memory.attach(loop->context());
    local.emplace(*loop, mail_, id, state.processors, state.foreign, state.offload);
    loop->context().slot<sharding_local>(shard_slot::sharding) = &*local;
    loop->context().pollers->add(local->mail);
    metrics.emplace(*local);
    return {};
  };
  try {
    if (auto made = make(); !made) state.failures[id] = std::move(made).error();
  } catch (const std::bad_alloc&) {
    state.failures[id] = error(status_code::resource_exhausted);
  }
  if (state.failures[id]) state.failed = true;
  // Nobody sends before every door is open, or every shard knows that one failed.
  state.everyone.arrive_and_wait();
  if (state.failed) return memory.detach();

  future<> work = make_ready_future();
  if (id == 0) {
    work = [](shared& s) -> future<> {
      s.outcome = co_await as_result(call_main(s.main));
      s.foreign->close();
      while (!s.foreign->quiet()) co_await yield();
      // No message of its own: there may be no memory for it.
      const auto stopped = co_await as_result(detail::invoke_safely(detail::stop_leftovers_everywhere));
      if (!stopped) {
        log_error("stopping the services: {} {}", to_string(stopped.error().code()), stopped.error().message());
      }
      s.orders.give(s.offload);  // after the services: they may still write something
    }(state);
    if (work.failed()) {  // no memory for its frame
      state.outcome = error(status_code::resource_exhausted);
      state.foreign->close();
      state.orders.give(state.offload);
    }
  }
  loop->run();
  mail_.close(id);
  while (auto* call = local->foreign_running.pop_front()) call->abandon();
  // No reactor goes while another shard may still wake it, no core while a ref may be used.
  state.everyone.arrive_and_wait();
  if (id == 0) static_cast<void>(work.get_result());
  call_streams_base::free_rest(*local);
  memory.detach();
}

result<int> runtime::run(const runtime_options& given, main_function main) {
  try {
    return start_and_end(given, main);
  } catch (const std::bad_alloc&) {  // before there were threads
    return error(status_code::resource_exhausted);
  }
}

result<int> runtime::start_and_end(const runtime_options& given, main_function main) {
  runtime_options options = given;
  auto processors = allowed_processors(options.cpus);
  if (!processors) return std::move(processors).error();
  if (options.shards == 0) options.shards = default_shards(processors->size(), read_cgroup_limits().processors);
  if (options.shards > runtime_options::shards_max) {
    return error(status_code::out_of_range, "shards: " + std::to_string(options.shards) + " is more than " +
                                                std::to_string(runtime_options::shards_max));
  }
  if (!options.log.empty()) {
    log_levels levels;
    if (auto understood = levels.set(options.log); !understood) return std::move(understood).error();
  }
  if (options.seed == 0) options.seed = system_seed();
  auto ranges = lend_ranges(options, *processors);
  if (!ranges) return std::move(ranges).error();
  mailroom mail(options.shards);
  shared state(mail, options, *std::move(processors), *std::move(ranges), main);
  runtime process(options, mail);

  cpu_set_t previous;
  ::pthread_getaffinity_np(::pthread_self(), sizeof previous, &previous);
  {
    std::vector<std::jthread> threads;
    threads.reserve(options.shards);
    for (shard_id id = 1; id < options.shards; ++id) {
      try {
        threads.emplace_back([&process, &state, id] { process.run_shard(id, state); });
      } catch (const std::exception&) {  // bad_alloc or, for want of a thread, system_error
        state.failures[id] = error(status_code::resource_exhausted);
        state.failed = true;
        for (; id < options.shards; ++id) state.everyone.arrive_and_drop();
      }
    }
    process.run_shard(0, state);
  }
  ::pthread_setaffinity_np(::pthread_self(), sizeof previous, &previous);
  for (auto& failure : state.failures) {
    if (!failure) continue;
    // What a shard failed for want of memory may have no words: now there is some again.
    const bool no_words = failure->code() == status_code::resource_exhausted && failure->message().empty();
    return no_words ? error(status_code::resource_exhausted, "a shard found no memory, or no thread, to start with")
                    : std::move(*failure);
  }
  return std::move(*state.outcome);
}

}  // namespace atoll_root::atoll
