// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/assert.hh>

#include <cstdio>
#include <cstdlib>

namespace atoll_root::atoll::detail {

void assert_failed(const char* condition, const char* why, const char* file, int line) noexcept {
  std::fprintf(stderr, "atoll: bug: %s (%s) at %s:%d\n", why, condition, file, line);
  std::abort();
}

}  // namespace atoll_root::atoll::detail
