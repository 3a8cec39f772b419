// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// One call from a shard to a shard of the same process: a record that travels there and back.
//
//   future<int> f = start_call<int>(core, 1, no_timeout, [](void* instance) { ... });
//
// The record is at once the message, the producer of the caller's future, the timer of its deadline and the
// task that waits for the handler, so a call allocates one pooled block on the caller's shard, which is
// freed there too. Who owns it: the caller until it is sent, the callee until it sends it back.
// Layout: what a plain call needs comes first (call_message, the work, call_reply, a small outcome), so that one with small
// arguments moves two cache lines between the cores, there and back; what only some need comes after it (call_more), and last
// what the callee alone does.
// What depends on the type of the work alone is little code; the rest is of the result's type, or of none.
// The callee's side begins with the record in the run queue of the callee: calls that have expired or were given up are
// not started. Who gives a call up, by deadline or cancellation, has its outcome at once; a note follows the record on
// the same lane and cancels the context that the call is served in. The record goes when both are back.
// Errors: the handler's own; `unavailable` where the service doesn't run there; `deadline_exceeded` at the
// caller the moment its deadline passes, even if the callee is slow or stuck.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>

#include <atoll/sharding/call_message.hh>
#include <atoll/sharding/sendable.hh>

namespace atoll_root::atoll {

/// What the callee has of the outcome: the handler's future while it isn't there, then a value or a failure.
template <class R>
class call_outcome {
 public:
  call_outcome() noexcept {}  // NOLINT(modernize-use-equals-default): the union's members come later
  call_outcome(const call_outcome&) = delete;
  call_outcome& operator=(const call_outcome&) = delete;
  ~call_outcome() { clear(); }

  [[nodiscard]] bool has_value() const noexcept { return has_ == kind::value; }
  [[nodiscard]] status_code code() const noexcept { return has_ == kind::failure ? failure_.code() : status_code::ok; }

  /// The handler gave this: true where it is there, and taken; else it is kept, and the record scheduled when it is.
  bool take(call_message& record, future<R>& f) noexcept {
    if (!f.available() || f.failed()) [[unlikely]]
      return take_other(record, f);
    store(record, f);
    return true;
  }
  [[gnu::noinline]] bool take_other(call_message& record, future<R>& f) noexcept {
    if (f.failed()) {
      fail(record, f.take_error());
      return true;
    }
    record.serves_on();
    ::new (static_cast<void*>(&running_)) future<R>(std::move(f));
    has_ = kind::running;
    running_.notify(record);
    return false;
  }
  /// What was kept is there.
  [[gnu::noinline]] void take_kept(call_message& record) noexcept {
    record.served_on();
    try {
      future<R> f(std::move(running_));
      clear();
      if (f.failed()) return fail(record, f.take_error());
      return store(record, f);
    } catch (...) {  // the result's move failed
      clear();
      fail(record, error::from_exception(std::current_exception()));
    }
  }
  /// It was not served.
  [[gnu::noinline]] void refuse(call_message& record) noexcept { fail(record, record.take_refusal()); }
  /// What is being handled is the outcome.
  [[gnu::noinline]] void fail_with_exception(call_message& record) noexcept {
    fail(record, error::from_exception(std::current_exception()));
  }
  void fail(call_message& record, error e) noexcept {
    e.drop_exception();
    record.report_if_lost(e);
    ::new (static_cast<void*>(&failure_)) error(std::move(e));
    has_ = kind::failure;
  }

  static constexpr bool gives_plainly = std::is_nothrow_move_constructible_v<stored_t<R>>;
  /// REQUIRES: it is a value, and moving it throws nothing. Nothing is left of it.
  void give_value_to(detail::producer<R>& caller) noexcept {
    caller.set_value(std::move(value_));
    value_.~stored();
  }
  /// REQUIRES: there is one.
  void give_to(detail::producer<R>& caller) noexcept {
    if (has_ == kind::failure) return caller.set_error(std::move(failure_));
    try {
      caller.set_value(std::move(value_));
    } catch (...) {
      caller.set_error(error::from_exception(std::current_exception()));
    }
  }

