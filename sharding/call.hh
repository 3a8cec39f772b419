// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// One call from a shard to a shard of the same process: a record that travels there and back.
//
//   future<int> f = start_call<int>(core, 1, no_timeout, [](void* instance) { ... });
//
// The record is at once the message, the state of the caller's future, the timer of its deadline and the
// task that waits for the handler, so a call allocates one pooled block on the caller's shard, which is
// freed there too. Who owns it: the caller until it is sent, the callee until it sends it back.
// Layout: what both shards touch comes first, so that a call with small arguments moves two or three cache lines between
// the cores, there and back; what only the caller touches comes after it.
// The callee's side begins with the record in the run queue of the callee: calls that have expired or were given up are
// not started. Who gives a call up, by deadline or cancellation, has its outcome at once; a note follows the record on
// the same lane and cancels the context that the call is served in. The record goes when both are back.
// Errors: the handler's own; `unavailable` where the service doesn't run there; `deadline_exceeded` at the
// caller the moment its deadline passes, even if the callee is slow or stuck.
#pragma once

#include <cstddef>
#include <optional>
#include <variant>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/reactor/timer_queue.hh>
#include <atoll/sharding/outbox.hh>
#include <atoll/sharding/service_core.hh>

namespace atoll_root::atoll {

/// Stands for "no timeout but the one of the context".
inline constexpr duration no_timeout = duration::max();

/// What only some calls need of what crosses: it lies apart, so that others don't move it.
struct call_extras {
  std::uint64_t trace_id = 0;
  std::uint64_t key = 0;   // of a method with bounds per key
  std::uint64_t turn = 0;  // the callee's: the turn that it has
  std::uint64_t slot = 0;  // what slot_map::hold_of() says, of a call by slot
  std::shared_ptr<const serial_hold> holders;
  time_point arrived{};  // the callee's, where weight is not 0
  std::uint32_t weight = 0;
};

/// The part of a call that both shards touch.
class call_message : public task {
 public:
  [[nodiscard]] shard_id from() const noexcept { return from_; }
  [[nodiscard]] shard_id to() const noexcept { return to_; }
  [[nodiscard]] bool is_local() const noexcept { return from_ == to_; }
  /// True for a call that must not wait behind others: see outbox.hh.
  [[nodiscard]] bool passes_bounds() const noexcept { return core_ == nullptr || depth_ > 1; }

  [[nodiscard]] service_core* core() const noexcept { return core_; }
  /// Ends what is served, with this reason. REQUIRES: it is served, here.
  void cancel_work(const error& reason) noexcept {
    if (task::context) task::context->cancel(reason);
  }

  /// The caller's, of a call by slot.
  void is_for_slot(std::uint64_t hold) noexcept {
    extras_.slot = hold;
    has_extras_ = true;
  }
  void set_to(shard_id to) noexcept { to_ = static_cast<std::uint16_t>(to); }

  // For turns.
  [[nodiscard]] bool is_given_up() const noexcept { return given_up_ != status_code::ok; }
  [[nodiscard]] const serial_hold* holders() const noexcept { return extras_.holders.get(); }
  void has_turn(std::uint64_t id) noexcept {
    place_ = place::has_turn;
    extras_.turn = id;
    has_extras_ = true;
  }
  void has_no_turn() noexcept { place_ = place::none; }
  /// The callee's: the next call may have its turn, while this one goes on.
  void end_turn() noexcept;

 protected:
  call_message(service_core* core, shard_id to, task::run_function* execute, std::size_t method,
               call_extras& extras) noexcept
      : task(execute, nullptr, this_shard().group),
        from_(static_cast<std::uint16_t>(this_shard_id())),
        to_(static_cast<std::uint16_t>(to)),
        method_(static_cast<std::uint8_t>(method)),
        core_(core),
        extras_(extras) {
    task::ordered = true;
  }
  ~call_message() = default;

  /// The caller's: takes over what the context in force has.
  void take_over_context(bool one_way) noexcept {
    if (call_context* context = this_shard().context) take_over(*context, one_way);
  }

