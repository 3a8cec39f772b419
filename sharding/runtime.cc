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
#include <atoll/sharding/cgroup.hh>
#include <atoll/sharding/memory_ranges.hh>
#include <atoll/sharding/runtime_shard.hh>

namespace atoll_root::atoll {

/// What the threads share while they start and end.
struct runtime::shared {
  shared(mailroom& mail, const runtime_options& options, std::vector<processor> allowed, shard_ranges ranges,
         main_function its_main)
      : all(mail, options.offload, std::move(allowed), its_main),
        memory(std::move(ranges)),
        everyone(static_cast<std::ptrdiff_t>(mail.shards())),
        failures(mail.shards()) {}

  runtime_shared all;
  const shard_ranges memory;
  std::barrier<> everyone;
  std::atomic<bool> failed{false};
  std::atomic<bool> floats{false};             // somebody could not be bound to a processor, and has said so for all
  std::vector<std::optional<error>> failures;  // of a shard's start, by shard
};

namespace {

std::uint64_t system_seed() noexcept {
  std::uint64_t seed = 0;
  // A refusal leaves the seed at 0: random numbers here place back-off, they keep no secrets.
  [[maybe_unused]] const auto got = ::getrandom(&seed, sizeof seed, GRND_NONBLOCK);
  return seed;
}

}  // namespace

runtime::runtime(const runtime_options& options, mailroom& mail) noexcept : options_(options), mail_(mail) {}

void runtime::run_shard(shard_id id, shared& state) {
  shard_memory memory(state.memory.budget_bytes, state.memory.of(id));
  runtime_shard self(id, state.all);
  const auto make = [&]() -> result<void> {
    const auto& processors = state.all.processors;
    if (options_.pin) {
      const auto bound = bind_thread(processors[id % processors.size()]);
      if (!bound && !state.floats.exchange(true)) log_warning("shards are not pinned: {}", bound.error().message());
    }
    auto io = make_epoll_backend();
    if (!io) return std::move(io).error();
    const reactor_options options{.id = id,
                                  .count = mail_.shards(),
                                  .seed = options_.seed,
                                  .spin_for = options_.spin_for,
                                  .shares_processor = options_.shards > processors.size(),
                                  .task_quota = options_.task_quota,
                                  .stall_threshold = options_.stall_threshold,
                                  .shuffle = options_.shuffle};
    self.make(options, options_.time == nullptr ? system_clock() : *options_.time, *std::move(io), &memory);
    auto& logs = self.loop().context().logs;
    // run() has seen that it is well-formed.
    if (!options_.log.empty()) static_cast<void>(logs.set(options_.log));
    logs.times = logs.times && options_.log_times;
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
  if (!state.failed) {
    self.begin();
    self.loop().run();
    self.has_run();
    // No reactor goes while another shard may still wake it, no core while a ref may be used.
    state.everyone.arrive_and_wait();
    self.all_have_run();
  }
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
  return std::move(*state.all.outcome);
}

}  // namespace atoll_root::atoll
