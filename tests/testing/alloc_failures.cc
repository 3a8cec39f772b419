// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/testing/alloc_failures.hh>

#include <atomic>
#include <memory>
#include <new>
#include <optional>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll::testing {
namespace {

struct failing_state {
  std::uint64_t allocations = 0;
  std::uint64_t failed = 0;
  std::uint64_t first = 0;  // 0: none
  std::uint64_t count = 0;
  bool on = false;
};
constinit thread_local failing_state failing;
constinit thread_local std::uint64_t made_here = 0;
constinit std::atomic<std::int64_t> alive{0};

/// Called with each allocation.
bool fails_now() noexcept {
  failing_state& f = failing;
  ++made_here;
  if (!f.on) return false;
  const std::uint64_t n = ++f.allocations;
  if (f.first == 0 || n < f.first || n - f.first >= f.count) return false;
  ++f.failed;
  return true;
}

void without_pool(shard& s) noexcept {
  s.blocks.switch_on(false);
  context_ptr::free_spare(s);
}

}  // namespace

alloc_failures::alloc_failures(std::uint64_t n, std::uint64_t failures) noexcept
    : pooled_(on_shard() && this_shard().blocks.is_on()) {
  if (pooled_) without_pool(this_shard());
  failing = {.first = n, .count = failures, .on = true};
}
alloc_failures::~alloc_failures() {
  failing.on = false;
  if (pooled_) this_shard().blocks.switch_on(true);
}
std::uint64_t alloc_failures::allocations() const noexcept { return failing.allocations; }
std::uint64_t alloc_failures::failed() const noexcept { return failing.failed; }
std::uint64_t alloc_failures::of_this_thread() noexcept { return made_here; }
std::int64_t alloc_failures::blocks_alive() noexcept { return alive.load(std::memory_order_relaxed); }

namespace {

std::size_t suspended_coroutines() noexcept {
  std::size_t n = 0;
  for (auto& each : this_shard().coroutines) {
    static_cast<void>(each);
    ++n;
  }
  return n;
}

/// Where each of them waits.
std::string sites() {
  std::string all;
  for (auto& each : this_shard().coroutines) {
    const auto& at = static_cast<detail::coroutine_base&>(each).site;
    all.append("\n  ").append(at.file_name()).append(":").append(std::to_string(at.line()));
  }
  return all;
}

struct leftovers {
  std::int64_t blocks;
  std::size_t coroutines;
  std::uint64_t scopes;
  std::uint64_t abandoned;
};
leftovers look() noexcept {
  return {alloc_failures::blocks_alive(), suspended_coroutines(), this_shard().scopes_leaked,
          this_shard().failures_abandoned};
}

struct sweep_run {
  std::uint64_t at;
  std::uint64_t failed = 0;
  std::optional<result<>> outcome;
};

future<> run_once(std::function<future<>()>& body, const sweep_options& options, sweep_run& run) {
  std::optional<alloc_failures> here;
  auto* there = static_cast<alloc_failures*>(nullptr);
  const bool remote = options.shard != this_shard_id();
  if (remote) {
    const auto arm = [at = run.at, n = options.failures] { return new alloc_failures(at, n); };
    there = co_await submit_to(options.shard, [arm] {
              return reinterpret_cast<std::uintptr_t>(arm());
            }).then([](std::uintptr_t made) { return reinterpret_cast<alloc_failures*>(made); });
  }
  auto ended = with_timeout(std::chrono::seconds(20), [&] {
    if (!remote) here.emplace(run.at, options.failures);
    return detail::invoke_safely(body);
  });
  run.outcome.emplace(co_await as_result(std::move(ended)));
  if (here) run.failed = here->failed();
  here.reset();
  if (remote) {
    const auto end = [there] {
      const std::uint64_t failed = there->failed();
      delete there;
      return failed;
    };
    // The call itself may meet the failure.
    while (true) {
      const auto failed = co_await as_result(submit_to(options.shard, end));
      if (failed) run.failed = *failed;
      if (failed) break;
    }
  }
}

/// Until what the run has left to do is done.
future<> settle() {
  for (int i = 0; i < 20; ++i) {
    for (shard_id s = 0; s < shard_count() && shard_count() > 1; ++s) co_await submit_to(s, [] { return 0; });
    co_await yield();
  }
}

}  // namespace