 private:
  using stored = stored_t<R>;
  static_assert(alignof(stored) <= alignof(std::max_align_t),
                "results lie in pooled blocks: at most 16-byte alignment");
  enum class kind : std::uint8_t { none, running, value, failure };

  void store(call_message& record, future<R>& f) noexcept {
    try {
      if constexpr (std::is_void_v<R>) {
        f.get();
        ::new (static_cast<void*>(&value_)) stored();
      } else {
        ::new (static_cast<void*>(std::addressof(value_))) stored(f.get());
      }
      has_ = kind::value;
      if constexpr (detail::must_depart<R>) {
        if (!record.is_local()) detail::depart(value_);
      }
    } catch (...) {  // the result's move failed, or there is no memory
      clear();
      fail(record, error::from_exception(std::current_exception()));
    }
  }
  [[gnu::always_inline]] void clear() noexcept {
    switch (std::exchange(has_, kind::none)) {
      case kind::none:
        break;
      case kind::running:
        running_.~future<R>();
        break;
      case kind::value:
        value_.~stored();
        break;
      case kind::failure:
        failure_.~error();
        break;
    }
  }

  kind has_ = kind::none;
  union {
    future<R> running_;
    stored value_;
    error failure_;
  };
};

/// The caller's part, which makes its future.
template <class R>
class call_reply final : public detail::producer<R>, public call_caller {
 public:
  call_reply(std::size_t at, std::size_t more_at, const call_caller::actions& of) noexcept
      : call_caller(at, more_at, of) {}
  using call_caller::is_plain;
  using call_caller::start;
  using call_caller::start_bounded;
  using call_caller::start_plain;

  /// end_plain(), and the value.
  [[gnu::always_inline]] static void complete_plain(shard& here, call_message& message, call_reply& reply,
                                                    call_outcome<R>& outcome, block_pool::list_id list) noexcept {
    reply.end_any_brief(here, message);
    outcome.give_value_to(reply);
    call_caller::end_plain(here, message, reply, reply.waiter(), list);
  }

  /// What it does as part of a record that this destroys.
  static constexpr call_caller::actions actions_with(void (*destroy)(call_caller& self) noexcept,
                                                     bool one_way) noexcept {
    return {{&lasts}, &expire, &cancelled, destroy, &is_on_its_way, one_way};
  }
  /// The record, all of it but its work, is back: it goes now, or when its note is back, too.
  [[gnu::noinline]] static void complete(call_reply& reply, call_outcome<R>& outcome, std::size_t bytes) noexcept {
    shard& here = *detail::current_shard;
    const status_code code = outcome.code();
    if (!reply.has_its_outcome()) [[likely]]
      outcome.give_to(reply);
    if (reply.take_back(here, code, reply)) [[likely]]
      free(here, reply, outcome, bytes);
  }
  /// The same without an outcome.
  [[gnu::noinline]] static void destroy(call_reply& reply, call_outcome<R>& outcome, std::size_t bytes) noexcept {
    free(*detail::current_shard, reply, outcome, bytes);
  }
  /// What is made already begins, or fails at once where it may not.
  [[gnu::noinline]] static void start_or_refuse(call_reply& reply, shard& here, const service_core* core, shard_id to,
                                                duration timeout) noexcept {
    auto why = refuses_call(core, to, timeout);
    if (!why) return reply.start(here, timeout);
    reply.set_error(*std::move(why));
    reply.destroy_record();
  }
  /// What a call gives that may not begin; nothing where it may.
  [[gnu::noinline]] static std::optional<future<R>> refusal(const service_core* core, shard_id to, duration timeout) {
    if (auto why = refuses_call(core, to, timeout)) return make_failed_future<R>(*std::move(why));
    return std::nullopt;
  }

