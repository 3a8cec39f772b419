// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/outbox.hh>

#include <atoll/actors/metrics/shard_metrics.hh>
#include <atoll/actors/metrics/status_metric.hh>
#include <atoll/sharding/call.hh>

namespace atoll_root::atoll {

/// What is told of the calls from this shard to another.
struct outbox::exported {
  exported(const outbox& box, shard_id to)
      : group(shard_metrics(), "atoll_lane", {{"to", std::to_string(to)}}),
        ended(group, "calls_total", "Calls to that shard that ended here.",
              [&box](status_code code) { return box.ended_[code]; }),
        in_flight(group, "calls_in_flight", "Calls under way to that shard.", &box.in_flight_),
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
    return;  // with the next call
  }
}

void outbox::took(duration how_long, std::uint32_t weight) noexcept {
  if (exported_) timed_.record(how_long, weight, exported_->group);
}

void outbox::wait(call_caller& call) noexcept {
  outbox_hook& place = call;
  waiting_.push_back(place);
  ++waiting_count_;
}

bool outbox::withdraw(call_caller& call) noexcept {
  outbox_hook& place = call;
  if (!place.linked()) return false;
  place.unlink();
  --waiting_count_;
  return true;
}

void outbox::send_waiting() noexcept {
  while (in_flight_ < calls_in_flight_max && !waiting_.empty()) {
    call_caller& call = static_cast<call_caller&>(*waiting_.pop_front());
    --waiting_count_;
    ++in_flight_;
    call.send();
  }
}

}  // namespace atoll_root::atoll
