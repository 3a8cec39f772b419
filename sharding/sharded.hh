// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// sharded<S>: one instance of a service on each shard of this process.
//
//   atoll::sharded<counter> counters;
//   co_await counters.start(limit);                        // counter(limit), on every shard: see start_arguments.hh
//   auto n = co_await counters.at(1).add("hits", 5);       // that shard's instance
//   auto m = co_await counters.add("hits", 5);             // the shard that owns the key "hits"
//   auto s = co_await counters.map_reduce(&counter::size, std::plus{}, 0);
//   co_await counters.on_all(&counter::forget, std::string("hits"));        // any member function, on every instance
//   std::vector<std::size_t> each = co_await counters.map(&counter::size);  // by shard
//   std::size_t there = co_await counters.invoke_on(1, &counter::size);     // of one
//   co_await counters.stop();                              // S::stop() everywhere, then destruction
//
// sharded_ref<S> is the part of it that can be copied and sent: everything but start, stop and local.
// Shard rules: start and stop on the shard that made it, once each and in turn; calls on any.
// start() and stop() run to their end: the deadline of the caller's context does not cut them short.
// Errors: calls before start and after stop fail with `unavailable`, naming the service.
// A container that is dropped while started is stopped by the runtime at its end, with a log line.
#pragma once

#include <concepts>
#include <iterator>
#include <memory>
#include <vector>

#include <atoll/sharding/key_hash.hh>
#include <atoll/sharding/ref.hh>
#include <atoll/sharding/service_host.hh>
#include <atoll/sharding/slots.hh>

namespace atoll_root::atoll {

template <class S>
class sharded;

template <class S>
class sharded_ref : public service_description<S>::template refs<sharded_ref<S>> {
  template <class Method, class... A>
  using result_of = detail::unwrapped<std::invoke_result_t<Method&, S&, A...>>;

 public:
  /// A ref to nothing: calls fail with `unavailable`.
  sharded_ref() noexcept = default;
  explicit sharded_ref(service_core& core) noexcept : core_(&core) {}

  /// Calls to a shard that does not exist fail with `out_of_range`.
  [[nodiscard]] shard_ref<S> at(shard_id shard) const { return shard_ref<S>(named(), shard).within(timeout_); }

  /// The same ref, whose calls, by at() too, end within `timeout` or by the caller's deadline, whichever is earlier. Where it is zero or
  /// less they fail with `deadline_exceeded` and are not sent.
  [[nodiscard]] sharded_ref within(duration timeout) const noexcept {
    sharded_ref bounded = *this;
    bounded.timeout_ = timeout;
    return bounded;
  }

  // What follows calls `method` on several instances at once, with a copy of the arguments for each: a public member
  // function of S, described or not, or a function without captures that takes an S& first; plain or returning a
  // future. All are waited for; the first failure in shard order is the result.

  template <class Method, class... A>
  future<> on_all(Method method, A... arguments) const {
    return run_on(*this, all_shards(), method, boxed(std::move(arguments)...));
  }
  /// On every instance but this shard's.
  template <class Method, class... A>
  future<> on_others(Method method, A... arguments) const {
    auto others = all_shards();
    std::erase(others, this_shard_id());
    return run_on(*this, std::move(others), method, boxed(std::move(arguments)...));
  }
  /// On the instances of these shards: any range of shard_id.
  template <class Shards, class Method, class... A>
    requires requires(const Shards& s) { std::begin(s) != std::end(s); }
  future<> on(const Shards& shards, Method method, A... arguments) const {
    return run_on(*this, std::vector<shard_id>(std::begin(shards), std::end(shards)), method,
                  boxed(std::move(arguments)...));
  }
  /// On one instance, with its result. The arguments need not be copied.
  template <class Method, class... A>
  auto invoke_on(shard_id shard, Method method, A... arguments) const -> future<result_of<Method, A...>> {
    return call_one(*this, shard, method, std::tuple<A...>(std::move(arguments)...));
  }
  /// The results by shard.
  template <class Method, class... A>
  auto map(Method method, A... arguments) const -> future<std::vector<result_of<Method, A...>>> {
    return collect(*this, method, boxed(std::move(arguments)...));
  }
  /// Folds the results in shard order, starting with `initial`.
  template <class Method, class Reduce, class T, class... A>
  future<T> map_reduce(Method method, Reduce reduce, T initial, A... arguments) const {
    return fold(map(method, std::move(arguments)...), std::move(reduce), std::move(initial));
  }

  /// Which shard has which keys, and how to change that: see slots.hh.
  [[nodiscard]] slot_table<S> slots() const {
    static_assert(detail::options_of_service<S>().slots != 0, "this service has no slots: say how many in its options");
    return slot_table<S>(named());
  }