 private:
  static void expire(timer_node* t) noexcept {
    static_cast<call_reply&>(call_hook<timer_node>::call_of(*t))
        .give_up(error(status_code::deadline_exceeded, "deadline exceeded in a call"));
  }
  static void cancelled(cancel_hook* hook, const error& reason) noexcept {
    static_cast<call_reply&>(call_hook<cancel_hook>::call_of(*hook)).give_up(detail::wait_failed(reason, "a call"));
  }
  [[gnu::always_inline]] static void free(shard& here, call_reply& reply, call_outcome<R>& outcome,
                                          std::size_t bytes) noexcept {
    void* block = &reply.message();
    reply.~call_reply();
    outcome.~call_outcome();
    here.blocks.free(block, bytes);
  }
  /// Ends the wait; the record stays until it is back.
  void give_up(error why) noexcept {
    const bool gone = leave(why.code());
    has_outcome(why.code());
    this->set_error(std::move(why));
    this->wake();
    if (gone) this->destroy_record();
  }
  static void is_on_its_way(call_caller& self) noexcept {
    if constexpr (std::is_void_v<R>) {
      auto& reply = static_cast<call_reply&>(self);
      reply.stop_waiting();
      reply.has_outcome(status_code::ok);
      reply.set_value();
      reply.wake();
    }
  }
};

/// Work whose bounds, or method, are known by its type.
template <class F>
concept has_static_bounds = requires { &F::bounds; } && !std::is_member_pointer_v<decltype(&F::bounds)>;
template <class F>
concept has_static_number = requires { &F::number; } && !std::is_member_pointer_v<decltype(&F::number)>;

/// Work that has a turn of its callee always, and more there that the caller doesn't touch: `at_callee`, which has `its_turn` and no
/// constructors. The work is told of it: arrives(it), each time that the call's task begins; operator()(instance, it); ended(it), if it wants to know.
template <class F>
concept keeps_at_callee = requires { typename F::at_callee; };
template <class F>
struct type_at_callee {
  struct type {};
};
template <keeps_at_callee F>
struct type_at_callee<F> {
  using type = typename F::at_callee;
};
template <class F>
using kept_at_callee = typename type_at_callee<F>::type;

/// F: what is done with the instance, a function that returns future<R>; what else it may have, is looked for where it is used.
template <class R, class F>
class call_record final : public call_message {
 public:
  static constexpr bool is_one_way = requires { requires F::one_way; };
  static constexpr bool is_of_method = requires(F& f) { f.number(); };
  static constexpr bool needs_turn = keeps_at_callee<F>;
  static_assert(!is_one_way || std::is_void_v<R>, "nobody waits for the result of a one-way message");

  /// Larger records may be in none of the shard's lists. The rest is for what lies between the parts.
  static constexpr std::size_t plain_bytes_max = block_pool::pooled_bytes_max - sizeof(call_message) -
                                                 sizeof(call_reply<R>) - sizeof(call_more) - sizeof(kept_at_callee<F>) -
                                                 64;
  /// Nothing but its context and how busy its way is can make it other than plain.
  static constexpr bool may_be_plain = is_of_method && sizeof(F) + sizeof(call_outcome<R>) <= plain_bytes_max &&
                                       !is_one_way && call_outcome<R>::gives_plainly &&
                                       !requires(F& f, call_message& m, call_caller& c) { f.in_record(m, c); };

  /// Makes one in this block and sends it; one that may be plain may also fail at once, others have been asked whether they may
  /// begin. `make`: gives the work, of the arguments, where it is to be.
  template <class Make, class... A>
  [[gnu::always_inline]] static future<R> start(void* block, shard& here, service_core* core, shard_id to,
                                                duration timeout, Make& make, A&&... arguments) {
    call_record* record = nullptr;
    if constexpr (noexcept(make(std::forward<A>(arguments)...)) && !requires(F& f) { f.depart(); }) {
      record = ::new (block) call_record(here, core, to, make, std::forward<A>(arguments)...);
    } else {
      try {
        record = ::new (block) call_record(here, core, to, make, std::forward<A>(arguments)...);
      } catch (...) {
        here.blocks.free(block, sizeof(call_record));
        throw;
      }
    }
    future<R> f(record->reply_);
    if constexpr (!may_be_plain) {
      if constexpr (requires { record->work_.in_record(*record, record->reply_); })
        record->work_.in_record(*record, record->reply_);
      record->reply_.start(here, timeout);
    } else if (may_be_refused(here, to, timeout)) [[unlikely]] {
      call_reply<R>::start_or_refuse(record->reply_, here, core, to, timeout);
    } else if (timeout >= timeout_max) {
      record->reply_.start_plain(here, *record, to);
    } else {
      record->reply_.start_bounded(here, *record, timeout, to);
    }
    return f;
  }

