// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The parts of a call's record that are the same for calls of all types. Internal to atoll; call.hh has the whole.
//
// call_message is what both shards touch; call_caller what the caller's needs of each call, and call_more what it needs of some, but for
// the extras, the note and the times of the callee, which travel.
// Each side looks first whether the call is plain, which most are (docs/adr/0010-plain-calls.md): what it may have beside is made,
// looked at and ended in functions of its own.
// Shard rules: who has the record writes call_message and the extras; the caller writes call_caller at any time. It also reads then what
// the callee never writes: to(), deadline_, timeout_at_.
#pragma once

#include <bit>
#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>

#include <atoll/actors/future/cancel.hh>
#include <atoll/actors/reactor/timer_queue.hh>
#include <atoll/sharding/key_hash.hh>
#include <atoll/sharding/turns.hh>

namespace atoll_root::atoll {

class call_caller;
class call_message;
class call_streams_base;
class outbox;
class service_core;
class slot_map;
struct method_stats;

/// Stands for "no timeout but the one of the context".
inline constexpr duration no_timeout = duration::max();

/// Longer ones are none: a clock plus this is no overflow.
inline constexpr duration timeout_max = std::chrono::hours(24 * 365 * 100);

/// Stands for what is no described method.
inline constexpr std::size_t no_method = UINT16_MAX;
/// Stands for "no bounds of the service hold".
inline constexpr std::size_t no_bounds = UINT16_MAX;

/// `out_of_range`, with how many shards there are.
error no_such_shard(shard_id shard);

/// Whether to ask refuses_call() at all: most calls may begin.
inline bool may_be_refused(const shard& here, shard_id to, duration timeout) noexcept {
  return here.context != nullptr || to >= here.count || timeout <= duration::zero();
}
/// Why a call may not begin; nothing: it may.
std::optional<error> refuses_call(const service_core* core, shard_id to, duration timeout) noexcept;

/// The place of a call in an outbox, or among those that wait for a slot to move.
struct outbox_hook : list_hook {};

/// What a call hangs into a list, where it waits for more than its record: `Hook` is the list's.
template <class Hook>
struct call_hook final : Hook {
  template <class... A>
  explicit call_hook(call_caller& its_call, A... of_hook) noexcept : Hook(of_hook...), call(its_call) {}
  static call_caller& call_of(Hook& h) noexcept { return static_cast<call_hook&>(h).call; }
  call_caller& call;
};

/// The parts of a record know how far apart they are, in these units.
inline constexpr std::size_t place_unit = 8;
inline std::size_t bytes_between(const void* from, const void* to) noexcept {
  return reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from);
}
/// The part that is so many units away; `units` may be below 0.
template <class Part>
Part& part_at(const void* from, std::int32_t units) noexcept {
  const auto bytes = static_cast<std::uintptr_t>(static_cast<std::intptr_t>(units) * std::intptr_t{place_unit});
  // NOLINTNEXTLINE(performance-no-int-to-ptr): of another member than the one it is reckoned from
  return *reinterpret_cast<Part*>(reinterpret_cast<std::uintptr_t>(from) + bytes);
}

/// What only some calls need of what crosses: it lies apart, so that others don't touch it.
struct call_extras {
  std::uint64_t trace_id = 0;
  call_turn turn{};
  std::uint64_t slot = 0;  // what slot_map::hold_of() says, of a call by slot
  std::shared_ptr<const serial_hold> holders;
  std::optional<error> refusal;  // the callee's: why it was not served
};

/// What all calls of a type of work have in common.
struct call_kind {
  std::uint16_t bounds = 0;      // whose hold: 0 the service's, n those of method n - 1
  std::uint16_t counted_at = 0;  // in service_stats::all()
  std::uint16_t caller_at = 0;   // how far its call_caller is from its begin
  std::uint16_t turn_at = 0;     // how far its call_turn is; 0: it is among the extras
};

