// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/clock.hh>

#include <ctime>

namespace atoll_root::atoll {
namespace {

class monotonic_system_clock final : public clock {
 public:
  time_point now() noexcept override {
    timespec t{};
    ::clock_gettime(CLOCK_MONOTONIC, &t);
    return time_point(std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec));
  }
};

}  // namespace

clock& system_clock() noexcept {
  static monotonic_system_clock instance;  // no state
  return instance;
}

}  // namespace atoll_root::atoll