 private:
  // Where things are in it, from its begin. What is constant is written with few instructions, so that a call costs little.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winvalid-offsetof"
  static constexpr std::size_t reply_at() noexcept {
    return offsetof(call_record, reply_) + sizeof(detail::producer<R>);
  }
  static constexpr std::size_t more_at() noexcept { return offsetof(call_record, more_); }
  static constexpr std::size_t turn_at() noexcept {
    return offsetof(call_record, at_callee_) + offsetof(kept_at_callee<F>, its_turn);
  }
#pragma GCC diagnostic pop
  static constexpr call_kind kind() noexcept {
    call_kind its{.caller_at = static_cast<std::uint16_t>(reply_at() / place_unit)};
    if constexpr (keeps_at_callee<F>) its.turn_at = static_cast<std::uint16_t>(turn_at() / place_unit);
    if constexpr (has_static_bounds<F>) its.bounds = static_cast<std::uint16_t>(F::bounds);
    if constexpr (has_static_number<F>) its.counted_at = static_cast<std::uint16_t>(F::number() + 1);
    return its;
  }
  template <class Make, class... A>
  call_record(const shard& here, service_core* core, shard_id to, Make& make, A&&... arguments)
      : call_message(here, core, to, &execute, kind()),
        work_(make(std::forward<A>(arguments)...)),
        reply_(reply_at(), more_at(), actions) {
    // Where its slot says where it goes, that may change.
    if constexpr (requires { work_.depart(); }) {
      if (to != here.id || requires { work_.slot; }) work_.depart();
    }
    static_assert(
        sizeof(call_record) / place_unit <= UINT16_MAX,
        "the arguments and the result of a call lie in its record, of at most 512 KiB: larger things travel in "
        "containers, buffers or streams");
    static_assert(!may_be_plain || sizeof(call_record) <= block_pool::pooled_bytes_max);
    if constexpr (requires { work_.bounds; } && !has_static_bounds<F>) this->has_bounds(work_.bounds);
    if constexpr (is_of_method && !has_static_number<F>) this->is_of_the_method(work_.number());
    if constexpr (!keeps_at_callee<F> && requires { work_.key(); }) this->has_key(work_.key());
  }

