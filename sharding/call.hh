// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// One call from a shard to a shard of the same process: a record that travels there and back.
//
//   future<int> f = start_call<int>(core, 1, no_timeout, [](void* instance) { ... });
//
// The record is at once the message, the state of the caller's future, the timer of its deadline and the
// task that waits for the handler, so a call allocates one pooled block on the caller's shard, which is
// freed there too. Who owns it: the caller until send(), the callee until it sends it back.
// The callee's side begins with the record in the run queue of the callee: expired calls are not started.
// Errors: the handler's own; `unavailable` where the service doesn't run there; `deadline_exceeded` at the
// caller the moment its deadline passes, even if the callee is slow or stuck.
#pragma once

#include <optional>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/reactor/timer_queue.hh>
#include <atoll/sharding/outbox.hh>
#include <atoll/sharding/service_core.hh>

namespace atoll_root::atoll {

/// Stands for "no timeout but the one of the context".
inline constexpr duration no_timeout = duration::max();

class call_base : public task, public timer_node, public cancel_hook {
 public:
  [[nodiscard]] const call_values& values() const noexcept { return values_; }

  // For the outbox.
  /// True for a call that must not wait behind others: see outbox.hh.
  [[nodiscard]] bool passes_bounds() const noexcept { return core_ == nullptr || values_.depth > 1; }
  outbox_hook& place() noexcept { return place_; }
  /// Hands the record to the target shard.
  void send() noexcept;

 protected:
  call_base(service_core* core, shard_id to, duration timeout, task::run_function* execute,
            timer_node::fire_function* expire, cancel_hook::function* cancelled) noexcept;
  ~call_base() = default;

  /// Caller: watches the context, arms the timeout and sends, or schedules where the target is this shard.
  void start() noexcept;
  /// Callee: puts the call's context in force, finds the instance. The error for the caller if that fails.
  std::optional<error> arrive(void*& instance) noexcept;
  /// Callee: the outcome is stored; sends the record back, to run `complete` on the caller's shard.
  void send_back(task::run_function* complete) noexcept;
  /// Callee: counts the outcome.
  void count(status_code code) noexcept;
  /// Caller: the record is back.
  void take_back() noexcept;

  /// Caller: no timer and no cancellation any more.
  void stop_waiting() noexcept {
    timer_node::cancel();
    cancel_hook::unlink();
  }
  /// Caller: takes a call that was not sent yet out of the outbox; false where it was.
  bool withdraw() noexcept;

 private:
  service_core* core_;  // null: the call is to the shard itself
  call_values values_;
  shard_id from_;
  shard_id to_;
  bool entered_ = false;  // the core counts this call
  outbox_hook place_{*this};
};

template <class R, class F>
class call_record final : public call_base, public detail::state<R> {
 public:
  static future<R> start(service_core* core, shard_id to, duration timeout, F work) {
    void* block = pool_allocate(sizeof(call_record));
    call_record* record = nullptr;
    try {
      record = ::new (block) call_record(core, to, timeout, std::move(work));
    } catch (...) {  // the function's move failed
      pool_free(block, sizeof(call_record));
      throw;
    }
    future<R> f(static_cast<detail::state<R>&>(*record));
    record->call_base::start();
    return f;
  }

 private:
  call_record(service_core* core, shard_id to, duration timeout, F work)
      : call_base(core, to, timeout, &execute, &expire, &cancelled),
        detail::state<R>(&destroy),
        work_(std::move(work)) {}

  static call_record& of(task* t) noexcept { return static_cast<call_record&>(static_cast<call_base&>(*t)); }

  static void execute(task* t) noexcept {
    call_record& self = of(t);
    void* instance = nullptr;
    if (auto refused = self.arrive(instance)) {
      self.count(refused->code());
      self.outcome_.emplace(std::move(*refused));
      return self.send_back(&complete);
    }
    {
      detail::context_scope scope(self.task::context.get());
      try {
        self.running_.emplace(self.work_(instance));
      } catch (...) {
        self.running_.emplace(error::from_exception(std::current_exception()));
      }
    }
    if (self.running_->available()) return finish(t);
    self.task::run = &finish;
    self.running_->notify(self);
  }

  static void finish(task* t) noexcept {
    call_record& self = of(t);
    try {
      self.outcome_.emplace(self.running_->get_result());
    } catch (...) {  // the result's move failed
      self.outcome_.emplace(error::from_exception(std::current_exception()));
    }
    self.running_.reset();
    self.count(*self.outcome_ ? status_code::ok : self.outcome_->error().code());
    if (!*self.outcome_) self.outcome_->error().drop_exception();
    self.send_back(&complete);
  }

  static void complete(task* t) noexcept {
    call_record& self = of(t);
    self.take_back();
    if (!self.ready()) {
      try {
        self.set_result(std::move(*self.outcome_));
      } catch (...) {
        self.set_error(error::from_exception(std::current_exception()));
      }
      self.wake();
    }
    self.producer_leaves();
  }

  static void expire(timer_node* t) noexcept {
    static_cast<call_record&>(static_cast<call_base&>(*t))
        .give_up(error(status_code::deadline_exceeded, "deadline exceeded in a call"));
  }
  static void cancelled(cancel_hook* hook, const error& reason) noexcept {
    static_cast<call_record&>(static_cast<call_base&>(*hook)).give_up(detail::wait_failed(reason, "a call"));
  }
  /// Caller: ends the wait; the record stays until it is back.
  void give_up(error why) noexcept {
    stop_waiting();
    this->set_error(std::move(why));
    this->wake();
    if (withdraw()) this->producer_leaves();
  }

  static void destroy(detail::state_base* s) noexcept {
    auto* self = static_cast<call_record*>(static_cast<detail::state<R>*>(s));
    self->~call_record();
    pool_free(self, sizeof(call_record));
  }

  F work_;
  std::optional<future<R>> running_;  // the callee's
  std::optional<result<R>> outcome_;  // written by the callee, read by the caller
};

/// `out_of_range`, with how many shards there are.
error no_such_shard(shard_id shard);

/// Runs work(instance of the service) on a shard; `core` null: work(nullptr). The work returns a future<R>.
template <class R, class F>
future<R> start_call(service_core* core, shard_id to, duration timeout, F work) {
  if (to >= this_shard().count) return make_failed_future<R>(no_such_shard(to));
  if (const error* reason = cancellation()) return make_failed_future<R>(detail::wait_failed(*reason, "a call"));
  return call_record<R, F>::start(core, to, timeout, std::move(work));
}

}  // namespace atoll_root::atoll