  // The callee's.
  /// Puts it into the run queue of the group that its method is served in; false where it is there.
  bool changes_group(std::size_t method_number) noexcept;
  // `method_number`: whom service_stats counts it for.
  /// It waits for something: its service may end it.
  void serves_on(std::size_t method_number) noexcept;
  /// That is over.
  void served_on(std::size_t method_number) noexcept;
  /// Says that a message nobody waits for was not served, or failed.
  void report_lost(const error& e) const noexcept;
  enum class arrival : std::uint8_t { serve, wait, refuse };
  /// Finds the instance, takes a turn there, and makes the call's context. To wait: it is executed again when it has its
  /// turn. To refuse: with this error for the caller.
  arrival arrive(std::size_t method_number, void*& instance, std::optional<error>& refused) noexcept;
  /// The outcome is stored: counts it and sends the record back, to run `complete` on the caller's shard.
  void send_back(std::size_t method_number, status_code outcome, task::run_function* complete) noexcept;

 private:
  friend class call_caller;
  enum class progress : std::uint8_t { queued, running, over };
  enum class place : std::uint8_t { none, waits, has_turn };

  static constexpr std::uint32_t depth_max = UINT16_MAX;

  static std::shared_ptr<const serial_hold> holders_of(call_context& context) noexcept;
  void take_over(call_context& context, bool one_way) noexcept;
  static arrival refuse(std::optional<error>& refused, error why) noexcept;
  arrival take_turn(turns& bounds, std::optional<error>& refused);
  void is_timed_for(std::uint32_t weight) noexcept;
  void count(service_stats& stats, std::size_t method_number, status_code outcome) noexcept;

  std::uint16_t depth_ = 1;
  std::uint16_t from_ = 0;
  std::uint16_t to_;
  status_code given_up_ = status_code::ok;  // by the caller, before it was started
  progress progress_ = progress::queued;    // written by the callee only
  place place_ = place::none;               // among those that the instance serves
  bool entered_ : 1 = false;                // the core counts this call
  bool is_timed_ : 1 = false;               // how long it takes is recorded
  bool has_extras_ = false;                 // the callee has to look at them
  std::uint8_t method_;                     // whose bounds hold: 0 the service's, n those of method n - 1
  service_core* core_;                      // null: the call is to the shard itself
  time_point deadline_ = never;
  call_extras& extras_;
};

/// The part that only the caller's shard touches, but for the note, which travels.
class call_caller : public timer_node, public cancel_hook, public outbox_hook {
 public:
  /// Hands the record to the target shard.
  void send() noexcept;
  [[nodiscard]] bool passes_bounds() const noexcept { return message_.passes_bounds(); }
  /// The message will go unanswered: what waits is done when it is on its way.
  void goes_one_way() noexcept { one_way_ = true; }
  /// It goes to the shard that has this slot, now or when that has moved.
  void goes_by_slot(slot_map& slots, slot_id slot) noexcept {
    slots_ = &slots;
    slot_ = slot;
    message_.is_for_slot(slots.hold_of(slot));
  }
  /// True where it is made to serve, directly or not, a call for the same slot. For slot_map, which asks when it is made.
  bool find_out_if_made_for(std::uint64_t hold) noexcept { return made_for_its_slot_ = is_made_under(hold); }
  /// The same of what runs now.
  [[nodiscard]] static bool is_made_under(std::uint64_t hold) noexcept;
  /// It is kept, and given up with `failed_precondition`: what it waits for waits for it.
  void waits_for_itself() noexcept;
  [[nodiscard]] bool is_made_for_its_slot() const noexcept { return made_for_its_slot_; }
  /// For slot_map: it was kept, and goes to this shard now.
  void released(shard_id to) noexcept;
  /// Gives its place among the calls under way to another, once.
  void release_place() noexcept;

 protected:
  call_caller(call_message& message, timer_node::fire_function* expire, cancel_hook::function* cancelled) noexcept
      : timer_node(expire), cancel_hook(cancelled), message_(message) {}
  ~call_caller() = default;

  /// Arms the timeout, watches the context and sends, or schedules where the target is this shard.
  void start(duration timeout) noexcept;
  /// Stops waiting and, where the call is under way, has it cancelled. True where nothing of it comes back any more.
  bool leave(status_code why) noexcept;
  void stop_waiting() noexcept {
    timer_node::cancel();
    cancel_hook::unlink();
  }
  /// The record is back: its place in the outbox is free. True where nothing else of the call is under way. `first`: the caller
  /// had no outcome before.
  bool take_back(bool first, status_code code) noexcept;
  /// The caller has its outcome.
  void has_outcome(status_code code) noexcept;

