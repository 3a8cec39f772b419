// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/call_context.hh>

#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll {

bool holds(const serial_hold* chain, std::uint64_t id) noexcept {
  for (; chain != nullptr; chain = chain->above.get()) {
    if (chain->id == id) return true;
  }
  return false;
}

context_ptr context_ptr::make(const call_values& values) {
  if (values.is_default()) return {};
  if (shard* s = detail::current_shard) {
    if (call_context* spare = spare_of(*s)) {
      lend(*spare, values);
      return keep_lent(*s);
    }
  }
  return below(nullptr, values);
}

void context_ptr::free_spare(shard& s) noexcept {
  if (s.spare_context != nullptr && s.spare_context->references_ == 0)
    call_context::free(std::exchange(s.spare_context, nullptr));
}

context_ptr context_ptr::below(call_context* parent, const call_values& values) {
  auto* made = ::new (pool_allocate(sizeof(call_context))) call_context(parent, values);
  if (parent != nullptr) {
    made->set_holders(parent->holders_, parent->own_holds_);
    if (parent->reason_) {
      made->reason_ = *parent->reason_;
    } else {
      parent->children_.push_back(*made);
    }
  }
  return context_ptr(made);
}

void call_context::destroy(call_context* context) noexcept {
  // A chain of parents goes in a loop: it may be long.
  while (context != nullptr) {
    call_context* parent = context->parent_.release();
    if (parent != nullptr) {
      parent->adopt(context->waits_);
      free(context);
    } else if (shard* s = detail::current_shard;
               s != nullptr && s->spare_context == nullptr && s->blocks.is_on() && context->is_as_new()) {
      context->becomes_spare(*s);
    } else {
      free(context);
    }
    context = parent != nullptr && --parent->references_ == 0 ? parent : nullptr;
  }
}

void call_context::free(call_context* context) noexcept {
  context->~call_context();
  pool_free(context, sizeof(call_context));
}

void call_context::cancel(const error& reason) noexcept {
  if (reason_) return;
  touched_ = true;
  const context_ptr alive(this);
  intrusive_list<call_context> to_do;
  const auto end = [&to_do, &reason](call_context& c) {
    c.reason_ = reason;
    c.deadline_.cancel();
    to_do.splice(c.children_);
    while (cancel_hook* hook = c.waits_.pop_front()) hook->on_cancel(hook, reason);
  };
  end(*this);
  while (call_context* child = to_do.pop_front()) {
    const context_ptr child_alive(child);
    if (!child->reason_) end(*child);
  }
}

void call_context::adopt(intrusive_list<cancel_hook>& waits) noexcept {
  if (waits.empty()) return;
  touched_ = true;
  waits_.splice(waits);
  if (values_.deadline != never && !deadline_.armed()) arm_deadline();
}

void call_context::arm_deadline() noexcept { this_shard().timers->arm(deadline_, values_.deadline); }

void call_context::deadline_timer::passed(timer_node* t) noexcept {
  static_cast<deadline_timer*>(t)->context.cancel(error(status_code::deadline_exceeded, "deadline exceeded"));
}

}  // namespace atoll_root::atoll
