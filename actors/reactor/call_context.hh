// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The call context: what travels with a piece of work wherever it goes.
//
//   auto left = atoll::current_deadline() - atoll::mono_now();
//   co_await atoll::with_deadline(atoll::mono_now() + 50ms, [&] { return ref.add("hits", 1); });
//
// A coroutine takes the context that is in force when it is called and keeps it; messages carry it over
// lanes and connections. It is immutable, shared by reference count within its shard, and the default one
// (no deadline, depth 0) is a null pointer, so work without a context costs nothing.
#pragma once

#include <cstdint>
#include <utility>

#include <atoll/actors/reactor/clock.hh>

namespace atoll_root::atoll {

/// The part of a context that crosses to other shards and nodes.
struct call_values {
  time_point deadline = never;  // on this machine's clock; nodes exchange what is left of it
  std::uint32_t depth = 0;      // how many calls stand above this one; 0 for work that serves no call
  std::uint64_t trace_id = 0;   // 0 where nobody traces

  [[nodiscard]] bool is_default() const noexcept { return deadline == never && depth == 0 && trace_id == 0; }
};

struct call_context {
  call_values values;
  std::uint32_t references = 0;
};

/// Shares a call_context within its shard.
class context_ptr {
 public:
  context_ptr() noexcept = default;
  explicit context_ptr(call_context* context) noexcept : context_(context) {
    if (context_ != nullptr) ++context_->references;
  }
  context_ptr(context_ptr&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
  context_ptr& operator=(context_ptr&& other) noexcept {
    std::swap(context_, other.context_);
    return *this;
  }
  context_ptr(const context_ptr& other) noexcept : context_ptr(other.context_) {}
  context_ptr& operator=(const context_ptr& other) noexcept { return *this = context_ptr(other); }
  ~context_ptr() {
    if (context_ != nullptr && --context_->references == 0) delete context_;
  }

  /// A context with these values; null for the default ones.
  static context_ptr make(const call_values& values) {
    return values.is_default() ? context_ptr() : context_ptr(new call_context{values, 0});
  }

  /// True if no other reference is left.
  [[nodiscard]] bool is_last() const noexcept { return context_ != nullptr && context_->references == 1; }
  [[nodiscard]] call_context* get() const noexcept { return context_; }

 private:
  call_context* context_ = nullptr;
};

}  // namespace atoll_root::atoll