  /// What deletes the record when the note is back after it.
  virtual void forget() noexcept = 0;
  /// Ends the wait of a one-way message.
  virtual void is_on_its_way() noexcept = 0;
  /// It goes to another shard than it was made for.
  virtual void retarget(shard_id to) noexcept = 0;

 private:
  struct note final : task {
    note(call_caller& c, status_code reason) noexcept : task(&arrived), call(c), why(reason) { at_once = true; }
    static void arrived(task* t) noexcept;
    static void back(task* t) noexcept;
    call_caller& call;
    status_code why;
  };

  static void cancel_served(call_message& message, status_code why) noexcept;
  void go() noexcept;
  void count_outcome(outbox& way, status_code code) noexcept;

  call_message& message_;
  std::optional<note> note_;
  bool record_is_back_ = false;
  bool has_place_ = true;
  bool one_way_ = false;
  bool is_kept_ = false;            // until its slot is released, or for ever
  bool made_for_its_slot_ = false;  // as of then
  slot_id slot_ = 0;
  std::uint32_t weight_ = 0;   // for how many calls began_ stands
  slot_map* slots_ = nullptr;  // of a call by slot
  time_point began_{};
};

template <class R, class F>
class call_record final : public call_message {
 public:
  static constexpr bool is_one_way = [] {
    if constexpr (requires { F::one_way; }) return F::one_way;
    return false;
  }();

  static future<R> start(service_core* core, shard_id to, duration timeout, F work) {
    void* block = pool_allocate(sizeof(call_record));
    call_record* record = nullptr;
    try {
      record = ::new (block) call_record(core, to, std::move(work));
    } catch (...) {  // the function's move failed
      pool_free(block, sizeof(call_record));
      throw;
    }
    future<R> f(static_cast<detail::state<R>&>(record->caller_));
    record->caller_.start(timeout);
    return f;
  }

 private:
  using running = future<R>;
  using outcome = result<R>;

  struct caller final : call_caller, detail::state<R> {
    explicit caller(call_record& r) noexcept
        : call_caller(r, &expire, &cancelled), detail::state<R>(&destroy), record(r) {}
    using call_caller::has_outcome;
    using call_caller::start;
    using call_caller::take_back;

    static void expire(timer_node* t) noexcept {
      static_cast<caller*>(static_cast<call_caller*>(t))
          ->give_up(error(status_code::deadline_exceeded, "deadline exceeded in a call"));
    }
    static void cancelled(cancel_hook* hook, const error& reason) noexcept {
      static_cast<caller*>(static_cast<call_caller*>(hook))->give_up(detail::wait_failed(reason, "a call"));
    }
    /// Ends the wait; the record stays until it is back.
    void give_up(error why) noexcept {
      const bool gone = this->leave(why.code());
      this->has_outcome(why.code());
      this->set_error(std::move(why));
      this->wake();
      if (gone) this->producer_leaves();
    }
    void forget() noexcept override { this->producer_leaves(); }
    void is_on_its_way() noexcept override {
      if constexpr (is_one_way) {
        this->stop_waiting();
        this->has_outcome(status_code::ok);
        this->set_value();
        this->wake();
      }
    }
    void retarget(shard_id to) noexcept override {
      if constexpr (requires { record.work_.retarget(to); }) record.work_.retarget(to);
    }
    static void destroy(detail::state_base* s) noexcept {
      auto* record = &static_cast<caller*>(static_cast<detail::state<R>*>(s))->record;
      record->~call_record();
      pool_free(record, sizeof(call_record));
    }

    call_record& record;
  };

  call_record(service_core* core, shard_id to, F work)
      : call_message(core, to, &execute, method_of(work), extras_), work_(std::move(work)), caller_(*this) {
    this->take_over_context(is_one_way);
    if constexpr (requires { work_.key(); }) extras_.key = work_.key();
    if constexpr (is_one_way) caller_.goes_one_way();
    if constexpr (requires { work_.in_record(*this, caller_); }) work_.in_record(*this, caller_);
  }

  static constexpr bool has_group = [] {
    if constexpr (requires { F::has_group; }) return F::has_group;
    return false;
  }();

