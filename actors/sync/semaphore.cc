// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/semaphore.hh>

namespace atoll_root::atoll {

future<semaphore_units> semaphore::acquire_slowly(std::uint64_t n) {
  auto& c = *core_;
  if (c.closed) return make_failed_future<semaphore_units>(c.waiting.failure(*c.closed));
  if (n > c.capacity) {
    return make_failed_future<semaphore_units>(
        c.waiting.failure(error(status_code::out_of_range, "more units wanted than there are")));
  }
  return c.waiting.wait(n);
}

}  // namespace atoll_root::atoll
