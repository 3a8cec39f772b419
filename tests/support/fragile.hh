// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A value whose move throws when a countdown ends: what can't be moved has to become a failure, wherever that happens.
#pragma once

#include <stdexcept>

#include <atoll/actors/future/future.hh>
#include <atoll/sharding/sendable.hh>

namespace demo {

struct fragile {
  fragile() = default;
  /// The move of this number throws, counted along the line of moved objects; 0: none does.
  explicit fragile(int moves) noexcept : left(moves) {}
  fragile(const fragile&) = default;
  fragile(fragile&& other) : left(other.left) {  // NOLINT(performance-noexcept-move-constructor)
    if (left > 0 && --left == 0) throw std::runtime_error("moved too often");
  }
  fragile& operator=(const fragile&) = default;
  ~fragile() = default;
  int left = 0;
};

/// Awaits it; whatever its outcome is, and where taking that outcome throws, too.
template <class T>
atoll::future<> settle(atoll::future<T> f) {
  try {
    static_cast<void>(co_await atoll::as_result(std::move(f)));
  } catch (const std::runtime_error&) {
    co_return;
  }
}

}  // namespace demo

template <>
inline constexpr bool atoll::enable_sendable<demo::fragile> = true;
