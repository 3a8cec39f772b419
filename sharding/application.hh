// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// application: services that are started and stopped together, each after those that it needs.
//
//   class store { public: explicit store(std::string path); ... };
//   class shop {
//    public:
//     using depends_on = atoll::dependencies<store, ids>;
//     shop(store& rows, atoll::shard_ref<ids> numbers, int limit);    // those first, in that order
//   };
//
//   atoll::application app(atoll::part<store>(std::string("/data")), atoll::part<atoll::singleton<ids>>(),
//                          atoll::part<shop>(100));                   // the order doesn't matter
//   co_await app.start();                   // store and ids at once, then shop
//   co_await app.get<shop>().at(1).sell("x");
//   co_await app.stop();                    // shop, then store and ids
//
// Or `co_await app.run()`: starts, waits for SIGINT or SIGTERM, and stops.
// A part is a service S, which runs as sharded<S>, or a singleton<S> or keyed<A>, or something that is startable: a cluster_of<S...>
// (rpc/cluster_part.hh), a gateway_of<S...> (services/gateway/gateway_part.hh), or a class of your own; what part() is given follows, in the
// constructor, what the service depends on, as what start_arguments.hh makes of its ref. (For keyed<A>, keyed_options may come first.)
// A dependency that is no part, and dependencies in a circle, don't compile.
// start(): each part as soon as those it depends on are ready. If one fails, no other begins, and those that have started are stopped.
// stop(): first S::drain() of each part, then its S::stop() and end; in both, a part comes after those that depend on it.
// phase limits (service_life.hh) hold for each part.
// When a supervised part gives up (supervised.hh), failure() is ready, and run() stops the application and fails with the reason.
// Errors: those of the parts. Shard rules: one shard's, of a runtime; the parts' refs go anywhere.
#pragma once

#include <array>
#include <concepts>
#include <functional>
#include <memory>
#include <tuple>
#include <utility>
#include <vector>

#include <atoll/sharding/application_phases.hh>
#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/singleton.hh>

namespace atoll_root::atoll {

/// The services that a service needs: `using depends_on = atoll::dependencies<store, ids>`. They may be declared only.
template <class... S>
struct dependencies {};

/// What is no service but starts and stops with an application; there is one of it, on the application's shard. It may have depends_on.
template <class P>
concept startable = requires(P& part) {
  { P::part_name } -> std::convertible_to<std::string_view>;
  /// Beside start(refs of what it depends on..., what part() was given...). Also called where that failed; where it fails with
  /// `resource_exhausted`, again, a hundred times at most.
  { part.stop() } -> std::same_as<future<>>;
  /// What those that depend on it are given. REQUIRES: started.
  part.ref();
};

namespace detail {

template <class P>
struct part_kind {
  using service = P;
  using container = sharded<P>;
};
template <startable P>
struct part_kind<P> {
  using service = P;
  using container = P;
};
template <class S>
struct part_kind<sharded<S>> : part_kind<S> {};
template <class S>
struct part_kind<singleton<S>> {
  using service = S;
  using container = singleton<S>;
};
template <class A>
struct part_kind<keyed<A>> {
  using service = A;
  using container = keyed<A>;
};

template <class S>
struct needs_of {
  using type = dependencies<>;
};
template <class S>
  requires requires { typename S::depends_on; }
struct needs_of<S> {
  using type = typename S::depends_on;
};

template <class S, class Needed, bool IsPart>
struct needs_a_part {
  static_assert(IsPart, "a service depends on one that is no part of the application");
};
template <class... S>
struct services_in_a_circle {
  static_assert(sizeof...(S) == 0, "the services of an application depend on each other in a circle: those named here");
};

template <class... S>
inline constexpr bool are_all_different = true;
template <class First, class... Rest>
inline constexpr bool are_all_different<First, Rest...> =
    !(std::is_same_v<First, Rest> || ...) && are_all_different<Rest...>;

/// What depends on what, among services.
template <class... S>
struct dependency_graph {
  static constexpr std::size_t size = sizeof...(S);
  using row = std::array<bool, size>;

