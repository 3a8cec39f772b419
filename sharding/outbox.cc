// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/outbox.hh>

#include <new>

#include <atoll/actors/metrics/shard_metrics.hh>
#include <atoll/actors/metrics/status_metric.hh>
#include <atoll/sharding/call_message.hh>

namespace atoll_root::atoll {

/// What is told of the calls from this shard to another.
struct outbox::exported {
  exported(const outbox& box, shard_id to)
      : group(shard_metrics(), "atoll_lane", {{"to", std::to_string(to)}}),
        ended(group, "calls_total", "Calls to that shard that ended here.",
              [&box](status_code code) { return box.ended_[code]; }),
        in_flight(group, "calls_in_flight", "Calls under way to that shard.",
                  [&box] { return static_cast<double>(box.in_flight()); }),
        waiting(group, "calls_waiting", "Calls that wait until fewer are under way to that shard.",
                &box.waiting_count_) {}

  metric_group group;
  observable_status_counts ended;
  observable_gauge in_flight;
  observable_gauge waiting;
};

outbox::outbox() = default;
outbox::~outbox() = default;

void outbox::export_metrics(shard_id to) noexcept {
  try {
    exported_ = std::make_unique<exported>(*this, to);
  } catch (const std::bad_alloc&) {
    return;  // with the next call that is measured
  }
}

void outbox::took(shard_id to, duration how_long, std::uint32_t weight) noexcept {
  if (exported_ == nullptr) export_metrics(to);
  if (exported_) timed_.record(how_long, weight, exported_->group);
}

bool outbox::takes_nested(std::uint32_t level) noexcept {
  if (level >= levels) return deep_in_flight_ < deep_in_flight_max;
  if (nested_ != nullptr) return true;
  nested_.reset(new (std::nothrow) std::array<line, levels>);
  return nested_ != nullptr;
}

std::uint8_t outbox::enter_nested(std::uint32_t level) noexcept {
  if (level == 0) {
    ++others_in_flight_;
    return unbounded;
  }
  // One that was kept elsewhere may come where there is no memory to wait with.
  if (level >= levels || !takes_nested(level)) {
    ++others_in_flight_;
    ++deep_in_flight_;
    return deep;
  }
  line& l = line_of(level);
  if (l.in_flight >= in_flight_max()) return no_place;
  ++others_in_flight_;
  ++l.in_flight;
  return static_cast<std::uint8_t>(level);
}

void outbox::returned_nested(std::uint8_t place) noexcept {
  --others_in_flight_;
  if (place == unbounded) return;
  if (place == deep) {
    --deep_in_flight_;
    return;
  }
  line& l = line_of(place);
  --l.in_flight;
  if (!l.waiting.empty()) send_waiting(l, place);
}

void outbox::wait(call_caller& call) noexcept {
  outbox_hook& place = call.place_to_wait();
  ATOLL_SOMETIMES("lanes: a call waited for a place");
  if (call.level() > 1) ATOLL_SOMETIMES("lanes: a nested call waited for a place");
  auto& waiting = line_of(call.level()).waiting;
  if (ATOLL_MUTANT(3) && !waiting.empty()) {
    outbox_hook& first = waiting.front();
    first.unlink();
    waiting.push_back(place);
    waiting.push_back(first);
  } else {
    waiting.push_back(place);
  }
  ++waiting_count_;
}

bool outbox::withdraw(outbox_hook& place) noexcept {
  if (!place.linked()) return false;
  place.unlink();
  --waiting_count_;
  return true;
}

void outbox::send_waiting(line& l, std::uint8_t place) noexcept {
  while (l.in_flight < in_flight_max() && !l.waiting.empty()) {
    call_caller& call = call_hook<outbox_hook>::call_of(*l.waiting.pop_front());
    --waiting_count_;
    if (&l != &first_) ++others_in_flight_;
    ++l.in_flight;
    call.send(place);
  }
}

}  // namespace atoll_root::atoll