/// The part of a call that both shards touch.
class call_message : public task {
 public:
  [[nodiscard]] shard_id from() const noexcept { return from_; }
  [[nodiscard]] shard_id to() const noexcept { return to_; }
  [[nodiscard]] bool is_local() const noexcept { return from_ == to_; }
  /// 0: of the framework, it must not wait behind others; else how deep it is: see outbox.hh.
  [[nodiscard]] std::uint32_t level() const noexcept { return core_ == nullptr ? 0 : depth_; }

  [[nodiscard]] service_core* core() const noexcept { return core_; }
  /// Ends what is served, with this reason. REQUIRES: it is served, here.
  void cancel_work(const error& reason) noexcept {
    ATOLL_ASSERT(!now_.is.on_loan, "a call is ended by others while its own task runs");
    if (task::context) task::context->cancel(reason);
  }

  /// The caller's, of a call by slot.
  void is_for_slot(std::uint64_t hold) noexcept;
  void set_to(shard_id to) noexcept { to_ = static_cast<std::uint16_t>(to); }

  // For turns.
  [[nodiscard]] bool is_given_up() const noexcept { return now_.given_up != status_code::ok; }
  [[nodiscard]] const serial_hold* holders() const noexcept;
  void is_in_line(turn_line& l) noexcept;
  void has_turn(std::uint64_t id) noexcept;
  void has_no_turn() noexcept { now_.is.turn = place::none; }
  /// The callee's: the next call may have its turn, while this one goes on.
  void end_turn() noexcept;

 protected:
  call_message(const shard& here, service_core* core, shard_id to, task::run_function* execute,
               const call_kind& kind) noexcept
      : task(execute, nullptr, here.group),
        from_(static_cast<std::uint16_t>(here.id)),
        to_(static_cast<std::uint16_t>(to)),
        bounds_(kind.bounds),
        counted_at_(kind.counted_at),
        caller_at_(kind.caller_at),
        turn_at_(kind.turn_at),
        core_(core) {
    task::ordered = true;
  }
  ~call_message() = default;

  void has_key(std::uint64_t hash) noexcept;
  // Where its kind doesn't say so.
  void has_bounds(std::size_t bounds) noexcept { bounds_ = static_cast<std::uint16_t>(bounds); }
  void is_of_the_method(std::size_t method) noexcept { counted_at_ = static_cast<std::uint16_t>(method + 1); }

  // The callee's.
  /// Puts it into the run queue of the group that its method is served in; false where it is there.
  bool changes_group() noexcept;
  /// A call that has begun to be served and is plain: where, and who counts it.
  struct begun {
    void* instance = nullptr;
    method_stats* counts = nullptr;  // null: it is not
  };
  /// What arrive() does for most calls; for others it does nothing.
  begun begin(shard& here) noexcept;
  /// The same of those that need a turn, all of them.
  begun begin_in_turn(shard& here) noexcept;
  enum class arrival : std::uint8_t { serve, wait, refuse };
  /// Finds the instance, takes a turn there, and puts the call's context in force. To wait: it is executed again when it has
  /// its turn. To refuse: for take_refusal().
  arrival arrive(shard& here, void*& instance) noexcept;
  error take_refusal() noexcept;
  /// It waits for something: its service may end it.
  void serves_on() noexcept;
  /// That is over.
  void served_on() noexcept;
  /// Says, of a message that nobody waits for, that it was not served, or failed.
  void report_if_lost(const error& e) const noexcept;
  /// The outcome is stored: counts it and sends the record back, to run `complete` on the caller's shard.
  void send_back(shard& here, status_code outcome, task::run_function* complete) noexcept;
  /// The same of one that has begun as a plain one, has not waited and gave a value.
  void send_back_plain(shard& here, method_stats& counts, task::run_function* complete) noexcept;
  /// The same of one that began in its turn.
  void send_back_in_turn(shard& here, method_stats& counts, task::run_function* complete) noexcept;

 private:
  friend class call_caller;
  template <class R>
  friend class call_outcome;
  enum class progress : std::uint8_t { queued, running, over };
  enum class place : std::uint8_t { none, waits, has_turn };
  /// Written by the callee, but for has_extras. One byte, so that the common states are seen with one look.
  struct state {
    progress at : 2;
    place turn : 2;       // among those that the instance serves
    bool entered : 1;     // the core counts this call
    bool is_timed : 1;    // how long it takes is recorded
    bool has_extras : 1;  // the callee has to look at them
    bool on_loan : 1;     // its context is the shard's spare one
  };

