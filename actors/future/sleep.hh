// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Waiting for time to pass, and bounding work by it.
//
//   co_await atoll::sleep(5ms);
//   auto n = co_await atoll::with_deadline(atoll::mono_now() + 50ms, [ref] { return ref.read("hits"); });
//
// A sleep ends early with `deadline_exceeded` when the deadline of the caller's context comes first.
// Cost: one pooled block; arming and cancelling are O(1).
#pragma once

#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll {

/// Ready after `d`, never before. Not positive: ready at once.
future<> sleep(duration d);
future<> sleep_until(time_point when);

/// The deadline of the work that runs now; `never` where it has none.
inline time_point current_deadline() noexcept {
  const call_context* context = this_shard().context;
  return context == nullptr ? never : context->values.deadline;
}

/// The values of the context in force.
inline call_values current_call() noexcept {
  const call_context* context = this_shard().context;
  return context == nullptr ? call_values{} : context->values;
}

namespace detail {

/// Puts a context in force for the current scope.
class context_scope {
 public:
  explicit context_scope(call_context* context) noexcept : previous_(std::exchange(this_shard().context, context)) {}
  context_scope(const context_scope&) = delete;
  context_scope& operator=(const context_scope&) = delete;
  ~context_scope() { this_shard().context = previous_; }

 private:
  call_context* previous_;
};

}  // namespace detail

/// Runs f under these context values and gives its result. f is kept until its future is ready.
template <class F>
auto with_context(call_values values, F f) -> decltype(detail::invoke_and_await(f)) {
  const context_ptr context = context_ptr::make(values);
  auto started = [&] {
    detail::context_scope scope(context.get());
    return detail::invoke_and_await(f);
  }();
  co_return co_await std::move(started);
}

/// Runs f with this deadline, or with the one in force where that is earlier: the sleeps, calls, connects and wait_list
/// waits that f makes end by then with `deadline_exceeded`. Reads and writes of a stream, and bare promises, don't.
template <class F>
auto with_deadline(time_point deadline, F f) {
  call_values values = current_call();
  values.deadline = std::min(values.deadline, deadline);
  return with_context(values, std::move(f));
}

}  // namespace atoll_root::atoll
