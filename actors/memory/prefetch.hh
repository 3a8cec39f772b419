// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Asking for memory that another core has written, before it is needed: its lines then come at the same time.
//
// To ask is free of harm: any address will do.
#pragma once

#include <cstddef>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll::detail {

inline constexpr std::size_t cache_line_bytes = 64;

/// Has the line come here as ours alone. The builtin asks for a shared copy where the compiler may not take for granted that
/// the processor has the instruction; one that has it not takes it for none at all.
[[gnu::always_inline]] inline void fetch_to_write(const void* p) noexcept {
#if defined(__x86_64__)
  asm volatile("prefetchw %0" : : "m"(*static_cast<const char*>(p)));
#else
  __builtin_prefetch(p, 1);
#endif
}

/// The first KiB of so many bytes: what is behind it the processor sees coming.
template <bool ToWrite>
void fetch_all(const void* memory, std::size_t bytes) noexcept {
  constexpr std::size_t most = 1024;
  const auto* const first = static_cast<const char*>(memory);
  for (std::size_t at = 0; at < bytes && at < most; at += cache_line_bytes) {
    if constexpr (ToWrite) {
      fetch_to_write(first + at);
    } else {
      __builtin_prefetch(first + at);
    }
  }
}

}  // namespace atoll_root::atoll::detail
