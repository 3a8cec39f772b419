// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The caller's side of a call; call_message.cc has the callee's.
#include <atoll/sharding/call_message.hh>

#include <atoll/actors/reactor/points.hh>
#include <atoll/sharding/call_streams.hh>
#include <atoll/sharding/outbox.hh>
#include <atoll/sharding/service_core.hh>
#include <atoll/sharding/shard_local.hh>
#include <atoll/sharding/slot_map.hh>

namespace atoll_root::atoll {

void call_caller::end_parts() noexcept {
  call_more& parts = more();
  if (is(is_brief)) end_brief();
  if (is(has_timer)) parts.to_expire.~call_hook();
  if (is(in_context)) parts.to_cancel.~call_hook();
  if (is(has_place)) parts.to_wait.~call_hook();
  if (marks_.made_extras) parts.extras.~call_extras();
}

call_extras& call_caller::extras() noexcept {
  if (!marks_.made_extras) {
    ::new (static_cast<void*>(&more().extras)) call_extras;
    marks_.made_extras = true;
  }
  return more().extras;
}

void call_caller::goes_by_slot(slot_map& slots, slot_id slot) noexcept {
  set(by_slot);
  more().slots = &slots;
  more().slot = slot;
  message().is_for_slot(slots.hold_of(slot));
}

outbox& call_caller::way() const noexcept { return outbox_to(this_shard(), message().to()); }

void call_caller::go(shard& here) noexcept {
  call_message& its = message();
  auto& local = sharding_of(here);
  outbox& way = local.outboxes[its.to()];
  way.take_passes();
  if (const auto weight = way.weigh(here.coarse_now); weight != 0) [[unlikely]] {
    set(is_measured);
    more().weight = weight;
    more().began = mono_now();
  }
  if (its.is_local()) {
    schedule(its);
  } else {
    marks_.place = way.enter(its.level());
    if (marks_.place == outbox::no_place) [[unlikely]]
      return way.wait(*this);
    local.mail.send(its, its.to());
    way.give_passes();
  }
  if (is(one_way)) [[unlikely]]
    its_actions().is_on_its_way(*this);
}

void call_caller::arm(const shard& here, time_point now, duration timeout) noexcept {
  const time_point until = now + timeout;
  if (until >= message().deadline_) return;
  if (!is(one_way)) message().deadline_ = until + here.clock_age_max;
  // Where ticks come, one tells that the last look is long ago: a brief timer would be late.
  if (!is(one_way) && (now == here.coarse_now || !here.has_ticker || here.shuffled)) {
    message().timeout_at_ = here.timers->arm_briefly(*this, until);
    set(is_brief);
  } else {
    here.timers->arm_after(makes_timer(), timeout);
  }
}

timer_node& call_caller::makes_timer() noexcept {
  ::new (static_cast<void*>(&more().to_expire)) call_hook<timer_node>(*this, its_actions().expire);
  set(has_timer);
  return more().to_expire;
}

timer_node& call_caller::lasts(brief_timer& self) noexcept {
  auto& call = static_cast<call_caller&>(self);
  call.unset(is_brief);
  timer_node& timer = call.makes_timer();
  timer.at = (call.message().deadline_ - this_shard().clock_age_max).time_since_epoch().count();
  return timer;
}

void call_caller::end_brief() noexcept {
  unset(is_brief);
  this_shard().timers->end_brief(message().timeout_at_);
}

[[gnu::noinline]] void call_caller::start_plain(shard& here, call_message& its, shard_id to) noexcept {
  auto& local = *here.slot<sharding_local>(shard_slot::sharding);
  outbox& way = local.outboxes[to];
  if (!way.lets_pass()) [[unlikely]]
    return start(here, no_timeout);
  marks_.place = first_place;
  local.mail.send_by(*way.way(), its, to);
}

void call_caller::start_bounded(shard& here, call_message& its, duration timeout, shard_id to) noexcept {
  timer_queue& timers = *here.timers;
  const time_point until(duration(here.recent_ns) + timeout);
  if (!timers.takes_briefly(until)) [[unlikely]]
    return start_bounded_slowly(here, its, timeout, to);
  its.deadline_ = until + here.clock_age_max;
  its.timeout_at_ = timers.put_briefly(*this);
  // At once; its key may be among the extras.
  constexpr auto brief = std::bit_cast<std::uint32_t>(marks{.flags = is_brief, .place = first_place});
  marks_ = std::bit_cast<marks>(std::bit_cast<std::uint32_t>(marks_) | brief);
  outbox& way = here.slot<sharding_local>(shard_slot::sharding)->outboxes[to];
  if (!way.lets_pass()) [[unlikely]]
    return start_armed(here, its, timeout, to);
  if (!way.way()->push_quickly(its)) [[unlikely]]
    return send_armed(here, its, timeout, to);
}
// What else it may need. With the arguments where they are: start_bounded() would move them about each time.
[[gnu::noinline]] void call_caller::start_bounded_slowly(shard& here, call_message& /*its*/, duration timeout,
                                                         shard_id /*to*/) noexcept {
  start(here, timeout);
}
[[gnu::noinline]] void call_caller::start_armed(shard& here, call_message& /*its*/, duration /*timeout*/,
                                                shard_id /*to*/) noexcept {
  marks_.place = outbox::no_place;
  start(here, no_timeout);
}
[[gnu::noinline]] void call_caller::send_armed(shard& here, call_message& its, duration /*timeout*/,
                                               shard_id to) noexcept {
  sharding_of(here).mail.send(its, to);
}

void call_caller::start(shard& here, duration timeout) noexcept {
  if (here.context != nullptr) message().take_over(*here.context, is(one_way));
  // The time as of the last look, which is less than clock_age_max old: the callee's deadline is not early. Ours isn't in any case.
  if (timeout < timeout_max) arm(here, here.tick ? mono_now() : here.coarse_now, timeout);
  if (here.context != nullptr) {
    ::new (static_cast<void*>(&more().to_cancel)) call_hook<cancel_hook>(*this, its_actions().cancelled);
    set(in_context);
    here.context->add(more().to_cancel);
  }
  if (is(by_slot)) {
    set(is_kept);  // as admit() may find that it waits for itself
    if (!more().slots->admit(more().slot, *this)) return;
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
    ::new (static_cast<void*>(&more().to_cancel)) call_hook<cancel_hook>(*this, its_actions().cancelled);
    set(in_context);
  }
  try {
    its_actions().cancelled(
        &more().to_cancel,
        error(status_code::failed_precondition,
              message().core()->name() + ": a call for a slot that moves, made by what the move waits for"));
  } catch (const std::bad_alloc&) {
    its_actions().cancelled(&more().to_cancel, error(status_code::failed_precondition));
  }
}

void call_caller::released(shard_id to) noexcept {
  unset(is_kept);
  if (to != message().to()) {
    message().set_to(to);
    if (is(with_streams)) more().streams->set_to(to);
  }
  go(this_shard());
}

[[gnu::always_inline]] inline void call_caller::count_outcome(status_code code) noexcept {
  way().ended(code);
  if (is(is_measured)) [[unlikely]]
    way().took(message().to(), mono_now() - more().began, more().weight);
}
void call_caller::has_outcome(status_code code) noexcept {
  set(has_its_own_outcome);
  count_outcome(code);
}

void call_caller::send(std::uint8_t place) noexcept {
  marks_.place = place;
  local_sharding().mail.send(message(), message().to());
  if (is(one_way)) its_actions().is_on_its_way(*this);
}

bool call_caller::leave(status_code why) noexcept {
  stop_waiting();
  if (is(is_kept)) {
    more().to_wait.unlink();
    more().slots->gave_up(more().slot);
    return true;
  }
  const auto make_note = [this, why]() -> call_note& {
    set(has_note);
    return *::new (static_cast<void*>(&more().note)) call_note(*this, why);
  };
  if (message().is_local()) {
    if (message().now_.is.at == call_message::progress::running) {
      schedule(make_note());  // not from here: a chain of local calls may be long
    } else {
      cancel_served(message(), why);
    }
    return false;
  }
  auto& local = local_sharding();
  if (is(has_place) && way().withdraw(more().to_wait)) {
    if (is(by_slot)) more().slots->ended(more().slot);
    return true;
  }
  local.mail.send(make_note(), message().to());
  return false;
}

void call_caller::cancel_served(call_message& message, status_code why) noexcept {
  switch (message.now_.is.at) {
    case call_message::progress::queued:
      message.now_.given_up = why;
      if (message.now_.is.turn == call_message::place::waits)
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

void call_note::arrived(task* t) noexcept {
  auto& self = *static_cast<call_note*>(t);
  call_message& message = self.call.message();
  call_caller::cancel_served(message, self.why);
  if (message.is_local()) return back(t);
  self.run = &back;
  local_sharding().mail.send(self, message.from());
}

void call_note::back(task* t) noexcept {
  call_caller& call = static_cast<call_note*>(t)->call;
  call.more().note.~call_note();
  call.unset(call_caller::has_note);
  if (call.is(call_caller::record_is_back)) call.destroy_record();
}

void call_caller::release_place() noexcept {
  if (marks_.place == outbox::no_place) return;
  way().returned(std::exchange(marks_.place, outbox::no_place));
}

bool call_caller::take_back(shard& here, status_code code, detail::producer_base& caller) noexcept {
  if (task* waiter = caller.take_waiter()) here.tasks.push(*waiter);
  stop_waiting();
  set(record_is_back);
  if (is(by_slot)) more().slots->ended(more().slot);
  if (!is(has_its_own_outcome)) count_outcome(code);
  release_place();
  return !is(has_note);
}

void call_caller::end_plain(shard& here, call_message& message, call_caller& caller, task* waiter,
                            block_pool::list_id list) noexcept {
  outbox& way = outbox_to(here, message.to_);
  if (!here.blocks.has_room(list) || !way.lets_go()) [[unlikely]]
    return end_plain_slowly(here, message, caller, waiter, list);
  here.blocks.put(&message, list);
  if (waiter != nullptr) [[likely]]
    here.tasks.push(*waiter);
}

void call_caller::end_plain_slowly(shard& here, call_message& message, call_caller& caller, task* waiter,
                                   block_pool::list_id list) noexcept {
  caller.count_outcome(status_code::ok);
  caller.release_place();
  here.blocks.free(&message, list);
  if (waiter != nullptr) here.tasks.push(*waiter);
}

}  // namespace atoll_root::atoll
