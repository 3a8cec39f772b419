// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/foreign.hh>

#include <array>
#include <stdexcept>
#include <string>
#include <typeinfo>

namespace atoll_root::atoll {
namespace {

/// True for exceptions that own what they have, whatever thread drops them last.
bool may_cross(const std::exception& e) noexcept {
  const std::array safe = {&typeid(std::logic_error),  &typeid(std::invalid_argument), &typeid(std::domain_error),
                           &typeid(std::length_error), &typeid(std::out_of_range),     &typeid(std::runtime_error),
                           &typeid(std::range_error),  &typeid(std::overflow_error),   &typeid(std::underflow_error)};
  for (const auto* type : safe) {
    if (*type == typeid(e)) return true;
  }
  return false;
}

}  // namespace

std::exception_ptr detail::exception_for_foreign(error e) noexcept {
  std::exception_ptr original;
  try {
    e.raise();
  } catch (const std::exception& raised) {
    if (may_cross(raised)) original = std::current_exception();
  } catch (...) {
    original = nullptr;  // not a std::exception: what is thrown below says so
  }
  // This shard's own hold on the exception goes before the other thread can get one.
  e.drop_exception();
  if (original) return original;
  try {
    return std::make_exception_ptr(status_error(std::move(e)));
  } catch (...) {  // no memory for its text
    return std::current_exception();
  }
}

foreign_gate::foreign_gate(mailroom& room)
    : room_(room), shards_(room.shards()), in_flight_(std::make_unique<counter[]>(room.shards())) {}

error foreign_gate::stopped() { return {status_code::unavailable, "the runtime has stopped"}; }

std::optional<error> foreign_gate::send(foreign_call_base& call, shard_id to) {
  if (to >= shards_) {
    return error(status_code::out_of_range,
                 "this process has " + std::to_string(shards_) + " shards, none is number " + std::to_string(to));
  }
  // Late comers stay out of the count that the runtime waits for.
  if (closed()) return stopped();
  entering_.fetch_add(1, std::memory_order_seq_cst);
  bool full = false;
  const bool open = !closed_.load(std::memory_order_seq_cst);
  if (open) {
    auto& in_flight = in_flight_[to].calls;
    full = in_flight.fetch_add(1, std::memory_order_relaxed) >= calls_in_flight_max;
    if (full) {
      in_flight.fetch_sub(1, std::memory_order_relaxed);
      in_flight_[to].refused.fetch_add(1, std::memory_order_relaxed);
    } else {
      room_.send_foreign(call, to);
    }
  }
  entering_.fetch_sub(1, std::memory_order_seq_cst);
  if (!open) return stopped();
  if (full) {
    return error(status_code::resource_exhausted, "shard " + std::to_string(to) + " has " +
                                                      std::to_string(calls_in_flight_max) +
                                                      " calls of foreign threads under way");
  }
  return std::nullopt;
}

}  // namespace atoll_root::atoll
