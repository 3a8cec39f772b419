// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// ATOLL_ASSERT checks what only a bug of ours can break. It stays on in release builds.
//
//   ATOLL_ASSERT(head_ != nullptr, "pop from an empty queue");
//
// What a peer, a file, a user or the environment sends never reaches an assert: that is an `error` value.
#pragma once

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll::detail {

/// Prints the failed condition with its place to stderr and aborts.
[[noreturn]] void assert_failed(const char* condition, const char* why, const char* file, int line) noexcept;

}  // namespace atoll_root::atoll::detail

#define ATOLL_ASSERT(condition, why)                                                     \
  do {                                                                                   \
    if (!(condition)) [[unlikely]] {                                                     \
      ::atoll_root::atoll::detail::assert_failed(#condition, (why), __FILE__, __LINE__); \
    }                                                                                    \
  } while (false)