namespace {
future<std::uint64_t> sweep(std::function<future<>()>& body, const sweep_options& options) {
  std::uint64_t runs = 0;
  // Twice without a failure, so that what grows once has grown.
  for (std::uint64_t n = 0; n <= options.runs_max + 1; ++n) {
    sweep_run run{.at = n < 2 ? 0 : n - 1, .failed = 0, .outcome = {}};
    co_await settle();
    const leftovers before = look();
    co_await run_once(body, options, run);
    const bool ended_well = run.outcome->has_value();
    if (!ended_well && (run.at == 0 || run.outcome->error().code() != status_code::resource_exhausted)) {
      ADD_FAILURE() << "run with a failure at allocation " << run.at << " ended with "
                    << run.outcome->error().to_string();
    }
    run.outcome.reset();
    co_await settle();
    const leftovers after = look();
    const auto where = "run with a failure at allocation " + std::to_string(run.at);
    if (run.failed > 0 && ended_well && !options.may_succeed_despite_it) ADD_FAILURE() << where << " ended well";
    EXPECT_TRUE(n < 2 || options.keeps_blocks || after.blocks == before.blocks)
        << where << ": " << after.blocks - before.blocks << " more blocks";
    EXPECT_EQ(after.coroutines, before.coroutines) << where << ": suspended coroutines" << sites();
    EXPECT_EQ(after.scopes, before.scopes) << where << ": scopes leaked";
    if (run.failed == 0) {
      EXPECT_EQ(after.abandoned, before.abandoned) << where << ": failed futures nobody read";
    }
    this_shard().failures_abandoned = before.abandoned;
    if (::testing::Test::HasFailure()) co_return runs;
    if (n < 2) continue;
    if (run.failed == 0) co_return runs;
    ++runs;
  }
  ADD_FAILURE() << "more than " << options.runs_max << " allocations in one run";
  co_return runs;
}
}  // namespace

future<std::uint64_t> for_each_allocation_failure(std::function<future<>()> body, sweep_options options) {
  bool pooled = false;  // the same on all shards
  for (shard_id s = 0; s < shard_count(); ++s) {
    const auto switch_off = [] {
      const bool was_on = this_shard().blocks.is_on();
      without_pool(this_shard());
      return was_on;
    };
    pooled = co_await submit_to(s, switch_off);
  }
  const auto runs = co_await sweep(body, options);
  for (shard_id s = 0; s < shard_count(); ++s) {
    co_await submit_to(s, [pooled] { this_shard().blocks.switch_on(pooled); });
  }
  co_return runs;
}

}  // namespace atoll_root::atoll::testing

namespace {

namespace t = atoll::testing;

void* counted(void* block) noexcept {
  if (block != nullptr) t::alive.fetch_add(1, std::memory_order_relaxed);
  return block;
}
void* allocate(std::size_t n) {
  if (t::fails_now()) throw std::bad_alloc();
  return counted(atoll::detail::allocate(n));
}
void* allocate(std::size_t n, std::align_val_t a) {
  if (t::fails_now()) throw std::bad_alloc();
  return counted(atoll::detail::allocate(n, static_cast<std::size_t>(a)));
}
template <class... A>
void* allocate_or_null(std::size_t n, A... alignment) noexcept {
  try {
    return allocate(n, alignment...);
  } catch (...) {
    return nullptr;
  }
}
void free_counted(void* block) noexcept {
  if (block == nullptr) return;
  t::alive.fetch_sub(1, std::memory_order_relaxed);
  atoll::detail::free(block);
}

}  // namespace

void* operator new(std::size_t n) { return allocate(n); }
void* operator new[](std::size_t n) { return allocate(n); }
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return allocate_or_null(n); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return allocate_or_null(n); }
void* operator new(std::size_t n, std::align_val_t a) { return allocate(n, a); }
void* operator new[](std::size_t n, std::align_val_t a) { return allocate(n, a); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept { return allocate_or_null(n, a); }
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return allocate_or_null(n, a);
}
void operator delete(void* p) noexcept { free_counted(p); }
void operator delete[](void* p) noexcept { free_counted(p); }
void operator delete(void* p, std::size_t) noexcept { free_counted(p); }
void operator delete[](void* p, std::size_t) noexcept { free_counted(p); }
void operator delete(void* p, const std::nothrow_t&) noexcept { free_counted(p); }
void operator delete[](void* p, const std::nothrow_t&) noexcept { free_counted(p); }
void operator delete(void* p, std::align_val_t) noexcept { free_counted(p); }
void operator delete[](void* p, std::align_val_t) noexcept { free_counted(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { free_counted(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { free_counted(p); }
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept { free_counted(p); }
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept { free_counted(p); }
