// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// shard_ref<S>: the instance of a service on one shard of this process. A value: copy it, send it, keep it.
//
//   atoll::shard_ref<counter> one = counters.at(1);
//   auto total = co_await one.add("hits", 5);
//   co_await one.within(50ms).add("hits", 5);       // deadline_exceeded after 50 ms, wherever the call is
//
// Shard rules: usable on every shard of the process. The methods are those ATOLL_SERVICE lists, with the
// service's own signatures. Arguments are moved to the target shard; calls from one shard to one instance start in
// the order made. Errors: `unavailable` where the service is not running there, `deadline_exceeded`, and what
// the method fails with.
#pragma once

#include <tuple>
#include <utility>

#include <atoll/sharding/call.hh>
#include <atoll/sharding/describe.hh>
#include <atoll/sharding/key_hash.hh>

namespace atoll_root::atoll {
namespace detail {

/// What a call of a described method carries.
template <class Tag>
struct method_call {
  using traits = method_traits<Tag>;
  static constexpr std::size_t method = bounds_of<Tag>;
  static_assert(method <= UINT8_MAX, "methods with bounds of their own have to be among the first 255");

  auto operator()(void* instance) {
    auto& service = *static_cast<typename traits::service*>(instance);
    return std::apply([&service](auto&... a) { return (service.*Tag::pointer)(std::move(a)...); }, packed);
  }
  [[nodiscard]] std::uint64_t key() const noexcept
    requires(traits::options.per_key)
  {
    return key_hash(std::get<traits::key>(packed));
  }

  typename traits::arguments packed;
};

/// Calls one described method on a shard.
template <class Tag, class... A>
auto call_method(service_core* core, shard_id to, duration timeout, A&&... arguments) {
  using traits = method_traits<Tag>;
  return start_call<typename traits::result>(
      core, to, timeout, method_call<Tag>{typename traits::arguments(std::forward<A>(arguments)...)});
}

}  // namespace detail

template <class S>
class shard_ref : public service_description<S>::template refs<shard_ref<S>> {
 public:
  /// A ref that names nothing; calling it is a bug.
  shard_ref() noexcept = default;
  shard_ref(service_core& core, shard_id shard) noexcept : core_(&core), shard_(shard) {}

  /// The same ref, whose calls end within `timeout` or by the caller's deadline, whichever is earlier.
  [[nodiscard]] shard_ref within(duration timeout) const noexcept {
    shard_ref bounded = *this;
    bounded.timeout_ = timeout;
    return bounded;
  }

  [[nodiscard]] shard_id shard() const noexcept { return shard_; }

  template <class Tag, class... A>
  auto atoll_call(A&&... arguments) const {
    ATOLL_ASSERT(core_ != nullptr, "a call through an empty shard_ref");
    return detail::call_method<Tag>(core_, shard_, timeout_, std::forward<A>(arguments)...);
  }

 private:
  service_core* core_ = nullptr;
  shard_id shard_ = 0;
  duration timeout_ = no_timeout;
};

template <class S>
inline constexpr bool enable_sendable<shard_ref<S>> = true;

}  // namespace atoll_root::atoll
