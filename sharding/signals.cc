// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/signals.hh>

#include <pthread.h>

#include <array>
#include <span>
#include <string>

#include <atoll/actors/io/io_backend.hh>

namespace atoll_root::atoll::detail {

future<int> next_signal_of(sigset_t wanted) {
  sigset_t blocked;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
  std::array<int, NSIG> numbers{};
  std::size_t count = 0;
  for (int signal = 1; signal < NSIG; ++signal) {
    if (::sigismember(&wanted, signal) != 1) continue;
    if (::sigismember(&blocked, signal) != 1) {
      return make_failed_future<int>(error(
          status_code::failed_precondition,
          "next_signal: signal " + std::to_string(signal) + " has its default effect; app::receive() changes that"));
    }
    numbers[count++] = signal;
  }
  return this_shard().io->next_signal(std::span<const int>(numbers).first(count));
}

}  // namespace atoll_root::atoll::detail
