// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/shard.hh>

namespace atoll_root::atoll::detail {

constinit thread_local shard* current_shard __attribute__((tls_model(ATOLL_TLS_MODEL))) = nullptr;

bool tick_is_due(shard& s) noexcept {
  constexpr std::uint32_t calls = 256;
  return s.has_ticker || ++s.credits % calls == 0;
}

}  // namespace atoll_root::atoll::detail