  static constexpr std::uint32_t depth_max = UINT16_MAX;

  /// What most calls are while their task runs.
  static constexpr state served_on_loan{.at = progress::running,
                                        .turn = place::none,
                                        .entered = true,
                                        .is_timed = false,
                                        .has_extras = false,
                                        .on_loan = true};
  [[nodiscard]] bool is_new() const noexcept { return std::bit_cast<std::uint16_t>(now_) == 0; }
  [[nodiscard]] std::size_t method() const noexcept { return std::size_t{counted_at_} - 1; }

  static std::shared_ptr<const serial_hold> holders_of(call_context& context) noexcept;
  [[nodiscard]] inline call_caller& caller() const noexcept;
  inline call_extras& extras() noexcept;
  [[nodiscard]] inline call_turn& its_turn() noexcept;
  /// The caller's.
  void take_over(call_context& context, bool one_way) noexcept;
  template <bool InTurn>
  begun begin_plain(shard& here) noexcept;
  template <bool InTurn>
  void send_plain_back(shard& here, method_stats& counts, task::run_function* complete) noexcept;
  bool has_free_turn(turns& bounds, shard& here) noexcept;
  bool has_free_turn_in_extras(turns& bounds, shard& here) noexcept;
  [[nodiscard]] std::uint64_t key_of_turn() noexcept;
  arrival refuse(error why) noexcept;
  arrival take_turn(turns& bounds);
  void is_timed_for(std::uint32_t weight) noexcept;
  void goes_back(shard& here, task::run_function* complete) noexcept;

  std::uint16_t from_;
  std::uint16_t to_;
  std::uint16_t depth_ = 1;
  std::uint16_t bounds_;
  std::uint16_t counted_at_;
  struct {
    state is{};
    status_code given_up = status_code::ok;  // by the caller, before it was started
  } now_;
  std::uint16_t caller_at_;
  std::uint16_t turn_at_;
  timer_queue::brief_place timeout_at_;  // the caller's, where it has a brief timer
  service_core* core_;                   // null: the call is to the shard itself
  time_point deadline_ = never;
};

/// Follows a call that was given up, and comes back.
struct call_note final : task {
  call_note(call_caller& c, status_code reason) noexcept : task(&arrived), call(c), why(reason) { at_once = true; }
  static void arrived(task* t) noexcept;
  static void back(task* t) noexcept;
  call_caller& call;
  status_code why;
};

/// What a caller has of its call beside what most need; call_caller knows what of it is there.
struct call_more {
  call_more() noexcept {}   // NOLINT(modernize-use-equals-default): each part is made where it is needed
  ~call_more() noexcept {}  // NOLINT(modernize-use-equals-default): call_caller ends them
  call_more(const call_more&) = delete;
  call_more& operator=(const call_more&) = delete;

  union {
    call_hook<timer_node> to_expire;
  };
  union {
    time_point began;  // where it is measured
  };
  std::uint32_t weight;  // for how many calls it stands, where it is measured
  // The callee's, where it measures how long the call takes there: for how many it stands, and when it came.
  std::uint32_t weight_there;
  union {
    time_point arrived;
  };
  slot_id slot;                // of a call by slot
  slot_map* slots;             // the same
  call_streams_base* streams;  // where it has some
  union {
    call_hook<cancel_hook> to_cancel;
  };
  union {
    call_hook<outbox_hook> to_wait;
  };
  union {
    call_extras extras;
  };
  union {
    call_note note;
  };
};

/// The part that only the caller's shard touches, but for the mark of extras.
class call_caller : private brief_timer {
 public:
  /// The place in an outbox of a call of the first level.
  static constexpr std::uint8_t first_place = 1;

