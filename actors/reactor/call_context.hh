// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The call context: what travels with a piece of work wherever it goes, and how the work is ended early.
//
//   auto left = atoll::current_deadline() - atoll::mono_now();
//   co_await atoll::with_timeout(50ms, [&] { return ref.add("hits", 1); });
//
// A coroutine takes the context that is in force when it is called and keeps it; messages carry its values
// over lanes and connections. Contexts form a tree: cancelling one cancels all below it. A deadline is a
// cancellation by a timer, with the reason `deadline_exceeded`. Every wait of this library hangs a
// cancel_hook into the context it is made in, and ends when that is cancelled. The first reason wins.
// Shared by reference count within its shard. The default one (no deadline, depth 0, nobody to cancel it)
// is a null pointer, so work without a context costs nothing. The one that went last is kept for the next, and lent to a call
// while that waits for nothing: it makes none.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include <atoll/actors/base/error.hh>
#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/actors/reactor/clock.hh>
#include <atoll/actors/reactor/timer_queue.hh>

namespace atoll_root::atoll {

/// The part of a context that crosses to other shards and nodes.
struct call_values {
  time_point deadline = never;  // on this machine's clock; nodes exchange what is left of it
  std::uint32_t depth = 0;      // how many calls stand above this one; 0 for work that serves no call
  std::uint64_t trace_id = 0;   // 0 where nobody traces

  [[nodiscard]] bool is_default() const noexcept { return deadline == never && depth == 0 && trace_id == 0; }
};

/// What is held by the call that this work serves or by one above it, and by nobody else meanwhile, or by none that ends only
/// when this work has: a turn of a service that serves one call at a time, a slot that may move.
struct serial_hold {
  std::uint64_t id;
  std::uint32_t length;  // of the chain
  std::shared_ptr<const serial_hold> above;
};

/// True where one of the chain has this id.
bool holds(const serial_hold* chain, std::uint64_t id) noexcept;

/// Ids of what the call that this work serves holds itself; 0: nothing.
struct own_hold_ids {
  std::uint64_t turn = 0;
  std::uint64_t slot = 0;

  [[nodiscard]] bool any() const noexcept { return (turn | slot) != 0; }
};

/// A wait that can be cancelled. `on_cancel` is called at most once, with the hook taken out of its list; it
/// only schedules. Destroying the hook or unlinking it ends its interest.
struct cancel_hook : list_hook {
  using function = void(cancel_hook*, const error& reason) noexcept;
  explicit cancel_hook(function* f) noexcept : on_cancel(f) {}
  function* on_cancel;
};

class call_context;
struct shard;

/// Shares a call_context within its shard.
class context_ptr {
 public:
  context_ptr() noexcept = default;
  inline explicit context_ptr(call_context* context) noexcept;
  context_ptr(context_ptr&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
  context_ptr& operator=(context_ptr&& other) noexcept {
    std::swap(context_, other.context_);
    return *this;
  }
  context_ptr(const context_ptr& other) noexcept : context_ptr(other.context_) {}
  context_ptr& operator=(const context_ptr& other) noexcept { return *this = context_ptr(other); }
  inline ~context_ptr();

  /// A context with these values below no other; null for the default ones. Throws std::bad_alloc.
  static context_ptr make(const call_values& values);
  /// A context below `parent`, which may be null. Throws std::bad_alloc.
  static context_ptr below(call_context* parent, const call_values& values);

  // The context that a shard keeps for the next: most calls need one only while their task runs.
  /// It, where it may be lent; else null.
  [[nodiscard]] static inline call_context* spare_of(const shard& s) noexcept;
  /// Lends it to a call with these values that holds nothing. It stays the shard's.
  static inline void lend(call_context& spare, const call_values& values) noexcept;
  /// That call has this turn.
  static inline void lent_has_turn(call_context& lent, std::uint64_t turn) noexcept;
  /// What was lent is the caller's from now on.
  static inline context_ptr keep_lent(shard& s) noexcept;
  /// Whether what is lent is the shard's alone, and has been looked at only: ending the loan is then setting it free.
  [[nodiscard]] static inline bool is_untouched(const call_context& lent) noexcept;
  static inline void set_free(call_context& lent) noexcept;
  /// What was lent is needed no more: the shard keeps it where nobody else does.
  static inline void end_loan(shard& s) noexcept;
  /// Lets go of a context; the shard keeps it where it is as new.
  static inline void give_back(shard& s, context_ptr context) noexcept;
  /// Frees it, if it is not lent.
  static void free_spare(shard& s) noexcept;

  /// Gives the reference to the caller.
  call_context* release() noexcept { return std::exchange(context_, nullptr); }
  [[nodiscard]] call_context* get() const noexcept { return context_; }
  call_context* operator->() const noexcept { return context_; }
  explicit operator bool() const noexcept { return context_ != nullptr; }

 private:
  call_context* context_ = nullptr;
};

class call_context : list_hook {
 public:
  [[nodiscard]] const call_values& values() const noexcept { return values_; }

