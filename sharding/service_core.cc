// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/service_core.hh>

namespace atoll_root::atoll {

void* service_core::enter() noexcept {
  slot& s = local();
  if (s.closed) return nullptr;
  ++s.serving;
  return s.instance;
}

void service_core::leave() noexcept {
  slot& s = local();
  if (--s.serving == 0 && s.drained) s.drained->set_value();
}

void service_core::open(void* instance) noexcept {
  slot& s = local();
  ATOLL_ASSERT(s.instance == nullptr, "a shard has one instance of a service");
  s.instance = instance;
  s.closed = false;
}

future<void*> service_core::close() {
  slot& s = local();
  s.closed = true;
  if (s.serving > 0) {
    co_await s.drained.emplace().get_future();
    s.drained.reset();
  }
  co_return std::exchange(s.instance, nullptr);
}

error service_core::not_running() const {
  return {status_code::unavailable, name_ + " is not running on shard " + std::to_string(this_shard_id())};
}

}  // namespace atoll_root::atoll
