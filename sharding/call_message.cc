// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/call_message.hh>

#include <algorithm>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/reactor/points.hh>
#include <atoll/sharding/outbox.hh>
#include <atoll/sharding/service_site.hh>
#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {

static_assert(sizeof(call_message) <= 64, "a message's head is one cache line");
static_assert(shards_max <= UINT16_MAX + 1);

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

const serial_hold* call_message::holders() const noexcept {
  return now_.is.has_extras ? caller().extras().holders.get() : nullptr;
}

void call_message::is_for_slot(std::uint64_t hold) noexcept {
  extras().slot = hold;
  now_.is.has_extras = true;
}

void call_message::is_in_line(turn_line& l) noexcept { its_turn().line = &l; }

void call_message::has_turn(std::uint64_t id) noexcept {
  now_.is.turn = place::has_turn;
  its_turn().id = id;
}

void call_message::has_key(std::uint64_t hash) noexcept { its_turn().key = hash; }

void call_message::take_over(call_context& context, bool one_way) noexcept {
  const call_values& values = context.values();
  depth_ = static_cast<std::uint16_t>(std::min(values.depth + 1, depth_max));
  if (values.trace_id != 0) {
    extras().trace_id = values.trace_id;
    now_.is.has_extras = true;
  }
  if (one_way) return;
  if (!ATOLL_MUTANT(4)) deadline_ = values.deadline;
  if (!context.own_holds().any() && !context.holders()) return;
  if (auto chain = holders_of(context)) {
    extras().holders = std::move(chain);
    now_.is.has_extras = true;
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

void call_message::is_timed_for(std::uint32_t weight) noexcept {
  call_more& more = caller().more();
  more.weight_there = weight;
  more.arrived = mono_now();
  now_.is.is_timed = true;
}

void call_message::serves_on() noexcept {
  if (core_ == nullptr) return;
  shard& here = this_shard();
  if (now_.is.on_loan) {
    now_.is.on_loan = false;
    task::context = context_ptr::keep_lent(here);
  }
  service_core::site& site = core_->on(here);
  ++site.stats->method(method()).serving;
  if (site.calls_ended) [[unlikely]] {
    task::context->cancel(core_->is_stopping());
  } else {
    site.calls.push_back(*task::context.get());
  }
}

void call_message::served_on() noexcept {
  if (core_ != nullptr) --core_->here().stats->method(method()).serving;
}

[[gnu::always_inline]] inline bool call_message::has_free_turn(turns& bounds, shard& here) noexcept {
  if (turn_at_ != 0) [[likely]]
    return bounds.enter_free(its_turn(), here);
  return has_free_turn_in_extras(bounds, here);
}
bool call_message::has_free_turn_in_extras(turns& bounds, shard& here) noexcept {
  call_turn its{.key = key_of_turn(), .id = 0, .line = nullptr};
  if (!bounds.enter_free(its, here)) return false;
  its_turn() = its;
  return true;
}

template <bool InTurn>
[[gnu::always_inline]] inline call_message::begun call_message::begin_plain(shard& here) noexcept {
  // New here, with nothing to look at, with its turn free where it needs one, and not measured.
  if (!is_new() || deadline_ <= here.coarse_now) [[unlikely]]
    return {};
  service_core::site& site = core_->on(here);
  void* const instance = InTurn ? site.instance : site.open_to_all;
  call_context* const context = context_ptr::spare_of(here);
  if (!InTurn && instance == nullptr) return begin_in_turn(here);
  if (context == nullptr || (InTurn && site.closed)) [[unlikely]]
    return {};
  method_stats& counts = site.methods[counted_at_];
  if (!counts.timed.passes()) [[unlikely]]
    return {};
  state now = served_on_loan;
  // Before a turn is taken: that may allocate, so have memory reclaimed, by work that would take a spare context.
  context_ptr::lend(*context, {.deadline = deadline_, .depth = depth_});
  if constexpr (InTurn) {
    if (turns* bounds = site.turns_of(bounds_)) {
      if (!has_free_turn(*bounds, here)) [[unlikely]] {
        context_ptr::set_free(*context);
        counts.timed.has_not_passed();
        return {};
      }
      now.turn = place::has_turn;
      context_ptr::lent_has_turn(*context, its_turn().id);
    }
  }
  here.context = context;
  ++site.serving;
  now_.is = now;
  return {instance, &counts};
}

call_message::begun call_message::begin(shard& here) noexcept { return begin_plain<false>(here); }
call_message::begun call_message::begin_in_turn(shard& here) noexcept { return begin_plain<true>(here); }

call_message::arrival call_message::arrive(shard& here, void*& instance) noexcept {
  service_core::site* site = core_ == nullptr ? nullptr : &core_->on(here);
  if (site != nullptr) {
    if (now_.is.entered) --site->stats->method(method()).in_queue;
    if (now_.is.turn == place::has_turn) its_turn().line->of->arrived(*its_turn().line);  // called from the queue
  }
  if (is_given_up() && !ATOLL_MUTANT(11)) {
    ATOLL_SOMETIMES("calls: one was given up before it began");
    return refuse(error(now_.given_up));
  }
  if (deadline_ != never && deadline_ <= coarse_now() && !ATOLL_MUTANT(11))
    return refuse(error(status_code::deadline_exceeded, "deadline exceeded in a call before it was started"));
  try {
    if (site != nullptr) {
      instance = now_.is.entered ? site->instance_for_waiting() : site->enter();
      if (instance == nullptr) return refuse(core_->not_running());
      if (!now_.is.entered) {
        now_.is.entered = true;
        const auto weight = site->stats->method(method()).timed.weigh(coarse_now());
        if (weight != 0) [[unlikely]]
          is_timed_for(weight);
      }
      if (turns* bounds = site->turns_of(bounds_); bounds != nullptr && now_.is.turn == place::none) {
        const auto taken = take_turn(*bounds);
        if (taken == arrival::wait) ++site->stats->method(method()).in_queue;
        if (taken != arrival::serve) return taken;
      }
    }
    call_values values{.deadline = deadline_, .depth = depth_};
    if (now_.is.has_extras) values.trace_id = extras().trace_id;
    task::context = context_ptr::make(values);
  } catch (const std::bad_alloc&) {
    return refuse(error(status_code::resource_exhausted));
  }
  here.context = task::context.get();
  const std::uint64_t turn = now_.is.turn == place::has_turn ? its_turn().id : 0;
  if (now_.is.has_extras) {
    const call_extras& more = extras();
    task::context->set_holders(more.holders, {turn, more.slot});
  } else if (turn != 0) {
    task::context->set_holders({}, {turn, 0});
  }
  now_.is.at = progress::running;
  return arrival::serve;
}

call_message::arrival call_message::refuse(error why) noexcept {
  extras().refusal.emplace(std::move(why));
  return arrival::refuse;
}

error call_message::take_refusal() noexcept { return *std::move(extras().refusal); }

std::uint64_t call_message::key_of_turn() noexcept {
  return turn_at_ != 0 || caller().has_extras() ? its_turn().key : 0;
}

call_message::arrival call_message::take_turn(turns& bounds) {
  switch (bounds.enter(*this, key_of_turn())) {
    case turns::entry::taken:
      break;
    case turns::entry::waits:
      now_.is.turn = place::waits;
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
  const auto group = core_->here().group_of(method());
  if (!group || *group == task::group) return false;
  task::group = *group;
  schedule(*this);
  return true;
}

void call_message::report_if_lost(const error& e) const noexcept {
  if (!caller().is_one_way()) return;
  logger("service").warning(local_sharding().lost_messages, "a one-way message failed", kv("service", core_->label()),
                            kv("code", to_string(e.code())), kv("error", e.message()));
}

void call_message::end_turn() noexcept {
  if (now_.is.turn == place::has_turn) its_turn().line->of->leave(its_turn());
  now_.is.turn = place::none;
}

[[gnu::always_inline]] inline void call_message::goes_back(shard& here, task::run_function* complete) noexcept {
  here.context = nullptr;
  task::run = complete;
  now_.is.at = progress::over;
  if (is_local()) return complete(this);
  task::at_once = true;
  sharding_of(here).mail.send(*this, from_);
}

template <bool InTurn>
[[gnu::always_inline]] inline void call_message::send_plain_back(shard& here, method_stats& counts,
                                                                 task::run_function* complete) noexcept {
  service_core::site& site = core_->on(here);
  call_context& lent = *here.spare_context;
  lane* const way = outbox_to(here, from_).way();
  if (site.drained || !context_ptr::is_untouched(lent) || way == nullptr) [[unlikely]]
    return send_back(here, status_code::ok, complete);
  if constexpr (InTurn) {
    end_turn();
  } else {
    if (now_.is.turn != place::none) return send_back_in_turn(here, counts, complete);
  }
  counts.ended.add(status_code::ok);
  --site.serving;
  context_ptr::set_free(lent);
  here.context = nullptr;
  now_.is.at = progress::over;
  task::run = complete;
  task::at_once = true;
  here.slot<sharding_local>(shard_slot::sharding)->mail.send_by(*way, *this, from_);
}

void call_message::send_back_plain(shard& here, method_stats& counts, task::run_function* complete) noexcept {
  send_plain_back<false>(here, counts, complete);
}
void call_message::send_back_in_turn(shard& here, method_stats& counts, task::run_function* complete) noexcept {
  send_plain_back<true>(here, counts, complete);
}

void call_message::send_back(shard& here, status_code outcome, task::run_function* complete) noexcept {
  if (ATOLL_MUTANT(2) && here.context != nullptr && here.context->reason() != nullptr) return;
  if (now_.is.turn == place::has_turn) end_turn();
  if (core_ != nullptr) {
    service_core::site& site = core_->on(here);
    if (site.stats == nullptr) {
      sharding_of(here).calls_refused.add(outcome);
    } else if (outcome == status_code::ok) {
      site.stats->method(method()).ended.add(outcome);
    } else {
      site.stats->failed(method(), outcome);
    }
    if (now_.is.is_timed) {
      const call_more& more = caller().more();
      site.stats->took(method(), mono_now() - more.arrived, more.weight_there);
    }
    if (now_.is.entered) site.leave();
    now_.is.entered = false;
  }
  if (now_.is.on_loan) {
    now_.is.on_loan = false;
    context_ptr::end_loan(here);
  } else if (task::context) {
    task::context->served();
    context_ptr::give_back(here, std::move(task::context));
  }
  goes_back(here, complete);
}

}  // namespace atoll_root::atoll
