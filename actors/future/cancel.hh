// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Ending work early: deadlines, timeouts and cancellation, all by the call context.
//
//   auto n = co_await atoll::with_timeout(50ms, [ref] { return ref.read("hits"); });
//   atoll::cancel_source source;
//   auto f = source.run([] { return poll_forever(); });   source.cancel();   co_await as_result(std::move(f));
//   co_await atoll::shielded([&] { return flush(); });    // cleaning up after a cancel: waits again
//   co_await or_fail(atoll::check_cancelled());           // in a loop that computes and never waits
//
// Cancelling ends the waits: every wait of this library (sleep, semaphore, channel, socket, call...) in the
// cancelled context or below it fails with the reason's code, `cancelled` or `deadline_exceeded`, and so does every
// later one. The work itself then ends as its own code decides, and whoever runs it waits for that: nothing is left
// behind. The first reason wins. What is ready needs no wait and still succeeds. A bare future that is no wait of this
// library (a promise of the user's) can't be ended: wrap the await in `interruptible`.
// Shard rules: a context belongs to its shard; messages carry its deadline, and its cancellation, to others.
// Cost: one pooled block for a context, one for the work; a deadline arms one timer for all waits below it.
#pragma once

#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll {

/// The deadline of the work that runs now; `never` where it has none.
inline time_point current_deadline() noexcept {
  const call_context* context = this_shard().context;
  return context == nullptr ? never : context->values().deadline;
}

/// The values of the context in force.
inline call_values current_call() noexcept {
  const call_context* context = this_shard().context;
  return context == nullptr ? call_values{} : context->values();
}

/// Why the work that runs now is cancelled; null while it isn't.
inline const error* cancellation() noexcept {
  const call_context* context = this_shard().context;
  return context == nullptr ? nullptr : context->reason();
}

/// The reason as a failure, for code that computes for long without a wait. Reads the clock where there is a deadline.
result<> check_cancelled() noexcept;

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

/// Calls f with a context in force.
template <class F, class... A>
auto start_in(call_context* context, F& f, A&&... arguments) noexcept {
  const context_scope scope(context);
  return invoke_safely(f, std::forward<A>(arguments)...);
}

template <class F>
auto run_in(context_ptr context, F f) -> decltype(invoke_and_await(f)) {
  co_return co_await or_fail(start_in(context.get(), f));
}

/// The failure of a wait that was cancelled for this reason; `what` names the wait.
error wait_failed(const error& reason, std::string_view what) noexcept;

/// A wait that the context in force can end: the producer of its future, in a pooled block that goes with its end.
/// Wait: the class that is derived from it.
template <class T, class Wait>
class pooled_wait : public producer<T>, public cancel_hook {
 public:
  /// Has the hook called when the context in force is cancelled.
  void watch_context() noexcept {
    if (call_context* context = this_shard().context) context->add(*this);
  }
  /// A value that can't be copied or moved here ends the wait with what it threw.
  template <class... A>
  void end_with(A&&... value) noexcept {
    cancel_hook::unlink();
    if constexpr (std::is_nothrow_constructible_v<stored_t<T>, A&&...>) {
      this->set_value(std::forward<A>(value)...);
    } else {
      try {
        this->set_value(std::forward<A>(value)...);
      } catch (...) {
        this->set_error(error::from_exception(std::current_exception()));
      }
    }
    this->wake();
    destroy();
  }
  void end_with_error(error&& e) noexcept {
    cancel_hook::unlink();
    this->set_error(std::move(e));
    this->wake();
    destroy();
  }

 protected:
  explicit pooled_wait(cancel_hook::function* cancelled) noexcept : cancel_hook(cancelled) {}
  ~pooled_wait() = default;

  void destroy() noexcept {
    auto* self = static_cast<Wait*>(this);
    self->~Wait();
    pool_free(self, sizeof(Wait));
  }
};

}  // namespace detail

/// Runs f under these context values alone, outside the context in force, whose deadline and cancellation don't reach it.
template <class F>
auto with_context(call_values values, F f) -> decltype(detail::invoke_and_await(f)) {
  return detail::run_in(context_ptr::make(values), std::move(f));
}