  [[nodiscard]] service_core& core() const noexcept { return *core_; }
  [[nodiscard]] service_core* core_or_null() const noexcept { return core_; }

  template <class Tag, class... A>
  auto atoll_call(A&&... arguments) const {
    constexpr auto key = method_traits<Tag>::key;
    static_assert(key != no_key, "this method has no key(...) in its ATOLL_METHOD: say which shard with .at(shard)");
    if constexpr (detail::argument_is_key<typename method_traits<Tag>::arguments, key>) {  // else that has been said
      const auto hash = key_hash(detail::nth_of<key>(arguments...));
      return detail::call_by_hash<Tag>(&named(), hash, timeout_, std::forward<A>(arguments)...);
    }
  }

 protected:
  service_core* core_ = nullptr;
  duration timeout_ = no_timeout;

 private:
  friend class sharded<S>;

  [[nodiscard]] service_core& named() const {
    return core_ != nullptr ? *core_ : detail::core_of_none(detail::shape_of_service<S>());
  }
  [[nodiscard]] std::vector<shard_id> all_shards() const {
    std::vector<shard_id> all(named().shards());
    for (shard_id s = 0; s < all.size(); ++s) all[s] = s;
    return all;
  }

  template <class Method, class... A>
  struct call_of_instance {
    static constexpr work_name name_of_work() { return {service_description<S>::name, "(map or on_all)"}; }
    static constexpr bool has_group = detail::has_grouped_methods<S>;
    auto operator()(void* instance) {
      const auto bound = [this, instance] {
        return std::apply(
            [this, instance](A&... a) {
              return detail::invoke_any(function, *static_cast<S*>(instance), std::move(a)...);
            },
            packed);
      };
      return detail::invoke_and_await(bound);
    }
    void depart()
      requires(detail::must_depart<std::tuple<A...>>)
    {
      detail::depart(packed);
    }
    [[nodiscard]] std::uint64_t key() const noexcept { return key_hashed; }
    [[nodiscard]] std::size_t number() const noexcept { return described_number; }

    Method function;
    std::tuple<A...> packed;
    std::size_t bounds = 0;  // whose hold
    std::uint64_t key_hashed = 0;
    std::size_t described_number = no_method;
  };

  /// A described method keeps its own bounds and scheduling group, however it is called.
  template <class Method, class... A>
  static void find_bounds(call_of_instance<Method, A...>& call) {
    if constexpr (std::is_member_function_pointer_v<Method>) {
      for_each_method<S>([&call]<class Tag>(Tag) {
        if constexpr (std::is_same_v<std::remove_const_t<decltype(Tag::pointer)>, Method>) {
          if (call.function != Tag::pointer) return;
          call.described_number = detail::number_of<Tag>;
          call.bounds = detail::bounds_of<Tag>;
          if constexpr (detail::bounds_of<Tag> != 0 && method_traits<Tag>::options.per_key) {
            constexpr auto key = method_traits<Tag>::key;
            using key_type = std::tuple_element_t<key, typename method_traits<Tag>::arguments>;
            call.key_hashed = key_hash(key_type(std::get<key>(call.packed)));
          }
        }
      });
    }
  }

