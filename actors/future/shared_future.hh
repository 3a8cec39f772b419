// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// shared_future<T>: one outcome, many waiters; shared_work<T>: one run of a function for all who want it now.
//
//   atoll::shared_future<config> loaded(load());            // copies share it
//   config c = co_await loaded.get();                       // each waiter gets a copy of the value
//   atoll::shared_work<table> table("table", 5s, [] { return fetch_table(); });
//   auto t = co_await table.get();                          // joins a run under way; a value is good for 5 s
//
// Waits end where their context does, and the others wait on. The work of a shared_work runs in no caller's context; it is
// cancelled when the last who waits for it has left. Failures are shared, too, but not kept: the next get() runs anew.
// A failed shared_future nobody ever asked for is reported like any abandoned failure.
// Shard rules: one shard's.
// Cost: get() of what is there is a copy; a wait one pooled block.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/sync/wait_queue.hh>

namespace atoll_root::atoll {

namespace detail {
template <class T>
inline constexpr bool can_be_shared = std::is_void_v<T> || std::is_copy_constructible_v<stored_t<T>>;
}  // namespace detail

template <class T = void>
class shared_future {
  static_assert(detail::can_be_shared<T>, "each waiter gets a copy of the value: share a std::shared_ptr to it");

 public:
  explicit shared_future(future<T> f) : core_(std::make_shared<core>()) {
    auto waiting = wait(core_, std::move(f));
    if (waiting.available() && waiting.failed()) core_->finish(waiting.take_error());  // no memory
  }

  future<T> get() const {
    core_->asked = true;
    if (core_->outcome) return future<T>::from_result(*core_->outcome);
    return core_->waiting.wait();
  }
  [[nodiscard]] bool available() const noexcept { return core_->outcome.has_value(); }
  [[nodiscard]] bool failed() const noexcept { return available() && !*core_->outcome; }

 private:
  struct core {
    core() : waiting("shared_future", {}) {}
    core(const core&) = delete;
    core& operator=(const core&) = delete;
    ~core() {
      if (outcome && !*outcome && !asked) detail::report_abandoned(outcome->error());
    }
    void finish(result<T> r) {
      outcome.emplace(std::move(r));
      if (!*outcome) return fail_all();
      if constexpr (std::is_void_v<T>) {
        while (!waiting.empty()) waiting.complete_first();
      } else {
        while (!waiting.empty()) waiting.complete_first(static_cast<const stored_t<T>&>(**outcome));
      }
    }
    void fail_all() noexcept { waiting.fail_all_with(outcome->error()); }
    detail::wait_queue<T> waiting;
    std::optional<result<T>> outcome;
    bool asked = false;
  };

  static future<> wait(std::shared_ptr<core> c, future<T> f) {
    try {
      auto outcome = co_await as_result(std::move(f));
      c->finish(std::move(outcome));
    } catch (...) {  // the value's move failed
      c->finish(error::from_exception(std::current_exception()));
    }
  }

  std::shared_ptr<core> core_;
};

template <class T = void>
class shared_work {
  static_assert(detail::can_be_shared<T>, "each waiter gets a copy of the value: share a std::shared_ptr to it");

 public:
  using function = std::function<future<T>()>;

  /// A value is given out for `good_for` after it came; 0: only to those who waited.
  shared_work(std::string name, duration good_for, function work)
      : core_(std::make_shared<core>(std::move(name), good_for, std::move(work))) {}
  shared_work(const shared_work&) = delete;
  shared_work& operator=(const shared_work&) = delete;
  ~shared_work() {
    core_->forget();
    core_->waiting.fail_all(error(status_code::cancelled, "destroyed"));
  }

  future<T> get() {
    core& c = *core_;
    if (c.value && mono_now() < c.good_until) return future<T>::from_result(*c.value);
    c.value.reset();
    auto waiting = c.waiting.wait();  // first, because the work may end at once
    if (!waiting.available() && !c.running) start();
    return waiting;
  }
  /// The next get() runs anew.
  void forget() noexcept { core_->value.reset(); }

 private:
  struct core {
    core(std::string name, duration d, function f)
        : waiting("shared_work", std::move(name), &left, this), good_for(d), work(std::move(f)) {}
    static void left(void* self) noexcept {
      auto* c = static_cast<core*>(self);
      if (c->waiting.empty()) c->forget();
    }
    void forget() noexcept {
      if (auto run = std::exchange(running, nullptr)) run->cancel(error(status_code::cancelled, "nobody waits for it"));
    }
    detail::wait_queue<T> waiting;
    duration good_for;
    function work;
    std::shared_ptr<cancel_source> running;
    std::optional<result<T>> value;
    time_point good_until{};
  };

  void start() {
    const detail::context_scope in_no_context(nullptr);
    core_->running = std::make_shared<cancel_source>();
    auto started = run(core_, core_->running);
    if (started.available() && started.failed()) {  // no memory
      core_->running = nullptr;
      core_->waiting.fail_all(started.take_error());
    }
  }
  static future<> run(std::shared_ptr<core> c, std::shared_ptr<cancel_source> in) {
    const auto work = [&c] { return c->work(); };
    try {
      auto outcome = co_await as_result(in->run(work));
      finish(*c, *in, outcome);
    } catch (...) {  // the value's move failed
      finish(*c, *in, error::from_exception(std::current_exception()));
    }
  }
  static void finish(core& c, const cancel_source& in, const result<T>& outcome) {
    if (c.running.get() != &in) return;  // everybody has left
    c.running = nullptr;
    if (!outcome) return c.waiting.fail_all_with(outcome.error());
    if (c.good_for > duration::zero()) {
      try {
        c.value = outcome;
      } catch (...) {  // then it is not kept
        c.value.reset();
      }
      c.good_until = saturating_add(mono_now(), c.good_for);
    }
    if constexpr (std::is_void_v<T>) {
      while (!c.waiting.empty()) c.waiting.complete_first();
    } else {
      while (!c.waiting.empty()) c.waiting.complete_first(*outcome);
    }
  }

  std::shared_ptr<core> core_;
};

}  // namespace atoll_root::atoll