/// Runs f out of reach of the deadline and cancellation in force: for cleaning up.
template <class F>
auto shielded(F f) -> decltype(detail::invoke_and_await(f)) {
  call_values values = current_call();
  values.deadline = never;
  auto context = context_ptr::make(values);
  // Who holds a turn holds it here, too.
  const call_context* current = this_shard().context;
  if (context && current != nullptr) context->set_holders(current->holders(), current->own_holds());
  return detail::run_in(std::move(context), std::move(f));
}

/// Runs f with this deadline, or with the one in force where that is earlier. f is kept until its future is ready.
template <class F>
auto with_deadline(time_point deadline, F f) {
  call_values values = current_call();
  if (deadline < values.deadline) values.deadline = deadline;
  return detail::run_in(context_ptr::below(this_shard().context, values), std::move(f));
}

/// with_deadline from now on.
template <class F>
auto with_timeout(duration longest, F f) {
  return with_deadline(saturating_add(mono_now(), longest), std::move(f));
}

/// A context of its own below the one in force where it is made, to run work in and cancel it.
class cancel_source {
 public:
  cancel_source() : context_(context_ptr::below(this_shard().context, current_call())) {}

  /// Ends the waits of what was run, with this reason.
  void cancel(const error& reason) noexcept { context_->cancel(reason); }
  void cancel() noexcept { cancel(error(status_code::cancelled)); }
  [[nodiscard]] bool cancelled() const noexcept { return context_->reason() != nullptr; }

  /// Runs f in this context, even when it is cancelled already: then f's first wait fails.
  template <class F>
  auto run(F f) {
    return detail::run_in(context_, std::move(f));
  }
  [[nodiscard]] call_context* context() const noexcept { return context_.get(); }

 private:
  context_ptr context_;
};

namespace detail {

/// Waits for a future on behalf of a wait that may be cancelled before.
template <class T>
class interruptible_wait final : public pooled_wait<T, interruptible_wait<T>>, task {
  using base = pooled_wait<T, interruptible_wait<T>>;

 public:
  static future<T> start(future<T> source) {
    if (source.available()) return source;
    if (const error* reason = cancellation()) {
      // The outcome is nobody's any more; a node waits for it all the same, so that a failure is not called abandoned.
      make(source);
      return make_failed_future<T>(*reason);
    }
    auto* w = make(source);
    if (w == nullptr) return make_failed_future<T>(error(status_code::resource_exhausted));
    future<T> f(*w);
    w->watch_context();
    return f;
  }

 private:
  friend base;
  explicit interruptible_wait(future<T> source) noexcept
      : base(&cancelled), task(&ready, nullptr, this_shard().group), source_(std::move(source)) {}
  ~interruptible_wait() = default;
  /// Null without memory.
  static interruptible_wait* make(future<T>& source) noexcept {
    void* block = pool_try_allocate(sizeof(interruptible_wait));
    if (block == nullptr) return nullptr;
    auto* w = ::new (block) interruptible_wait(std::move(source));
    w->source_.notify(*w);
    return w;
  }

  static void ready(task* t) noexcept {
    auto* self = static_cast<interruptible_wait*>(t);
    if (!self->has_consumer()) {
      if (self->source_.failed()) static_cast<void>(self->source_.take_error());
      return self->destroy();
    }
    if (self->source_.failed()) return self->end_with_error(self->source_.take_error());
    self->cancel_hook::unlink();
    try {
      self->set_result(self->source_.get_result());
    } catch (...) {  // the value's move failed
      self->set_error(error::from_exception(std::current_exception()));
    }
    self->wake();
    self->destroy();
  }
  static void cancelled(cancel_hook* hook, const error& reason) noexcept {
    auto* self = static_cast<interruptible_wait*>(hook);
    self->set_error(error(reason));
    self->wake();
  }

  future<T> source_;
};

}  // namespace detail

/// The outcome of f, or the cancellation of the context in force if that comes first: f then goes on and its outcome
/// is dropped. For futures that are no waits of this library.
template <class T>
future<T> interruptible(future<T> f) {
  return detail::interruptible_wait<T>::start(std::move(f));
}

}  // namespace atoll_root::atoll
