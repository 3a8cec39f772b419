// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// scope: owns work that runs in the background: cancels it, waits for it, takes its errors.
//
//   background_.spawn([this] { return accept_connections(); });
//   background_.spawn(&server::serve, this, std::move(stream));   // arguments are kept until the work has ended
//   co_await background_.stop();                                  // cancels, and waits until all has ended
//   co_await atoll::with_scope("fan-out", [&](atoll::scope& s) { ... });   // waits for all in every case
//
// The work runs in the scope's context, below the one in force where the scope was made: cancelling either ends its waits.
// (A scope that is to outlive the call it is made in is made by `with_context({}, ...)`.)
// A failure is logged as a warning with the scope's name and the place it came from, and counted; one with the code
// `cancelled`, or that of the reason it was cancelled for, is not, where the scope was cancelled. close() and stop() wait as
// long as it takes: no deadline cuts them short, so work of the scope must not wait for them: it would wait for itself. A scope that is destroyed while its work runs cancels it, says so in the log and is counted
// (`shard::scopes_leaked`); the work ends on its own, so what it refers to must outlive it: stop() first.
// Shard rules: one shard's. Cost: a pooled frame for each piece of work.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <atoll/actors/future/cancel.hh>
#include <atoll/actors/sync/wait_queue.hh>

namespace atoll_root::atoll {

class scope {
 public:
  /// What to do with failures instead of logging them.
  using error_handler = std::function<void(const error&)>;

  explicit scope(std::string name, error_handler on_error = {});
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;
  ~scope();

  /// Starts f(arguments...), which gives void or a future<>. False where the scope is closed or cancelled, or there is
  /// no memory, or f or an argument can't be moved (which count as failures): then f is not called.
  template <class F, class... A>
  bool spawn(F f, A... arguments) {
    if (core_->closed || core_->context.cancelled()) return false;
    ++core_->running;
    try {
      const detail::context_scope in(core_->context.context());
      auto started = run<F, A...>(core_, std::move(f), std::move(arguments)...);
      if (!started.available() || !started.failed()) return true;  // it ends by itself
      core_->ended(started.take_error());
    } catch (...) {  // moving f or an argument
      core_->ended(error::from_exception(std::current_exception()));
    }
    return false;
  }

  /// Ends the waits of the work, and refuses more. The first reason stays.
  void cancel(const error& reason) noexcept { core_->context.cancel(reason); }
  void cancel() noexcept { cancel(error(status_code::cancelled, "scope cancelled")); }
  /// Refuses more work, and waits until what runs has ended.
  future<> close();
  /// cancel() and close().
  future<> stop() {
    cancel();
    return close();
  }

  [[nodiscard]] std::size_t running() const noexcept { return core_->running; }
  [[nodiscard]] std::uint64_t failures() const noexcept { return core_->failures; }
  [[nodiscard]] const std::string& name() const noexcept { return core_->empty.name(); }
  [[nodiscard]] bool cancelled() const noexcept { return core_->context.cancelled(); }

 private:
  struct core {
    core(std::string name, error_handler handler) : empty("scope", std::move(name)), on_error(std::move(handler)) {}
    void ended(const result<>& outcome) noexcept;
    promise<> all_ended;             // after closing; for the first who waits for it
    detail::wait_queue<void> empty;  // for the others
    cancel_source context;
    error_handler on_error;
    std::size_t running = 0;
    std::uint64_t failures = 0;
    bool closed = false;
    bool awaited = false;
  };
  static future<> wait_as_well(std::shared_ptr<core> kept);

  template <class F, class... A>
  static future<> run(std::shared_ptr<core> c, F f, A... arguments) {
    const auto outcome = co_await as_result(detail::invoke_safely(f, std::move(arguments)...));
    c->ended(outcome);
  }

  std::shared_ptr<core> core_;
};

/// Runs f(scope) and then waits for what it spawned; where f fails, that is cancelled first.
template <class F>
auto with_scope(std::string name, F f) -> decltype(detail::invoke_and_await(f, std::declval<scope&>())) {
  scope s(std::move(name));
  auto outcome = co_await as_result(detail::invoke_safely(f, s));
  if (!outcome) s.cancel();
  co_await s.close();
  using T = typename decltype(outcome)::value_type;
  co_return co_await or_fail(future<T>::from_result(std::move(outcome)));
}

}  // namespace atoll_root::atoll
