// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/clock.hh>

#include <ctime>

namespace atoll_root::atoll {
namespace {

std::chrono::nanoseconds read_clock(clockid_t id) noexcept {
  timespec t{};
  ::clock_gettime(id, &t);
  return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

class machine_clock final : public clock {
 public:
  time_point now() noexcept override { return time_point(read_clock(CLOCK_MONOTONIC)); }
  wall_time wall_now() noexcept override { return wall_time(read_clock(CLOCK_REALTIME)); }
};

}  // namespace

clock& system_clock() noexcept {
  static machine_clock instance;  // no state
  return instance;
}

}  // namespace atoll_root::atoll