  /// Ends every wait made in this context and in those below it, with this reason. Later waits end at once.
  /// Cancelling what is cancelled does nothing.
  void cancel(const error& reason) noexcept;
  /// Why it was cancelled; null while it was not.
  [[nodiscard]] const error* reason() const noexcept { return reason_ ? &*reason_ : nullptr; }

  /// What is held for this work, for the calls it makes.
  [[nodiscard]] const std::shared_ptr<const serial_hold>& holders() const noexcept { return holders_; }
  [[nodiscard]] const own_hold_ids& own_holds() const noexcept { return own_holds_; }
  /// By the calls above, and by the one that this work serves.
  void set_holders(std::shared_ptr<const serial_hold> above, const own_hold_ids& own) noexcept {
    holders_ = std::move(above);
    own_holds_ = own;
  }

  /// Leaves the list of calls that their service may end: the call it was made for is over.
  void served() noexcept { list_hook::unlink(); }

  /// Has the hook called when the context is cancelled. REQUIRES: reason() is null.
  void add(cancel_hook& hook) noexcept {
    touched_ = true;
    waits_.push_back(hook);
    if (values_.deadline != never && !deadline_.armed()) arm_deadline();
  }

 private:
  friend class context_ptr;
  friend class intrusive_list<call_context>;
  struct deadline_timer final : timer_node {
    explicit deadline_timer(call_context& c) noexcept : timer_node(&passed), context(c) {}
    static void passed(timer_node* t) noexcept;
    call_context& context;
  };

  call_context(call_context* parent, const call_values& v) noexcept : values_(v), parent_(parent) {}
  ~call_context() = default;
  void arm_deadline() noexcept;
  /// Takes the waits of a context below, which goes: they were begun in it and outlive its work.
  void adopt(intrusive_list<cancel_hook>& waits) noexcept;
  static void destroy(call_context* context) noexcept;
  static void free(call_context* context) noexcept;
  /// Nothing in it is left of what it was used for, but its values and own holds.
  [[nodiscard]] bool is_as_new() noexcept {
    return waits_.empty() && children_.empty() && !deadline_.armed() && !reason_ && !holders_;
  }
  /// REQUIRES: is_as_new(), and nobody's.
  void becomes_spare(shard& s) noexcept;

  call_values values_;
  std::uint32_t references_ = 0;
  bool touched_ = false;  // since it was lent: it had a wait, or was cancelled
  context_ptr parent_;
  intrusive_list<cancel_hook> waits_;
  intrusive_list<call_context> children_;
  deadline_timer deadline_{*this};
  std::optional<error> reason_;
  std::shared_ptr<const serial_hold> holders_;
  own_hold_ids own_holds_;
};

inline context_ptr::context_ptr(call_context* context) noexcept : context_(context) {
  if (context_ != nullptr) ++context_->references_;
}
inline context_ptr::~context_ptr() {
  if (context_ != nullptr && --context_->references_ == 0) call_context::destroy(context_);
}

}  // namespace atoll_root::atoll