  /// Hands the record to the target shard; it has this place in the outbox.
  void send(std::uint8_t place) noexcept;
  [[nodiscard]] std::uint32_t level() const noexcept { return message().level(); }
  /// It goes to the shard that has this slot, now or when that has moved.
  void goes_by_slot(slot_map& slots, slot_id slot) noexcept;
  [[nodiscard]] call_message& message() const noexcept { return part_at<call_message>(this, -int{message_at_}); }
  [[nodiscard]] call_more& more() const noexcept { return part_at<call_more>(this, more_at_); }
  [[nodiscard]] bool is_one_way() const noexcept { return its_actions().one_way; }
  [[nodiscard]] bool has_extras() const noexcept { return marks_.made_extras; }
  /// The record is, but something else of the call is under way.
  [[nodiscard]] bool is_back() const noexcept { return is(record_is_back); }
  /// Made where there are none. Of the side that has the record.
  call_extras& extras() noexcept;
  /// They go where it goes.
  void has_streams(call_streams_base& streams) noexcept {
    set(with_streams);
    more().streams = &streams;
  }
  /// True where it is made to serve, directly or not, a call for the same slot. For slot_map, which asks when it is made.
  bool find_out_if_made_for(std::uint64_t hold) noexcept {
    if (is_made_under(hold)) set(made_for_its_slot);
    return is(made_for_its_slot);
  }
  /// The same of what runs now.
  [[nodiscard]] static bool is_made_under(std::uint64_t hold) noexcept;
  /// It is kept, and given up with `failed_precondition`: what it waits for waits for it.
  void waits_for_itself() noexcept;
  [[nodiscard]] bool is_made_for_its_slot() const noexcept { return is(made_for_its_slot); }
  /// For slot_map: it was kept, and goes to this shard now.
  void released(shard_id to) noexcept;
  /// Gives its place among the calls under way to another, once.
  void release_place() noexcept;
  /// Its place among those that wait. Made where there is none.
  outbox_hook& place_to_wait() noexcept {
    if (!is(has_place)) {
      ::new (static_cast<void*>(&more().to_wait)) call_hook<outbox_hook>(*this);
      set(has_place);
    }
    return more().to_wait;
  }

 protected:
  /// What a call does whose result has this type. No virtual functions: the future's producer lies before this part.
  struct actions : brief_timer::actions {
    timer_node::fire_function* expire;
    cancel_hook::function* cancelled;
    /// Deletes the record.
    void (*destroy)(call_caller& self) noexcept;
    /// Ends the wait of a one-way message.
    void (*is_on_its_way)(call_caller& self) noexcept;
    /// The message goes unanswered: what waits is done when it is on its way.
    bool one_way;
  };

  /// `at`: how far this is from the record's begin; `more_at`: how far call_more is.
  call_caller(std::size_t at, std::size_t more_at, const actions& of) noexcept
      : brief_timer(of),
        marks_{.flags = of.one_way ? std::uint16_t{one_way} : std::uint16_t{0}},
        message_at_(static_cast<std::uint16_t>(at / place_unit)),
        more_at_(static_cast<std::uint16_t>((more_at - at) / place_unit)) {}
  inline ~call_caller();

  /// Takes over what the context in force has, watches it, arms the timeout and sends, or schedules where the target is this shard.
  void start(shard& here, duration timeout) noexcept;
  /// The same of a call of a method that nobody can cancel, and that is not one-way, by slot or with streams.
  void start_plain(shard& here, call_message& its, shard_id to) noexcept;
  /// The same with a timeout, of less than timeout_max.
  void start_bounded(shard& here, call_message& its, duration timeout, shard_id to) noexcept;
  static timer_node& lasts(brief_timer& self) noexcept;
  /// Stops waiting and, where the call is under way, has it cancelled. True where nothing of it comes back any more.
  bool leave(status_code why) noexcept;
  void stop_waiting() noexcept {
    if (is(is_brief)) end_brief();
    if (is(has_timer)) more().to_expire.cancel();
    if (is(in_context)) more().to_cancel.unlink();
  }
  /// The record is back, with this outcome, which the caller has: its place in the outbox is free, and who waits is woken. True where
  /// nothing else of the call is under way.
  bool take_back(shard& here, status_code code, detail::producer_base& caller) noexcept;
  /// Nothing but its record, and a brief timer at most, waits for it.
  [[nodiscard]] bool is_plain() const noexcept {
    constexpr auto of_time = std::bit_cast<std::uint32_t>(marks{.flags = is_brief});
    return (std::bit_cast<std::uint32_t>(marks_) & ~of_time) ==
           std::bit_cast<std::uint32_t>(marks{.place = first_place});
  }
  /// The timer of a plain one.
  [[gnu::always_inline]] void end_any_brief(shard& here, const call_message& its) const noexcept {
    if (is(is_brief)) here.timers->end_brief(its.timeout_at_);
  }
  /// take_back() of a plain one whose caller has its value and which has no timer any more, and the end of its record: nothing in
  /// that needs to be destroyed.
  static void end_plain(shard& here, call_message& message, call_caller& caller, task* waiter,
                        block_pool::list_id list) noexcept;
  /// The caller has its outcome, before the record is back.
  void has_outcome(status_code code) noexcept;
  void destroy_record() noexcept { its_actions().destroy(*this); }
  [[nodiscard]] bool has_its_outcome() const noexcept { return is(has_its_own_outcome); }