  static void execute(task* t) noexcept {
    auto& self = *static_cast<call_record*>(t);
    shard& here = *detail::current_shard;
    if constexpr (requires { requires F::has_group; }) {
      if (self.changes_group()) return;
    }
    if constexpr (keeps_at_callee<F>) self.work_.arrives(self.at_callee_);
    begun its;
    if constexpr (is_of_method) its = needs_turn ? self.begin_in_turn(here) : self.begin(here);
    if (its.counts == nullptr) [[unlikely]] {
      const auto how = self.arrive(here, its.instance);
      if (how == arrival::wait) return;
      if (how == arrival::refuse) {
        self.outcome_.refuse(self);
        return self.end(here, nullptr);
      }
    }
    bool there = true;
    here.work = &detail::name_of_work<F>;
    try {
      future<R> f = self.serve(its.instance);
      there = self.outcome_.take(self, f);
    } catch (...) {
      self.outcome_.fail_with_exception(self);
    }
    here.work = nullptr;
    if (there) [[likely]]
      return self.end(here, its.counts);
    self.task::run = &finish;
  }
  [[gnu::always_inline]] future<R> serve(void* instance) {
    if constexpr (keeps_at_callee<F>) {
      return work_(instance, at_callee_);
    } else {
      return work_(instance);
    }
  }
  static void finish(task* t) noexcept {
    auto& self = *static_cast<call_record*>(t);
    self.outcome_.take_kept(self);
    self.end(*detail::current_shard, nullptr);
  }
  /// `plain`: where begin() said so, and it has not waited.
  [[gnu::always_inline]] void end(shard& here, method_stats* plain) noexcept {
    // Work that wants to know when it has ended is told, before its turn ends.
    if constexpr (requires { work_.ended(at_callee_); }) {
      work_.ended(at_callee_);
    } else if constexpr (requires { work_.ended(); }) {
      work_.ended();
    }
    if (plain != nullptr && outcome_.has_value()) [[likely]] {
      if constexpr (needs_turn) return send_back_in_turn(here, *plain, &complete);
      return send_back_plain(here, *plain, &complete);
    }
    send_back(here, outcome_.code(), &complete);
  }
  static void complete(task* t) noexcept {
    auto& self = *static_cast<call_record*>(t);
    self.work_.~F();
    if constexpr (may_be_plain) {
      if (self.reply_.is_plain() && self.outcome_.has_value()) [[likely]]
        return call_reply<R>::complete_plain(*detail::current_shard, self, self.reply_, self.outcome_,
                                             block_pool::list_of(sizeof(call_record)));
    }
    call_reply<R>::complete(self.reply_, self.outcome_, sizeof(call_record));
  }
  /// Without its work, where that was back.
  static void destroy(call_caller& caller) noexcept {
    auto& record = static_cast<call_record&>(caller.message());
    if (!caller.is_back()) record.work_.~F();
    call_reply<R>::destroy(record.reply_, record.outcome_, sizeof(call_record));
  }
  static constexpr auto actions = call_reply<R>::actions_with(&destroy, is_one_way);

  static_assert(alignof(F) <= alignof(std::max_align_t), "arguments lie in pooled blocks: at most 16-byte alignment");

  // In this order: a call with two words of arguments, and a word for a result, uses two cache lines.
  F work_;
  call_reply<R> reply_;
  call_outcome<R> outcome_;
  call_more more_;
  // Apart from what the caller touches.
  [[no_unique_address]] kept_at_callee<F> at_callee_;
};

template <class R, class Make, class... A>
future<R> start_made_call_in_new_block(service_core* core, shard_id to, duration timeout, Make make, A&&... arguments);

/// Runs work(instance of the service) on a shard; `core` null: work(nullptr). The work, which make(arguments...) gives, returns a
/// future<R>.
template <class R, class Make, class... A>
future<R> start_made_call(service_core* core, shard_id to, duration timeout, Make make, A&&... arguments) {
  using record = call_record<R, std::invoke_result_t<Make&, A...>>;
  shard& here = this_shard();
  void* block = nullptr;
  if constexpr (record::may_be_plain) {
    block = here.blocks.take(sizeof(record));
    if (block == nullptr) [[unlikely]]
      return start_made_call_in_new_block<R>(core, to, timeout, make, std::forward<A>(arguments)...);
  } else {
    if (may_be_refused(here, to, timeout)) {
      if (auto refused = call_reply<R>::refusal(core, to, timeout)) return *std::move(refused);
    }
    block = here.blocks.allocate(sizeof(record));
  }
  return record::start(block, here, core, to, timeout, make, std::forward<A>(arguments)...);
}
/// The same of one that may be plain, where no block is at hand: it starts anew with one. A function of its own, or the other would
/// have to save registers each time.
template <class R, class Make, class... A>
[[gnu::noinline]] future<R> start_made_call_in_new_block(service_core* core, shard_id to, duration timeout, Make make,
                                                         A&&... arguments) {
  this_shard().blocks.provide(sizeof(call_record<R, std::invoke_result_t<Make&, A...>>));
  return start_made_call<R>(core, to, timeout, make, std::forward<A>(arguments)...);
}
/// The same of work that is there.
template <class R, class F>
future<R> start_call(service_core* core, shard_id to, duration timeout, F&& work) {
  static_assert(!std::is_lvalue_reference_v<F>, "the work moves into the call");
  return start_made_call<R>(core, to, timeout, [&work]() noexcept(std::is_nothrow_move_constructible_v<F>) -> F {
    return std::forward<F>(work);
  });
}

}  // namespace atoll_root::atoll
