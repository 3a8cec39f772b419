// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/call.hh>

#include <algorithm>

#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {

call_base::call_base(service_core* core, shard_id to, duration timeout, task::run_function* execute,
                     timer_node::fire_function* expire, cancel_hook::function* cancelled) noexcept
    : task(execute),
      timer_node(expire),
      cancel_hook(cancelled),
      core_(core),
      values_(current_call()),
      from_(this_shard_id()),
      to_(to) {
  ++values_.depth;
  task::group = values_.group;
  task::ordered = true;
  if (timeout != no_timeout) {
    const time_point until = saturating_add(mono_now(), timeout);
    if (until < values_.deadline) {
      values_.deadline = until;
      this_shard().timers->arm(*this, until);
    }
  }
}

error no_such_shard(shard_id shard) {
  return {status_code::out_of_range,
          "this process has " + std::to_string(shard_count()) + " shards, none is number " + std::to_string(shard)};
}

void call_base::start() noexcept {
  if (call_context* context = this_shard().context) context->add(*this);
  if (to_ == from_) {
    schedule(*this);
  } else {
    local_sharding().outboxes[to_].submit(*this);
  }
}

void call_base::send() noexcept { local_sharding().mail.room().send(*this, to_); }

bool call_base::withdraw() noexcept { return to_ != from_ && local_sharding().outboxes[to_].withdraw(*this); }

void call_base::count(status_code code) noexcept {
  if (core_ != nullptr) local_sharding().calls_served.add(code);
}

std::optional<error> call_base::arrive(void*& instance) noexcept {
  if (values_.deadline != never && mono_now() >= values_.deadline) {
    return error(status_code::deadline_exceeded, "deadline exceeded before the call was started");
  }
  if (core_ != nullptr) {
    instance = core_->enter();
    if (instance == nullptr) return core_->not_running();
    entered_ = true;
  }
  try {
    task::context = context_ptr::make(values_);
  } catch (const std::bad_alloc&) {
    return error(status_code::resource_exhausted);
  }
  return std::nullopt;
}

void call_base::send_back(task::run_function* complete) noexcept {
  if (std::exchange(entered_, false)) core_->leave();
  task::context = context_ptr();
  task::run = complete;
  if (to_ == from_) {
    schedule(*this);
  } else {
    local_sharding().mail.room().send(*this, from_);
  }
}

void call_base::take_back() noexcept {
  stop_waiting();
  if (to_ != from_) local_sharding().outboxes[to_].returned();
}

}  // namespace atoll_root::atoll