  template <class Needed>
  static constexpr std::size_t index_of = [] {
    std::size_t at = 0;
    static_cast<void>(((std::is_same_v<Needed, S> || (++at, false)) || ...));
    return at;
  }();

  template <class... Needed>
  static constexpr bool has_all(std::type_identity<dependencies<Needed...>>) {
    return ((index_of<Needed> < size) && ...);
  }
  static constexpr bool complete = (has_all(std::type_identity<typename needs_of<S>::type>{}) && ...);
  template <class Of, class... Needed>
  static constexpr bool check_parts(std::type_identity<dependencies<Needed...>>) {
    static_cast<void>(std::tuple<needs_a_part<Of, Needed, index_of<Needed> != size>...>());
    return true;
  }
  static_assert((check_parts<S>(std::type_identity<typename needs_of<S>::type>{}) && ...));

  template <class Of, class... Needed>
  static constexpr row row_of(std::type_identity<dependencies<Needed...>>) {
    row all{};
    ((index_of<Needed> < size ? void(all[index_of<Needed>] = true) : void()), ...);
    return all;
  }
  static constexpr std::array<row, size> needs{row_of<S>(std::type_identity<typename needs_of<S>::type>{})...};

  struct path {
    std::array<std::size_t, size> at{};
    std::size_t length = 0;
  };
  /// Some services that depend on each other; none where there is no such circle.
  static constexpr path circle = [] {
    std::array<bool, size> done{};
    std::size_t left = size;
    for (bool more = true; more;) {
      more = false;
      for (std::size_t i = 0; i < size; ++i) {
        bool waits = done[i];
        for (std::size_t n = 0; n < size; ++n) waits = waits || (needs[i][n] && !done[n]);
        if (waits) continue;
        done[i] = more = true;
        --left;
      }
    }
    path found;
    if (left == 0) return found;
    const auto next = [&done](std::size_t from) {
      for (std::size_t n = 0; n < size; ++n) {
        if (needs[from][n] && !done[n]) return n;
      }
      return size;
    };
    std::size_t on_it = 0;
    while (done[on_it]) ++on_it;
    for (std::size_t step = 0; step < size; ++step) on_it = next(on_it);
    for (std::size_t at = on_it; found.length == 0 || at != on_it; at = next(at)) found.at[found.length++] = at;
    return found;
  }();

  template <std::size_t... I>
  static constexpr bool check(std::index_sequence<I...>) {
    static_cast<void>(services_in_a_circle<std::tuple_element_t<circle.at[I], std::tuple<S...>>...>());
    return true;
  }
  static_assert(check(std::make_index_sequence<circle.length>{}));
};

}  // namespace detail

/// A service of an application and what its constructor is given: part().
template <class P, class... A>
struct application_part {
  using service = typename detail::part_kind<P>::service;
  using container = typename detail::part_kind<P>::container;
  std::tuple<A...> arguments;
};

template <class P, class... A>
application_part<P, A...> part(A... arguments) {
  return {{std::move(arguments)...}};
}

template <class... Parts>
class application {
  using graph = detail::dependency_graph<typename Parts::service...>;
  static_assert(graph::size > 0);
  static_assert(detail::are_all_different<typename Parts::service...>, "a service is one part of an application");

 public:
  explicit application(Parts... parts) : own_(std::make_shared<owned>(std::move(parts)...)) {
    own_->add_all(std::index_sequence_for<Parts...>{});
  }
  application(const application&) = delete;
  application& operator=(const application&) = delete;
  /// What starts is stopped, and a stop goes on. What has been started runs until the runtime's end, which stops it, with a log line; a
  /// startable of your own goes at once, so stop the application before.
  ~application() { own_->phases.drop(); }

  /// Once, or again after stop(); else `failed_precondition`.
  future<> start(application_options options = {}) { return application_phases::start(phases(), std::move(options)); }
  /// Also while it starts: then no other part begins, start() fails with `cancelled`, and all ends.
  future<> stop() { return application_phases::stop(phases()); }
  /// start(), then until SIGINT, SIGTERM or failure(), then stop(). Of an app::run().
  future<> run(application_options options = {}) { return application_phases::run(phases(), std::move(options)); }

