// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/shard.hh>

#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll {

shard::shard(clock& its_time) : time(&its_time), tasks(its_time) {}
shard::~shard() = default;

namespace detail {

constinit thread_local shard* current_shard __attribute__((tls_model(ATOLL_TLS_MODEL))) = nullptr;

bool tick_is_due(shard& s) noexcept {
  constexpr std::uint32_t calls_max = 256;
  if (s.shuffled) return s.random.below(8) == 0;
  return s.has_ticker || ++s.calls_since_look >= calls_max;
}

namespace {

/// Never called. This file is compiled with debug information in every build, and what is used here is described in it:
/// the types that tools/gdb/atoll.py walks. Some 300 KB of a program's file, none of its memory.
[[gnu::used]] std::uint64_t layouts_for_debuggers(shard& s, coroutine_base& c) noexcept {
  s.tasks.push(c);
  s.coroutines.push_back(c);
  const bool told = c.result->has_consumer() || c.context->reason() != nullptr;
  return c.site.line() + s.tasks.groups() + (told ? 1 : 0);
}

}  // namespace
}  // namespace detail
}  // namespace atoll_root::atoll
