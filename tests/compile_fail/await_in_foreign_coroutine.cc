// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
// EXPECT: only in coroutines that return atoll::future
//
// Only the coroutines of atoll are tasks of a shard.
#include <atoll/actors/future/future.hh>

#include <coroutine>

namespace demo {

struct foreign {
  struct promise_type {
    foreign get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() {}
  };
};

foreign wait(atoll::future<> f) { co_await std::move(f); }

}  // namespace demo
