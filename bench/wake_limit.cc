// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The limits for waking and starting: eventfd, epoll_wait and threads, bound to processors 0 and 1.
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "measure.hh"
#include "shard_limits.hh"

namespace bench {
namespace {

constexpr std::size_t trips = 100;

/// What one thread is woken by.
class bell {
 public:
  bell() {
    epoll_event event{};
    event.events = EPOLLIN;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, event_, &event);
  }
  bell(const bell&) = delete;
  bell& operator=(const bell&) = delete;
  ~bell() {
    ::close(epoll_);
    ::close(event_);
  }

  void ring() const {
    const std::uint64_t one = 1;
    while (::write(event_, &one, sizeof one) < 0) {
    }
  }
  /// Sleeps until it rings.
  void wait() const {
    epoll_event event{};
    while (::epoll_wait(epoll_, &event, 1, -1) <= 0) {
    }
    std::uint64_t rings = 0;
    while (::read(event_, &rings, sizeof rings) < 0) {
    }
  }
  /// Sleeps, with nobody to ring.
  void sleep_ms(int ms) const {
    epoll_event event{};
    ::epoll_wait(epoll_, &event, 1, ms);
  }

 private:
  int event_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  int epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
};

double round_trip_us(int gap_ms) {
  const bell here;
  const bell there;
  std::atomic<std::int64_t> sent{0};
  std::vector<double> ways_there, ways_back, whole;
  std::thread echo([&] {
    run_on_processor(1);
    for (std::size_t i = 0; i < trips; ++i) {
      there.wait();
      ways_there.push_back(static_cast<double>(steady_ns() - sent) / 1000);
      if (gap_ms > 0) there.sleep_ms(gap_ms);
      sent = steady_ns();
      here.ring();
    }
  });
  const double us = on_bare_thread([&] {
    for (std::size_t i = 0; i < trips; ++i) {
      if (gap_ms > 0) here.sleep_ms(gap_ms);
      const auto begin = steady_ns();
      sent = begin;
      there.ring();
      here.wait();
      const auto now = steady_ns();
      ways_back.push_back(static_cast<double>(now - sent) / 1000);
      whole.push_back(static_cast<double>(now - begin) / 1000);
    }
    return 0.0;
  });
  echo.join();
  return us + (gap_ms > 0 ? median(ways_there) + median(ways_back) : median(whole));
}

}  // namespace

double eventfd_round_trip_us() { return round_trip_us(1); }

double eventfd_ping_us() { return round_trip_us(0); }

double threads_start_ms(std::uint32_t threads) {
  const auto begin = steady_ns();
  std::vector<std::jthread> started;
  for (std::uint32_t i = 0; i < threads; ++i) started.emplace_back([i] { run_on_processor(i); });
  started.clear();
  return static_cast<double>(steady_ns() - begin) / 1e6;
}

}  // namespace bench