  /// Fails with the reason when a part has given up; `cancelled` where the application stops before, or is destroyed.
  [[nodiscard]] future<> failure() { return application_phases::failure(phases()); }

  /// The sharded<S>, singleton<S> or keyed<A>. It lives as long as the application.
  template <class S>
  [[nodiscard]] auto& get() noexcept {
    return own_->template get<S>();
  }

 private:
  struct owned;
  [[nodiscard]] application_phases::kept phases() const noexcept { return {own_, &own_->phases}; }

  std::shared_ptr<owned> own_;
};

/// What an application has, and its phases refer to.
template <class... Parts>
struct application<Parts...>::owned {
  explicit owned(Parts... of) : parts(std::move(of)...) {}

  template <class S>
  [[nodiscard]] auto& get() noexcept {
    using service = typename detail::part_kind<S>::service;
    static_assert(graph::template index_of<service> < graph::size, "no part of this application");
    return std::get<graph::template index_of<service>>(containers);
  }
  template <std::size_t... I>
  void add_all(std::index_sequence<I...>) {
    (add<I>(), ...);
  }
  template <std::size_t I>
  using service_at = typename std::tuple_element_t<I, std::tuple<Parts...>>::service;

  template <std::size_t I>
  void add()
    requires(!graph::complete)
  {}  // that has been said
  template <std::size_t I>
  void add() {
    auto part = [this] {
      if constexpr (startable<service_at<I>>) {
        return part_of_startable<I>();
      } else {
        return part_of_service<I>();
      }
    }();
    for (std::size_t n = 0; n < graph::size; ++n) {
      if (graph::needs[I][n]) part.needs.push_back(n);
    }
    phases.add(std::move(part));
  }
  template <std::size_t I>
  application_phases::part part_of_service() {
    auto& host = detail::host_access::of(std::get<I>(containers));
    return {.name = service_description<service_at<I>>::name,
            .start =
                [this, &host](const life_options& options) {
                  host.set_options(options);
                  return start_part<I>();
                },
            .drain = [&host] { return host.drain(); },
            .stop = [&host] { return host.stop(); },
            .runs = [&host] { return host.runs(); }};
  }
  template <std::size_t I>
  application_phases::part part_of_startable() {
    started_part& its = startables[I];
    its.name = service_at<I>::part_name;
    its.stop = [this] { return std::get<I>(containers).stop(); };
    return {.name = its.name,
            .start =
                [this, &its](life_options options) {
                  return started_part::start(its, std::move(options), [this] { return start_part<I>(); });
                },
            .drain = [] { return make_ready_future(); },
            .stop = [&its] { return started_part::stop_and_tell(its); },
            .runs = [&its] { return its.runs; }};
  }
  template <std::size_t I>
  future<> start_part() {
    return start_part<I>(std::type_identity<typename detail::needs_of<service_at<I>>::type>{});
  }
  template <std::size_t I, class... Needed>
  future<> start_part(std::type_identity<dependencies<Needed...>>) {
    return std::apply(
        [this](const auto&... own) {
          return start_with(std::get<I>(containers), std::make_tuple(get<Needed>().ref()...), own...);
        },
        std::get<I>(parts).arguments);
  }
  template <class Container, class... Refs, class... A>
  static future<> start_with(Container& container, std::tuple<Refs...> refs, const A&... own) {
    return std::apply([&](Refs&... needed) { return container.start(needed..., own...); }, refs);
  }
  template <class Actor, class... Refs, class... A>
  static future<> start_with(keyed<Actor>& container, std::tuple<Refs...> refs, const keyed_options& options,
                             const A&... own) {
    return std::apply([&](Refs&... needed) { return container.start(options, needed..., own...); }, refs);
  }
  template <class Actor, class... Refs, class... A>
  static future<> start_with(keyed<Actor>& container, std::tuple<Refs...> refs, const A&... own) {
    return start_with(container, std::move(refs), keyed_options{}, own...);
  }

  std::tuple<Parts...> parts;
  std::tuple<typename Parts::container...> containers;
  std::array<started_part, sizeof...(Parts)> startables;  // by part; unused where it is a service
  application_phases phases;
};

}  // namespace atoll_root::atoll