  static std::size_t method_of(const F& work) noexcept {
    if constexpr (requires { work.method; }) return work.method;
    return 0;
  }
  static std::size_t number_of_method(const F& work) noexcept {
    if constexpr (requires { work.number(); }) return work.number();
    return service_stats::others;
  }
  static void execute(task* t) noexcept {
    auto& self = *static_cast<call_record*>(t);
    if constexpr (has_group) {
      if (self.changes_group(F::number())) return;
    }
    void* instance = nullptr;
    std::optional<error> refused;
    switch (self.arrive(number_of_method(self.work_), instance, refused)) {
      case arrival::serve:
        break;
      case arrival::wait:
        return;
      case arrival::refuse:
        return self.end_with_error(std::move(*refused));
    }
    future<R> f = self.begin(instance);
    if (f.available()) return self.end_with(f);
    self.serves_on(number_of_method(self.work_));
    self.task::run = &finish;
    self.state_.template emplace<running>(std::move(f)).notify(self);
  }

  future<R> begin(void* instance) noexcept {
    const detail::context_scope scope(task::context.get());
    const detail::work_scope working(detail::name_of_work<F>);
    try {
      return work_(instance);
    } catch (...) {
      return make_failed_future<R>(error::from_exception(std::current_exception()));
    }
  }

  static void finish(task* t) noexcept {
    auto& self = *static_cast<call_record*>(t);
    self.served_on(number_of_method(self.work_));
    self.end_with(std::get<running>(self.state_));
  }

  /// The outcome takes the future's place, where that is ours.
  void end_with(future<R>& f) noexcept {
    if (f.failed()) return end_with_error(f.take_error());
    try {
      state_.template emplace<outcome>(f.get_result());
    } catch (...) {  // the result's move failed
      return end_with_error(error::from_exception(std::current_exception()));
    }
    tell_work();
    send_back(number_of_method(work_), status_code::ok, &complete);
  }
  void end_with_error(error e) noexcept {
    e.drop_exception();
    const auto code = e.code();
    if constexpr (is_one_way) this->report_lost(e);
    state_.template emplace<outcome>(std::move(e));
    tell_work();
    send_back(number_of_method(work_), code, &complete);
  }
  /// Work that wants to know when it has ended is told, before its turn ends.
  void tell_work() noexcept {
    if constexpr (requires { work_.ended(); }) work_.ended();
  }

  static void complete(task* t) noexcept {
    auto& self = *static_cast<call_record*>(t);
    caller& c = self.caller_;
    auto& back = std::get<outcome>(self.state_);
    const bool first = !c.ready();
    const bool last = c.take_back(first, back ? status_code::ok : back.error().code());
    if (first) {
      try {
        c.set_result(std::move(back));
      } catch (...) {
        c.set_error(error::from_exception(std::current_exception()));
      }
      c.wake();
    }
    if (last) c.producer_leaves();
  }

  static_assert(alignof(F) <= alignof(std::max_align_t), "arguments lie in pooled blocks: at most 16-byte alignment");

  F work_;
  std::variant<std::monostate, running, outcome> state_;  // the callee's
  call_extras extras_;
  caller caller_;
};

/// `out_of_range`, with how many shards there are.
error no_such_shard(shard_id shard);

/// Twice as many calls to a shard as begin without waiting.
bool too_many_under_way(shard_id to) noexcept;

/// Runs work(instance of the service) on a shard; `core` null: work(nullptr). The work returns a future<R>.
template <class R, class F>
future<R> start_call(service_core* core, shard_id to, duration timeout, F work) {
  if (to >= this_shard().count) return make_failed_future<R>(no_such_shard(to));
  if (timeout <= duration::zero())
    return make_failed_future<R>(error(status_code::deadline_exceeded, "no time for a call"));
  if (const error* reason = cancellation()) return make_failed_future<R>(detail::wait_failed(*reason, "a call"));
  if constexpr (call_record<R, F>::is_one_way) {
    // Those sent while serving a call don't wait for a place, and their senders go on: else they had no bound.
    if (too_many_under_way(to))
      return make_failed_future<R>(error(status_code::resource_exhausted, "too many calls under way"));
  }
  return call_record<R, F>::start(core, to, timeout, std::move(work));
}

}  // namespace atoll_root::atoll
