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

call_message::call_message(service_core* core, shard_id to, task::run_function* execute, std::size_t method,
                           call_extras& extras) noexcept
    : task(execute, nullptr, this_shard().group),
      from_(static_cast<std::uint16_t>(this_shard_id())),
      to_(static_cast<std::uint16_t>(to)),
      method_(static_cast<std::uint8_t>(method)),
      core_(core),
      extras_(extras) {
  task::ordered = true;
}

void call_message::fill(std::uint64_t key, bool one_way) noexcept {
  extras_.key = key;
  std::uint32_t depth = 0;
  if (call_context* context = this_shard().context) {
    depth = context->values().depth;
    extras_.trace_id = context->values().trace_id;
    if (!one_way) deadline_ = context->values().deadline;
    if (!one_way && (context->own_turn() != 0 || context->holders())) [[unlikely]]
      extras_.holders = holders_of(*context);
    has_extras_ = extras_.trace_id != 0 || extras_.holders;
  }
  depth_ = static_cast<std::uint16_t>(std::min(depth + 1, depth_max));
}

std::shared_ptr<const serial_hold> call_message::holders_of(call_context& context) noexcept {
  const auto& above = context.holders();
  const std::uint32_t length = above ? above->length : 0;
  if (context.own_turn() == 0 || length >= turns::holders_max) return above;
  try {
    return std::make_shared<serial_hold>(serial_hold{context.own_turn(), length + 1, above});
  } catch (const std::bad_alloc&) {
    return above;  // a circle is then found by its deadline
  }
}

call_message::arrival call_message::arrive(void*& instance, std::optional<error>& refused) noexcept {
  const auto refuse = [&refused](error e) {
    refused.emplace(std::move(e));
    return arrival::refuse;
  };
  if (place_ == place::has_turn) core_->turns_of(method_)->arrived(extras_.key);  // called from the queue
  if (is_given_up()) return refuse(error(given_up_));
  if (deadline_ != never && deadline_ <= coarse_now()) {
    return refuse(error(status_code::deadline_exceeded, "deadline exceeded before the call was started"));
  }
  try {
    if (core_ != nullptr) {
      instance = entered_ ? core_->instance_for_waiting() : core_->enter();
      if (instance == nullptr) return refuse(core_->not_running());
      entered_ = true;
      if (turns* bounds = core_->turns_of(method_); bounds != nullptr && place_ == place::none) {
        switch (bounds->enter(*this, extras_.key)) {
          case turns::entry::taken:
            break;
          case turns::entry::waits:
            place_ = place::waits;
            return arrival::wait;
          case turns::entry::full:
            return refuse(
                error(status_code::resource_exhausted, core_->name() + ": too many calls wait for their turn"));
          case turns::entry::holds_it_itself:
            return refuse(error(status_code::failed_precondition,
                                core_->name() +
                                    " serves one call at a time, and this one was made to serve that one: it "
                                    "would wait for itself"));
        }
      }
    }
    call_values values{.deadline = deadline_, .depth = depth_};
    if (has_extras_) values.trace_id = extras_.trace_id;
    task::context = context_ptr::make(values);
  } catch (const std::bad_alloc&) {
    return refuse(error(status_code::resource_exhausted));
  }
  if (has_extras_) task::context->set_holders(extras_.holders, extras_.turn);
  progress_ = progress::running;
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

void call_message::send_back(status_code outcome, task::run_function* complete) noexcept {
  auto& local = local_sharding();
  if (core_ != nullptr) local.calls_served.add(outcome);
  end_turn();
  if (std::exchange(entered_, false)) core_->leave();
  this_shard().context = nullptr;
  if (task::context) task::context->served();
  task::context = context_ptr();
  task::run = complete;
  progress_ = progress::over;
  if (is_local()) return complete(this);
  task::at_once = true;
  local.mail.send(*this, from_);
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
  if (message_.is_local()) {
    schedule(message_);
    if (one_way_) is_on_its_way();
  } else {
    local_sharding().outboxes[message_.to()].submit(*this);
  }
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
  if (message_.is_local()) {
    if (message_.progress_ == call_message::progress::running) {
      schedule(note_.emplace(*this, why));  // not from here: a chain of local calls may be long
    } else {
      cancel_served(message_, why);
    }
    return false;
  }
  auto& local = local_sharding();
  if (local.outboxes[message_.to()].withdraw(*this)) return true;
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

bool call_caller::take_back() noexcept {
  stop_waiting();
  record_is_back_ = true;
  release_place();
  return !note_;
}

}  // namespace atoll_root::atoll
