// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/call_message.hh>

#include <algorithm>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/reactor/points.hh>
#include <atoll/sharding/call_streams.hh>
#include <atoll/sharding/outbox.hh>
#include <atoll/sharding/service_site.hh>
#include <atoll/sharding/shard_local.hh>
#include <atoll/sharding/slot_map.hh>

namespace atoll_root::atoll {

static_assert(sizeof(call_message) <= 64, "a message's head is one cache line");
static_assert(shards_max <= UINT16_MAX + 1);

namespace {

/// Longer ones are none: a clock plus this is no overflow.
constexpr duration timeout_max = std::chrono::hours(24 * 365 * 100);

}  // namespace

error no_such_shard(shard_id shard) {
  return {status_code::out_of_range,
          "this process has " + std::to_string(shard_count()) + " shards, none is number " + std::to_string(shard)};
}

std::optional<error> refuses_call(const service_core* core, shard_id to, duration timeout) noexcept {
  const shard& here = this_shard();
  if (to >= here.count) {
    try {
      return no_such_shard(to);
    } catch (const std::bad_alloc&) {
      return error(status_code::out_of_range);
    }
  }
  if (timeout <= duration::zero()) return error(status_code::deadline_exceeded, "no time for a call");
  if (const error* reason = cancellation()) return detail::wait_failed(*reason, "a call");
  if (core != nullptr && here.context != nullptr && to != here.id &&
      !local_sharding().outboxes[to].takes(here.context->values().depth + 1))
    return error(status_code::resource_exhausted, "too many calls under way");
  return std::nullopt;
}

void call_caller::end_parts() noexcept {
  if (is(has_timer)) to_expire_.~call_hook();
  if (is(in_context)) to_cancel_.~call_hook();
  if (is(has_place)) to_wait_.~call_hook();
  if (made_extras_) extras_.~call_extras();
}

call_extras& call_caller::extras() noexcept {
  if (!made_extras_) {
    ::new (static_cast<void*>(&extras_)) call_extras;
    made_extras_ = true;
  }
  return extras_;
}

const serial_hold* call_message::holders() const noexcept {
  return state_.has_extras ? caller_.extras().holders.get() : nullptr;
}

void call_message::is_for_slot(std::uint64_t hold) noexcept {
  extras().slot = hold;
  state_.has_extras = true;
}

void call_message::is_in_line(turn_line& l) noexcept { its_turn().line = &l; }

void call_message::has_turn(std::uint64_t id) noexcept {
  state_.turn = place::has_turn;
  its_turn().id = id;
}

void call_message::has_key(std::uint64_t hash) noexcept { its_turn().key = hash; }

void call_message::take_over(call_context& context, bool one_way) noexcept {
  const call_values& values = context.values();
  depth_ = static_cast<std::uint16_t>(std::min(values.depth + 1, depth_max));
  if (values.trace_id != 0) {
    extras().trace_id = values.trace_id;
    state_.has_extras = true;
  }
  if (one_way) return;
  if (!ATOLL_MUTANT(4)) deadline_ = values.deadline;
  if (!context.own_holds().any() && !context.holders()) return;
  if (auto chain = holders_of(context)) {
    extras().holders = std::move(chain);
    state_.has_extras = true;
  }
}

std::shared_ptr<const serial_hold> call_message::holders_of(call_context& context) noexcept {
  auto chain = context.holders();
  const auto& own = context.own_holds();
  for (const std::uint64_t id : {own.turn, own.slot}) {
    const std::uint32_t length = chain ? chain->length : 0;
    if (id == 0 || length >= turns::holders_max || holds(chain.get(), id)) continue;
    try {
      chain = std::make_shared<serial_hold>(serial_hold{id, length + 1, chain});
    } catch (const std::bad_alloc&) {
      break;  // a circle is then found by its deadline
    }
  }
  return chain;
}

/// What most calls are while their task runs.
inline call_message::state call_message::served_on_loan() noexcept {
  state s{};
  s.at = progress::running;
  s.entered = true;
  s.on_loan = true;
  return s;
}

void call_message::is_timed_for(std::uint32_t weight) noexcept {
  extras().weight = weight;
  extras().arrived = mono_now();
  state_.is_timed = true;
}

void call_message::serves_on() noexcept {
  if (core_ == nullptr) return;
  shard& here = this_shard();
  if (state_.on_loan) {
    state_.on_loan = false;
    task::context = context_ptr::keep_lent(here);
  }
  service_core::site& site = core_->on(here);
  ++site.stats->method(method_).serving;
  if (site.calls_ended) [[unlikely]] {
    task::context->cancel(core_->is_stopping());
  } else {
    site.calls.push_back(*task::context.get());
  }
}

void call_message::served_on() noexcept {
  if (core_ != nullptr) --core_->here().stats->method(method_).serving;
}

call_message::arrival call_message::arrive(shard& here, void*& instance) noexcept {
  // What most calls are: new here, with nothing to look at, and with their turn free where they need one.
  if (!is_state({}) || is_given_up() || deadline_ <= here.coarse_now || core_ == nullptr) [[unlikely]]
    return arrive_slowly(here, instance);
  service_core::site& site = core_->on(here);
  turns* bounds = nullptr;
  if (site.open_to_all == nullptr) {
    bounds = site.turns_of(bounds_);
    if (site.closed || bounds == nullptr) [[unlikely]]
      return arrive_slowly(here, instance);
  }
  call_context* context = context_ptr::lend_spare(here, {.deadline = deadline_, .depth = depth_});
  if (context == nullptr) [[unlikely]]
    return arrive_slowly(here, instance);
  state now = served_on_loan();
  if (bounds != nullptr) {
    if (!has_free_turn(*bounds)) {
      context_ptr::end_loan(here);
      return arrive_slowly(here, instance);
    }
    context->has_turn(its_turn().id);
    now.turn = place::has_turn;
  }
  here.context = context;
  instance = site.instance;
  ++site.serving;
  state_ = now;
  if (const auto weight = site.stats->method(method_).timed.weigh(here.coarse_now); weight != 0) [[unlikely]]
    is_timed_for(weight);
  return arrival::serve;
}

bool call_message::has_free_turn(turns& bounds) noexcept {
  try {
    if (turn_at_ != 0) [[likely]]
      return bounds.enter_free(its_turn());
    call_turn its{.key = key_of_turn()};
    if (!bounds.enter_free(its)) return false;
    its_turn() = its;
    return true;
  } catch (const std::bad_alloc&) {
    return false;  // it is refused, then
  }
}

call_message::arrival call_message::arrive_slowly(shard& here, void*& instance) noexcept {
  service_core::site* site = core_ == nullptr ? nullptr : &core_->on(here);
  if (site != nullptr) {
    if (state_.entered) --site->stats->method(method_).in_queue;
    if (state_.turn == place::has_turn) its_turn().line->of->arrived(*its_turn().line);  // called from the queue
  }
  if (is_given_up() && !ATOLL_MUTANT(11)) {
    ATOLL_SOMETIMES("calls: one was given up before it began");
    return refuse(error(given_up_));
  }
  if (deadline_ != never && deadline_ <= coarse_now() && !ATOLL_MUTANT(11))
    return refuse(error(status_code::deadline_exceeded, "deadline exceeded in a call before it was started"));
  try {
    if (site != nullptr) {
      instance = state_.entered ? site->instance_for_waiting() : site->enter();
      if (instance == nullptr) return refuse(core_->not_running());
      if (!state_.entered) {
        state_.entered = true;
        const auto weight = site->stats->method(method_).timed.weigh(coarse_now());
        if (weight != 0) [[unlikely]]
          is_timed_for(weight);
      }
      if (turns* bounds = site->turns_of(bounds_); bounds != nullptr && state_.turn == place::none) {
        const auto taken = take_turn(*bounds);
        if (taken == arrival::wait) ++site->stats->method(method_).in_queue;
        if (taken != arrival::serve) return taken;
      }
    }
    call_values values{.deadline = deadline_, .depth = depth_};
    if (state_.has_extras) values.trace_id = extras().trace_id;
    task::context = context_ptr::make(values);
  } catch (const std::bad_alloc&) {
    return refuse(error(status_code::resource_exhausted));
  }
  here.context = task::context.get();
  const std::uint64_t turn = state_.turn == place::has_turn ? its_turn().id : 0;
  if (state_.has_extras) {
    const call_extras& more = extras();
    task::context->set_holders(more.holders, {turn, more.slot});
  } else if (turn != 0) {
    task::context->set_holders({}, {turn, 0});
  }
  state_.at = progress::running;
  return arrival::serve;
}

call_message::arrival call_message::refuse(error why) noexcept {
  extras().refusal.emplace(std::move(why));
  return arrival::refuse;
}

error call_message::take_refusal() noexcept { return *std::move(extras().refusal); }

std::uint64_t call_message::key_of_turn() noexcept {
  return turn_at_ != 0 || caller_.has_extras() ? its_turn().key : 0;
}

call_message::arrival call_message::take_turn(turns& bounds) {
  switch (bounds.enter(*this, key_of_turn())) {
    case turns::entry::taken:
      break;
    case turns::entry::waits:
      state_.turn = place::waits;
      return arrival::wait;
    case turns::entry::full:
      return refuse(error(status_code::resource_exhausted, core_->name() + ": too many calls wait for their turn"));
    case turns::entry::holds_it_itself:
      return refuse(error(status_code::failed_precondition,
                          core_->name() + " serves one call at a time, and this one was made to serve that "
                                          "one: it would wait for itself"));
  }
  return arrival::serve;
}

bool call_message::changes_group() noexcept {
  const auto group = core_->here().group_of(method_);
  if (!group || *group == task::group) return false;
  task::group = *group;
  schedule(*this);
  return true;
}

void call_message::report_if_lost(const error& e) const noexcept {
  if (!caller_.is_one_way()) return;
  logger("service").warning(local_sharding().lost_messages, "a one-way message was not served",
                            kv("service", core_->name()), kv("code", to_string(e.code())), kv("error", e.message()));
}

void call_message::end_turn() noexcept {
  if (state_.turn == place::has_turn) its_turn().line->of->leave(its_turn());
  state_.turn = place::none;
}

[[gnu::always_inline]] inline void call_message::goes_back(shard& here, task::run_function* complete) noexcept {
  here.context = nullptr;
  task::run = complete;
  state_.at = progress::over;
  if (is_local()) return complete(this);
  task::at_once = true;
  sharding_of(here).mail.send(*this, from_);
}

void call_message::send_back(shard& here, status_code outcome, task::run_function* complete) noexcept {
  // What most calls are: they have waited for nothing, but some have a turn.
  state s = state_;
  s.turn = place::none;
  if (std::bit_cast<std::uint8_t>(s) != std::bit_cast<std::uint8_t>(served_on_loan()) || outcome != status_code::ok)
      [[unlikely]]
    return send_back_slowly(here, outcome, complete);
  if (state_.turn != place::none) end_turn();
  service_core::site& site = core_->on(here);
  site.stats->method(method_).ended.add(status_code::ok);
  site.leave();
  context_ptr::end_loan(here);
  goes_back(here, complete);
}

void call_message::send_back_slowly(shard& here, status_code outcome, task::run_function* complete) noexcept {
  if (ATOLL_MUTANT(2) && here.context != nullptr && here.context->reason() != nullptr) return;
  if (state_.turn == place::has_turn) end_turn();
  if (core_ != nullptr) {
    service_core::site& site = core_->on(here);
    if (site.stats == nullptr) {
      sharding_of(here).calls_refused.add(outcome);
    } else if (outcome == status_code::ok) {
      site.stats->method(method_).ended.add(outcome);
    } else {
      site.stats->failed(method_, outcome);
    }
    if (state_.is_timed) site.stats->took(method_, mono_now() - extras().arrived, extras().weight);
    if (state_.entered) site.leave();
    state_.entered = false;
  }
  if (state_.on_loan) {
    state_.on_loan = false;
    context_ptr::end_loan(here);
  } else if (task::context) {
    task::context->served();
    context_ptr::give_back(here, std::move(task::context));
  }
  goes_back(here, complete);
}

void call_caller::goes_by_slot(slot_map& slots, slot_id slot) noexcept {
  set(by_slot);
  slots_ = &slots;
  slot_ = slot;
  message_.is_for_slot(slots.hold_of(slot));
}

void call_caller::go(shard& here) noexcept {
  auto& local = sharding_of(here);
  const shard_id to = message_.to();
  way_ = &local.outboxes[to];
  if (const auto weight = way_->weigh(here.coarse_now); weight != 0) [[unlikely]] {
    set(is_measured);
    weight_ = weight;
    began_ = mono_now();
  }
  if (message_.is_local()) {
    schedule(message_);
  } else {
    place_ = way_->enter(message_.level());
    if (place_ == outbox::no_place) [[unlikely]]
      return way_->wait(*this);
    local.mail.send(message_, to);
  }
  if (is(one_way)) [[unlikely]]
    actions_.is_on_its_way(*this);
}

[[gnu::always_inline]] inline void call_caller::arm(const shard& here, duration timeout) noexcept {
  // The time as of the last look, which is less than a quota old: the callee's deadline is not early. Ours is exact.
  const time_point until = (here.tick ? mono_now() : here.coarse_now) + timeout;
  if (until >= message_.deadline_) return;
  if (!is(one_way)) message_.deadline_ = until + here.tasks.quota();
  ::new (static_cast<void*>(&to_expire_)) call_hook<timer_node>(*this, actions_.expire);
  set(has_timer);
  here.timers->arm_after(to_expire_, timeout);
}

void call_caller::start(shard& here, duration timeout) noexcept {
  if (timeout < timeout_max) arm(here, timeout);
  auto& local = sharding_of(here);
  const shard_id to = message_.to();
  way_ = &local.outboxes[to];
  // What most calls are: only their record, and time, wait for them.
  const bool plain = (flags_ & ~has_timer) == 0 && here.context == nullptr && message_.level() == 1;
  if (!plain || to == here.id || !way_->lets_pass()) [[unlikely]]
    return start_slowly(here);
  place_ = outbox::first_place;
  local.mail.send(message_, to);
}

void call_caller::start_slowly(shard& here) noexcept {
  if (here.context != nullptr) {
    ::new (static_cast<void*>(&to_cancel_)) call_hook<cancel_hook>(*this, actions_.cancelled);
    set(in_context);
    here.context->add(to_cancel_);
  }
  if (is(by_slot)) {
    set(is_kept);  // as admit() may find that it waits for itself
    if (!slots_->admit(slot_, *this)) return;
    unset(is_kept);
  }
  go(here);
}

bool call_caller::is_made_under(std::uint64_t hold) noexcept {
  const call_context* in = this_shard().context;
  return in != nullptr && (in->own_holds().slot == hold || holds(in->holders().get(), hold));
}

void call_caller::waits_for_itself() noexcept {
  if (!is(in_context)) {
    ::new (static_cast<void*>(&to_cancel_)) call_hook<cancel_hook>(*this, actions_.cancelled);
    set(in_context);
  }
  try {
    actions_.cancelled(&to_cancel_, error(status_code::failed_precondition,
                                          message_.core()->name() +
                                              ": a call for a slot that moves, made by what the move waits for"));
  } catch (const std::bad_alloc&) {
    actions_.cancelled(&to_cancel_, error(status_code::failed_precondition));
  }
}

void call_caller::released(shard_id to) noexcept {
  unset(is_kept);
  if (to != message_.to()) {
    message_.set_to(to);
    if (is(with_streams)) streams_->set_to(to);
  }
  go(this_shard());
}

[[gnu::always_inline]] inline void call_caller::count_outcome(status_code code) noexcept {
  way_->ended(code);
  if (is(is_measured)) [[unlikely]]
    way_->took(message_.to(), mono_now() - began_, weight_);
}
void call_caller::has_outcome(status_code code) noexcept {
  set(has_its_own_outcome);
  count_outcome(code);
}

void call_caller::send(std::uint8_t place) noexcept {
  place_ = place;
  local_sharding().mail.send(message_, message_.to());
  if (is(one_way)) actions_.is_on_its_way(*this);
}

bool call_caller::leave(status_code why) noexcept {
  stop_waiting();
  if (is(is_kept)) {
    to_wait_.unlink();
    slots_->gave_up(slot_);
    return true;
  }
  const auto make_note = [this, why]() -> note& {
    set(has_note);
    return *::new (static_cast<void*>(&note_)) note(*this, why);
  };
  if (message_.is_local()) {
    if (message_.state_.at == call_message::progress::running) {
      schedule(make_note());  // not from here: a chain of local calls may be long
    } else {
      cancel_served(message_, why);
    }
    return false;
  }
  auto& local = local_sharding();
  if (is(has_place) && way_->withdraw(to_wait_)) {
    if (is(by_slot)) slots_->ended(slot_);
    return true;
  }
  local.mail.send(make_note(), message_.to());
  return false;
}

void call_caller::cancel_served(call_message& message, status_code why) noexcept {
  switch (message.state_.at) {
    case call_message::progress::queued:
      message.given_up_ = why;
      if (message.state_.turn == call_message::place::waits)
        message.its_turn().line->of->give_up(*message.its_turn().line);
      break;
    case call_message::progress::running:
      ATOLL_SOMETIMES("calls: one was given up while it was served");
      if (message.task::context) message.task::context->cancel(error(why, "the caller has given the call up"));
      break;
    case call_message::progress::over:
      break;
  }
}

void call_caller::note::arrived(task* t) noexcept {
  auto& self = *static_cast<note*>(t);
  call_message& message = self.call.message_;
  cancel_served(message, self.why);
  if (message.is_local()) return back(t);
  self.run = &back;
  local_sharding().mail.send(self, message.from());
}

void call_caller::note::back(task* t) noexcept {
  call_caller& call = static_cast<note*>(t)->call;
  call.note_.~note();
  call.unset(has_note);
  if (call.is(record_is_back)) call.destroy_record();
}

void call_caller::release_place() noexcept {
  if (place_ == outbox::no_place) return;
  way_->returned(std::exchange(place_, outbox::no_place));
}

bool call_caller::take_back(shard& here, status_code code, detail::producer_base& caller) noexcept {
  if (task* waiter = caller.take_waiter()) here.tasks.push(*waiter);
  const bool plain = (flags_ & ~has_timer) == 0 && code == status_code::ok && place_ == outbox::first_place;
  if (!plain || !way_->lets_go()) [[unlikely]]
    return take_back_slowly(code);
  if (is(has_timer)) to_expire_.cancel();
  return true;
}

bool call_caller::take_back_slowly(status_code code) noexcept {
  stop_waiting();
  set(record_is_back);
  if (is(by_slot)) slots_->ended(slot_);
  if (!is(has_its_own_outcome)) count_outcome(code);
  if (place_ != outbox::no_place) way_->returned(std::exchange(place_, outbox::no_place));
  return !is(has_note);
}

}  // namespace atoll_root::atoll
