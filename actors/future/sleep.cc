// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/sleep.hh>

#include <atoll/actors/reactor/timer_queue.hh>

namespace atoll_root::atoll {
namespace {

class sleeper final : public detail::pooled_wait<void, sleeper>, timer_node {
 public:
  template <class Arm>
  static future<> start(Arm arm) {
    if (const error* reason = cancellation()) return make_failed_future(detail::wait_failed(*reason, "sleep"));
    void* block = pool_try_allocate(sizeof(sleeper));
    if (block == nullptr) return make_failed_future(error(status_code::resource_exhausted));
    auto* s = ::new (block) sleeper();
    future<> f(*s);
    arm(static_cast<timer_node&>(*s));
    s->watch_context();
    return f;
  }

 private:
  friend detail::pooled_wait<void, sleeper>;
  sleeper() noexcept : pooled_wait(&cancelled), timer_node(&fire) {}
  ~sleeper() = default;

  static void fire(timer_node* t) noexcept { static_cast<sleeper*>(t)->end_with(); }
  static void cancelled(cancel_hook* hook, const error& reason) noexcept {
    auto* self = static_cast<sleeper*>(hook);
    self->timer_node::cancel();
    self->end_with_error(detail::wait_failed(reason, "sleep"));
  }
};

}  // namespace

future<> sleep(duration d) {
  return sleeper::start([d](timer_node& t) { this_shard().timers->arm_after(t, d); });
}

future<> sleep_until(time_point when) {
  return sleeper::start([when](timer_node& t) { this_shard().timers->arm(t, when); });
}

}  // namespace atoll_root::atoll
