// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/call.hh>

#include <algorithm>

#include <atoll/actors/base/log.hh>
#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {

static_assert(sizeof(call_message) <= 64, "a message's head is one cache line");
static_assert(shards_max <= UINT16_MAX + 1);

error no_such_shard(shard_id shard) {
  return {status_code::out_of_range,
          "this process has " + std::to_string(shard_count()) + " shards, none is number " + std::to_string(shard)};
}

void call_message::take_over(call_context& context, bool one_way) noexcept {
  const call_values& values = context.values();
  depth_ = static_cast<std::uint16_t>(std::min(values.depth + 1, depth_max));
  extras_.trace_id = values.trace_id;
  if (!one_way) {
    deadline_ = values.deadline;
    if (context.own_holds().any() || context.holders()) extras_.holders = holders_of(context);
  }
  has_extras_ = extras_.trace_id != 0 || extras_.holders;
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

void call_message::is_timed_for(std::uint32_t weight) noexcept {
  extras_.weight = weight;
  extras_.arrived = mono_now();
  is_timed_ = true;
}

void call_message::serves_on(std::size_t method_number) noexcept {
  if (core_ == nullptr) return;
  ++core_->stats()->method(method_number).serving;
  core_->serves_on(*task::context.get());
}

void call_message::served_on(std::size_t method_number) noexcept {
  if (core_ != nullptr) --core_->stats()->method(method_number).serving;
}

call_message::arrival call_message::arrive(std::size_t method_number, void*& instance,
                                           std::optional<error>& refused) noexcept {
  service_core::site* site = core_ == nullptr ? nullptr : &core_->here();
  if (site != nullptr) {
    if (entered_) --site->stats->method(method_number).in_queue;
    if (place_ == place::has_turn) site->turns_of(method_)->arrived(extras_.key);  // called from the queue
  }
  if (is_given_up()) [[unlikely]]
    return refuse(refused, error(given_up_));
  if (deadline_ != never && deadline_ <= coarse_now()) [[unlikely]]
    return refuse(refused, error(status_code::deadline_exceeded, "deadline exceeded before the call was started"));
  try {
    if (site != nullptr) {
      instance = entered_ ? core_->instance_for_waiting() : site->enter();
      if (instance == nullptr) [[unlikely]]
        return refuse(refused, core_->not_running());
      if (!entered_) {
        entered_ = true;
        const auto weight = site->stats->method(method_number).timed.weigh(coarse_now());
        if (weight != 0) [[unlikely]]
          is_timed_for(weight);
      }
      if (turns* bounds = site->turns_of(method_); bounds != nullptr && place_ == place::none) [[unlikely]] {
        const auto taken = take_turn(*bounds, refused);
        if (taken == arrival::wait) ++site->stats->method(method_number).in_queue;
        if (taken != arrival::serve) return taken;
      }
    }
    call_values values{.deadline = deadline_, .depth = depth_};
    if (has_extras_) values.trace_id = extras_.trace_id;
    task::context = context_ptr::make(values);
  } catch (const std::bad_alloc&) {
    return refuse(refused, error(status_code::resource_exhausted));
  }
  if (has_extras_) task::context->set_holders(extras_.holders, {extras_.turn, extras_.slot});
  progress_ = progress::running;
  return arrival::serve;
}

call_message::arrival call_message::refuse(std::optional<error>& refused, error why) noexcept {
  refused.emplace(std::move(why));
  return arrival::refuse;
}

call_message::arrival call_message::take_turn(turns& bounds, std::optional<error>& refused) {
  switch (bounds.enter(*this, extras_.key)) {
    case turns::entry::taken:
      break;
    case turns::entry::waits:
      place_ = place::waits;
      return arrival::wait;
    case turns::entry::full:
      return refuse(refused,
                    error(status_code::resource_exhausted, core_->name() + ": too many calls wait for their turn"));
    case turns::entry::holds_it_itself:
      return refuse(refused, error(status_code::failed_precondition,
                                   core_->name() + " serves one call at a time, and this one was made to serve that "
                                                   "one: it would wait for itself"));
  }
  return arrival::serve;
}

bool call_message::changes_group(std::size_t method_number) noexcept {
  const auto group = core_->group_of(method_number);
  if (!group || *group == task::group) return false;
  task::group = *group;
  schedule(*this);
  return true;
}

void call_message::report_lost(const error& e) const noexcept {
  logger("service").warning(local_sharding().lost_messages, "a one-way message was not served",
                            kv("service", core_->name()), kv("code", to_string(e.code())), kv("error", e.message()));
}

void call_message::end_turn() noexcept {
  if (place_ == place::has_turn) core_->turns_of(method_)->leave(extras_.key);
  place_ = place::none;
}

void call_message::send_back(std::size_t method_number, status_code outcome, task::run_function* complete) noexcept {
  shard& here = this_shard();
  auto& local = local_sharding();
  if (place_ == place::has_turn) [[unlikely]]
    end_turn();
  if (core_ != nullptr) {
    service_core::site& site = core_->here();
    if (site.stats != nullptr) [[likely]]
      count(*site.stats, method_number, outcome);
    else
      local.calls_refused.add(outcome);
    if (entered_) site.leave();
    entered_ = false;
  }
  here.context = nullptr;
  if (task::context) {
    task::context->served();
    task::context = context_ptr();
  }
  task::run = complete;
  progress_ = progress::over;
  if (is_local()) return complete(this);
  task::at_once = true;
  local.mail.send(*this, from_);
}

void call_message::count(service_stats& stats, std::size_t method_number, status_code outcome) noexcept {
  if (outcome == status_code::ok) [[likely]] {
    stats.method(method_number).ended.add(outcome);
  } else {
    stats.failed(method_number, outcome);
  }
  if (is_timed_) [[unlikely]]
    stats.took(method_number, mono_now() - extras_.arrived, extras_.weight);
}

void call_caller::start(duration timeout) noexcept {
  shard& here = this_shard();
  if (timeout != no_timeout) {
    // The time as of the last look, which is less than a quota old: the callee's deadline is not early. Ours is exact.
    const time_point now = recent_now();
    if (const time_point until = saturating_add(now, timeout); until < message_.deadline_) {
      if (!one_way_) message_.deadline_ = saturating_add(until, here.tasks.quota());
      here.timers->arm_after(*this, timeout);
    }
  }
  if (here.context != nullptr) here.context->add(*this);
  if (slots_ != nullptr) [[unlikely]] {
    is_kept_ = true;  // as admit() may find that it waits for itself
    if (!slots_->admit(slot_, *this)) return;
    is_kept_ = false;
  }
  go();
}

void call_caller::go() noexcept {
  auto& local = local_sharding();
  outbox& way = local.outboxes[message_.to()];
  weight_ = way.timed().weigh(coarse_now());
  if (weight_ != 0) [[unlikely]]
    began_ = mono_now();
  if (message_.is_local()) {
    schedule(message_);
    if (one_way_) is_on_its_way();
  } else if (way.enter(passes_bounds())) {
    local.mail.send(message_, message_.to());
    if (one_way_) is_on_its_way();
  } else {
    way.wait(*this);
  }
}

bool call_caller::is_made_under(std::uint64_t hold) noexcept {
  const call_context* in = this_shard().context;
  return in != nullptr && (in->own_holds().slot == hold || holds(in->holders().get(), hold));
}

void call_caller::waits_for_itself() noexcept {
  try {
    on_cancel(this, error(status_code::failed_precondition,
                          message_.core()->name() + ": a call for a slot that moves, made by what the move waits for"));
  } catch (const std::bad_alloc&) {
    on_cancel(this, error(status_code::failed_precondition));
  }
}

void call_caller::released(shard_id to) noexcept {
  is_kept_ = false;
  if (to != message_.to()) {
    message_.set_to(to);
    retarget(to);
  }
  go();
}

void call_caller::count_outcome(outbox& way, status_code code) noexcept {
  way.ended(message_.to(), code);
  if (weight_ != 0) [[unlikely]]
    way.took(mono_now() - began_, weight_);
}
void call_caller::has_outcome(status_code code) noexcept {
  count_outcome(local_sharding().outboxes[message_.to()], code);
}

void call_caller::send() noexcept {
  local_sharding().mail.send(message_, message_.to());
  if (one_way_) is_on_its_way();
}

bool too_many_under_way(shard_id to) noexcept {
  return to != this_shard_id() && local_sharding().outboxes[to].in_flight() >= 2 * outbox::calls_in_flight_max;
}

bool call_caller::leave(status_code why) noexcept {
  stop_waiting();
  if (is_kept_) {
    outbox_hook::unlink();
    slots_->gave_up(slot_);
    return true;
  }
  if (message_.is_local()) {
    if (message_.progress_ == call_message::progress::running) {
      schedule(note_.emplace(*this, why));  // not from here: a chain of local calls may be long
    } else {
      cancel_served(message_, why);
    }
    return false;
  }
  auto& local = local_sharding();
  if (local.outboxes[message_.to()].withdraw(*this)) {
    if (slots_ != nullptr) slots_->ended(slot_);
    return true;
  }
  local.mail.send(note_.emplace(*this, why), message_.to());
  return false;
}

void call_caller::cancel_served(call_message& message, status_code why) noexcept {
  switch (message.progress_) {
    case call_message::progress::queued:
      message.given_up_ = why;
      if (message.place_ == call_message::place::waits)
        message.core_->turns_of(message.method_)->give_up(message.extras_.key);
      break;
    case call_message::progress::running:
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
  call.note_.reset();
  if (call.record_is_back_) call.forget();
}

void call_caller::release_place() noexcept {
  if (std::exchange(has_place_, false) && !message_.is_local()) local_sharding().outboxes[message_.to()].returned();
}

bool call_caller::take_back(bool first, status_code code) noexcept {
  stop_waiting();
  record_is_back_ = true;
  if (slots_ != nullptr) [[unlikely]]
    slots_->ended(slot_);
  outbox& way = local_sharding().outboxes[message_.to()];
  if (first) count_outcome(way, code);
  if (std::exchange(has_place_, false) && !message_.is_local()) way.returned();
  return !note_;
}

}  // namespace atoll_root::atoll