  /// One future for each shard, in their order; where there is no memory for a call, its future has failed.
  template <class Method, class... A>
  static auto call_on(const sharded_ref& self, const std::vector<shard_id>& shards, Method method,
                      const std::tuple<A...>& arguments) {
    using R = result_of<Method, A...>;
    static_assert((std::copy_constructible<A> && ...), "each instance gets a copy of the arguments");
    std::vector<future<R>> parts;
    parts.reserve(shards.size());
    for (const shard_id to : shards) {
      const auto start = [&] { return call_one(self, to, method, arguments); };
      parts.push_back(detail::invoke_safely(start));
    }
    return parts;
  }
  template <class Method, class... A>
  static auto call_one(const sharded_ref& self, shard_id to, Method method, std::tuple<A...> arguments) {
    using R = result_of<Method, A...>;
    static_assert(travels_as_function<Method>,
                  "what is called on other shards must have no captures. Give what it needs as arguments after it");
    static_assert((sendable<A> && ...), "the arguments travel to other shards");
    static_assert(sendable<R>, "what comes back from each shard has to be sendable");
    call_of_instance<Method, A...> call{.function = method, .packed = std::move(arguments)};
    find_bounds(call);
    return start_call<R>(&self.named(), to, self.timeout_, std::move(call));
  }
  /// What clang makes without optimisation uses a frame that it has freed where a parameter's move throws: docs/compilers.md.
  template <class... A>
  using box = std::unique_ptr<const std::tuple<A...>>;
  template <class... A>
  static box<A...> boxed(A... arguments) {
    return std::make_unique<const std::tuple<A...>>(std::move(arguments)...);
  }
  // Static, with the ref by value: a coroutine may begin after the ref it was called on has gone.
  template <class Method, class... A>
  static future<> run_on(sharded_ref self, std::vector<shard_id> shards, Method method, box<A...> arguments) {
    auto parts = call_on(self, shards, method, *arguments);
    std::optional<error> first;
    for (auto& part : parts) {
      std::optional<error> why;
      try {
        auto outcome = co_await as_result(std::move(part));
        if (!outcome) why = std::move(outcome).error();
      } catch (...) {  // moving a result: the others are waited for all the same
        why = error::from_exception(std::current_exception());
      }
      if (why && !first) first = std::move(why);
    }
    if (first) co_await fail(std::move(*first));
  }
  template <class Method, class... A>
  static auto collect(sharded_ref self, Method method, box<A...> arguments)
      -> future<std::vector<result_of<Method, A...>>> {
    using R = result_of<Method, A...>;
    static_assert(!std::is_void_v<R>, "map() collects results: for none there is on_all()");
    const auto everywhere = self.all_shards();
    std::vector<result<R>> arrived;
    std::vector<R> values;
    arrived.reserve(everywhere.size());
    values.reserve(everywhere.size());
    auto parts = call_on(self, everywhere, method, *arguments);
    for (auto& part : parts) {
      try {
        arrived.push_back(co_await as_result(std::move(part)));
      } catch (...) {  // moving a result
        arrived.push_back(error::from_exception(std::current_exception()));
      }
    }
    for (auto& part : arrived) {
      if (!part) co_return std::move(part).error();
      values.push_back(*std::move(part));
    }
    co_return values;
  }
  template <class R, class Reduce, class T>
  static future<T> fold(future<std::vector<R>> collected, Reduce reduce, T folded) {
    auto parts = co_await or_fail(std::move(collected));
    for (auto&& part : parts) folded = reduce(std::move(folded), R(std::move(part)));
    co_return folded;
  }
};

template <class S>
inline constexpr bool enable_sendable<sharded_ref<S>> = true;

/// A base for services whose instances call each other: `class cache : public atoll::peering<cache>`. The member
/// functions that use peers() are defined after ATOLL_SERVICE, which is what gives the refs their methods.
template <class S>
class peering {
 public:
  /// The service this instance belongs to. REQUIRES: not called in the constructor.
  [[nodiscard]] sharded_ref<S> peers() const noexcept { return sharded_ref<S>(*core_); }

 protected:
  template <class T>
  friend constexpr service_class detail::class_of_service() noexcept;
  service_core* core_ = nullptr;
};

template <class S>
class sharded : public sharded_ref<S> {
 public:
  /// It can be called from now on, on a shard, and fails with `unavailable` until it has started. Where it outlives a runtime, start() or
  /// ref() make it usable in the next. Throws std::bad_alloc.
  sharded() {
    if (on_shard()) this->core_ = &host_.core();
  }
  /// How it lives: service_life.hh has the options, and has to be included for them.
  explicit sharded(const life_options& options) : sharded() { host_.set_options(options); }

  /// A handle for other shards and other services, also before start().
  [[nodiscard]] sharded_ref<S> ref() {
    this->core_ = &host_.core();
    return sharded_ref<S>(*this->core_);
  }

  /// Makes S(arguments...) on every shard, from copies of the arguments, and awaits S::ready(), where there is one. If one
  /// fails, the instances made are stopped and destroyed and its error is the result. `failed_precondition` where it has been started and
  /// not stopped since.
  template <class... A>
  future<> start(A... arguments) {
    return host_.start(ref().all_shards(), std::move(arguments)...);
  }

  /// In phases: S::drain() and S::stop() on every shard, while calls are still served; then no new calls, those being
  /// served are waited for, and the instances are destroyed. The first failure of a hook is the result. service_life.hh has more.
  future<> stop() { return host_.stop(); }

  /// Whether local() is there: start() has got as far on this shard.
  [[nodiscard]] bool has_local() const noexcept { return this->core_ != nullptr && this->core_->instance() != nullptr; }
  /// This shard's instance. REQUIRES: started.
  [[nodiscard]] S& local() const noexcept {
    void* instance = this->core_ == nullptr ? nullptr : this->core_->instance();
    ATOLL_ASSERT(instance != nullptr, "local() of a service that does not run here");
    return *static_cast<S*>(instance);
  }

 private:
  friend struct detail::host_access;
  service_host<S> host_;
};

}  // namespace atoll_root::atoll