 private:
  friend struct call_note;
  enum flag : std::uint16_t {
    one_way = 1U << 0U,              // as its actions say
    has_timer = 1U << 1U,            // more().to_expire is there
    in_context = 1U << 2U,           // more().to_cancel is there
    has_place = 1U << 3U,            // more().to_wait is there
    has_note = 1U << 4U,             // more().note is there
    is_kept = 1U << 5U,              // until its slot is released, or for ever
    by_slot = 1U << 6U,              // more().slots counts it
    made_for_its_slot = 1U << 7U,    // as of then
    is_measured = 1U << 8U,          // more().weight and began are there
    has_its_own_outcome = 1U << 9U,  // before the record is back
    record_is_back = 1U << 10U,
    with_streams = 1U << 11U,  // more().streams is there
    is_brief = 1U << 12U,      // its timeout is a brief one, in message().timeout_at_
  };
  [[nodiscard]] bool is(flag f) const noexcept { return (marks_.flags & f) != 0; }
  void set(flag f) noexcept { marks_.flags = static_cast<std::uint16_t>(marks_.flags | f); }
  void unset(flag f) noexcept { marks_.flags = static_cast<std::uint16_t>(marks_.flags & ~f); }

  static void cancel_served(call_message& message, status_code why) noexcept;
  [[nodiscard]] const actions& its_actions() const noexcept { return static_cast<const actions&>(does); }
  void start_bounded_slowly(shard& here, call_message& its, duration timeout, shard_id to) noexcept;
  void start_armed(shard& here, call_message& its, duration timeout, shard_id to) noexcept;
  void send_armed(shard& here, call_message& its, duration timeout, shard_id to) noexcept;
  void arm(const shard& here, time_point now, duration timeout) noexcept;
  timer_node& makes_timer() noexcept;
  void end_brief() noexcept;
  void go(shard& here) noexcept;
  static void end_plain_slowly(shard& here, call_message& message, call_caller& caller, task* waiter,
                               block_pool::list_id list) noexcept;
  void end_parts() noexcept;
  void count_outcome(status_code code) noexcept;

  [[nodiscard]] outbox& way() const noexcept;

  struct marks {
    std::uint16_t flags = 0;
    bool made_extras = false;  // by the side that has the record
    std::uint8_t place = 0;    // what outbox::enter() gave
  };

  marks marks_;
  std::uint16_t message_at_;  // how far message() is
  std::uint16_t more_at_;     // how far more() is
};

inline call_caller& call_message::caller() const noexcept { return part_at<call_caller>(this, caller_at_); }
inline call_extras& call_message::extras() noexcept { return caller().extras(); }
inline call_turn& call_message::its_turn() noexcept {
  if (turn_at_ == 0) return extras().turn;
  return part_at<call_turn>(this, turn_at_);
}

[[gnu::always_inline]] inline call_caller::~call_caller() {
  if ((marks_.flags & (is_brief | has_timer | in_context | has_place)) != 0 || marks_.made_extras) [[unlikely]]
    end_parts();
}

}  // namespace atoll_root::atoll
