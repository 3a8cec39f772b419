// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Waiting for several futures, and loops of asynchronous steps.
//
//   auto [a, b] = co_await atoll::when_all_succeed(ref.read("a"), ref.read("b"));
//   auto fastest = co_await atoll::when_any([&] { return near.read(k); }, [&] { return far.read(k); });
//   co_await atoll::parallel_for_each(peers, [](peer& p) { return p.ping(); });
//   co_await atoll::max_concurrent_for_each(files, 8, [](std::string name) { return copy(name); });
//   auto n = co_await atoll::map_reduce(shards, &size_of, std::size_t{0}, std::plus<>());
//   auto v = co_await atoll::retry({.attempts_max = 5}, [&] { return ref.read("a"); });
//
// None of them leaves work behind: each waits for all it has started, also after a failure. What they are given is kept
// until then; a range must stay where it is. A function may return a value, void or a future.
// Cost: one pooled frame each, and what the parts cost; a part that is ready at once costs no wait.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <ranges>
#include <tuple>
#include <vector>

#include <atoll/actors/future/sleep.hh>

namespace atoll_root::atoll {

namespace detail {

/// Awaits that a future is ready, and leaves it so. Never throws.
template <class T>
struct availability final : future_awaiter<T> {
  using future_awaiter<T>::future_awaiter;
  void await_resume() const noexcept {}
};

/// The same for a future of any type.
class any_availability {
 public:
  template <class T>
  explicit any_availability(future<T>& f) noexcept
      : future_(&f),
        is_available_([](const void* of) noexcept { return static_cast<const future<T>*>(of)->available(); }),
        notify_([](void* of, coroutine_base& waiter) noexcept { static_cast<future<T>*>(of)->notify(waiter); }) {}

  bool await_ready() const noexcept { return is_available_(future_) && !should_give_way(); }
  template <class Promise>
  void await_suspend(std::coroutine_handle<Promise> handle,
                     std::source_location site = std::source_location::current()) noexcept {
    notify_(future_, suspended(handle, site));
  }
  void await_resume() const noexcept {}

 private:
  void* future_;
  bool (*is_available_)(const void* of) noexcept;
  void (*notify_)(void* of, coroutine_base& waiter) noexcept;
};

}  // namespace detail

/// Every outcome, failed or not, in the order given.
template <class... T>
future<std::tuple<result<T>...>> when_all(future<T>... futures) {
  std::array<detail::any_availability, sizeof...(T)> all{detail::any_availability(futures)...};
  for (auto& each : all) co_await each;
  std::tuple<result<T>...> outcomes{futures.get_result()...};
  co_return outcomes;
}
template <class T>
future<std::vector<result<T>>> when_all(std::vector<future<T>> futures) {
  // First all of them: what fails below, for want of memory, leaves nothing that runs.
  for (auto& f : futures) co_await detail::availability<T>(f);
  std::vector<result<T>> outcomes;
  outcomes.reserve(futures.size());
  for (auto& f : futures) outcomes.push_back(f.get_result());
  co_return outcomes;
}

/// The values, unit{} for void; else, when all are ready, the failure that comes first in the order given.
template <class... T>
future<std::tuple<stored_t<T>...>> when_all_succeed(future<T>... futures) {
  auto outcomes = co_await or_fail(when_all(std::move(futures)...));
  std::optional<error> first;
  std::apply(
      [&first](auto&... each) {
        const auto look = [&first](auto& outcome) {
          if (!outcome && !first) first = outcome.error();
        };
        (look(each), ...);
      },
      outcomes);
  if (first) co_return *first;
  co_return std::apply([](auto&... each) { return std::tuple<stored_t<T>...>{std::move(*each)...}; }, outcomes);
}
template <class T>
  requires(!std::is_void_v<T>)
future<std::vector<stored_t<T>>> when_all_succeed(std::vector<future<T>> futures) {
  for (auto& f : futures) co_await detail::availability<T>(f);
  std::vector<stored_t<T>> values;
  std::optional<error> first;
  values.reserve(futures.size());
  for (auto& f : futures) {
    auto outcome = f.get_result();
    if (outcome) {
      values.push_back(std::move(*outcome));
    } else if (!first) {
      first = std::move(outcome).error();
    }
  }
  if (first) co_return *first;
  co_return values;
}
inline future<> when_all_succeed(std::vector<future<>> futures) {
  std::optional<error> first;
  for (auto& f : futures) {
    auto outcome = co_await as_result(std::move(f));
    if (!outcome && !first) first = std::move(outcome).error();
  }
  if (first) co_await fail(*std::move(first));
}

/// Which of several was ready first, and its outcome.
template <class T>
struct first_ready {
  std::size_t index;
  result<T> outcome;
};

namespace detail {

template <class T>
struct race {
  cancel_source losers;
  std::optional<first_ready<T>> first;
};

template <class T, class F>
future<> run_in_race(race<T>& r, std::size_t index, F& f) {
  const auto call = [&f] { return invoke_and_await(f); };
  try {
    auto outcome = co_await as_result(r.losers.run(call));
    if (r.first) co_return;
    r.first.emplace(first_ready<T>{index, std::move(outcome)});
  } catch (...) {  // the value's move failed
    if (r.first) co_return;
    r.first.emplace(first_ready<T>{index, error::from_exception(std::current_exception())});
  }
  r.losers.cancel(error(status_code::cancelled, "another one was first"));
}

/// One that could not be started, for want of memory, has failed first.
template <class T, class Futures>
void look_at_starts(race<T>& r, Futures& all) noexcept {
  std::size_t index = 0;
  for (auto& each : all) {
    if (!r.first && each.available() && each.failed()) {
      r.first.emplace(first_ready<T>{index, each.take_error()});
      each = make_ready_future();
      r.losers.cancel(error(status_code::cancelled, "another one was first"));
    }
    ++index;
  }
}

}  // namespace detail

/// Starts all, takes the first outcome, failed or not, cancels the others and waits for them. All give the same type.
template <class F, class... More>
auto when_any(F f, More... more) -> future<first_ready<detail::unwrapped<std::invoke_result_t<F&>>>> {
  using T = detail::unwrapped<std::invoke_result_t<F&>>;
  detail::race<T> r;
  std::array<future<>, 1 + sizeof...(More)> all{[&] {
    std::size_t index = 0;
    const auto start = [&](auto& each) { return detail::run_in_race<T>(r, index++, each); };
    return std::array<future<>, 1 + sizeof...(More)>{start(f), start(more)...};
  }()};
  detail::look_at_starts(r, all);
  for (auto& each : all) static_cast<void>(co_await as_result(std::move(each)));
  if (!r.first) co_return error(status_code::internal, "nobody was first");
  co_return std::move(*r.first);
}
/// The same of a list; `invalid_argument` for an empty one.
template <class F>
auto when_any(std::vector<F> functions) -> future<first_ready<detail::unwrapped<std::invoke_result_t<F&>>>> {
  using T = detail::unwrapped<std::invoke_result_t<F&>>;
  if (functions.empty()) co_return error(status_code::invalid_argument, "when_any of nothing");
  detail::race<T> r;
  std::vector<future<>> all;
  all.reserve(functions.size());
  for (std::size_t i = 0; i < functions.size(); ++i) all.push_back(detail::run_in_race<T>(r, i, functions[i]));
  detail::look_at_starts(r, all);
  for (auto& each : all) static_cast<void>(co_await as_result(std::move(each)));
  if (!r.first) co_return error(status_code::internal, "nobody was first");
  co_return std::move(*r.first);
}

namespace detail {

template <class R, class F>
future<> for_each_worker(std::ranges::iterator_t<R>& next, std::ranges::sentinel_t<R>& end, bool& stop, F& f) {
  while (!stop && next != end) {
    stop = true;  // stays so where the range throws
    auto&& element = *next;
    auto started = invoke_safely(f, element);
    std::optional<error> broken;  // the range
    try {
      ++next;
      stop = false;
    } catch (...) {
      broken = error::from_exception(std::current_exception());
    }
    auto outcome = co_await as_result(std::move(started));
    if (!outcome) broken = std::move(outcome).error();
    if (broken) {
      stop = true;
      co_await fail(*std::move(broken));
    }
  }
}

}  // namespace detail

/// f(element) for all at once; when all are ready, the failure of the first element that failed. Gives way between
/// elements: the range must not change meanwhile.
template <std::ranges::input_range R, class F>
future<> parallel_for_each(R&& range, F f) = delete;  // a temporary range would die: name it
template <std::ranges::input_range R, class F>
future<> parallel_for_each(R& range, F f) {
  using X = detail::unwrapped<std::invoke_result_t<F&, std::ranges::range_reference_t<R>>>;
  std::vector<future<X>> pending;
  std::optional<error> first;
  std::optional<error> broken;  // the range, half-way, or memory
  try {
    for (auto&& element : range) {
      // The place first: what has started must not be dropped for want of one.
      if (pending.size() == pending.capacity()) pending.reserve(std::max<std::size_t>(8, pending.size() * 2));
      auto started = detail::invoke_safely(f, element);
      if (started.available() && !started.failed()) {
        static_cast<void>(started.get_result());
      } else {
        pending.push_back(std::move(started));
      }
      if (detail::should_give_way()) co_await yield();
    }
  } catch (...) {
    broken = error::from_exception(std::current_exception());
  }
  for (auto& each : pending) {
    auto outcome = co_await as_result(std::move(each));
    if (!outcome && !first) first = std::move(outcome).error();
  }
  if (!first) first = std::move(broken);
  if (first) co_await fail(*std::move(first));
}

/// f(element) for at most `concurrent` at a time. After a failure no more are started.
/// `invalid_argument` where concurrent is 0.
template <std::ranges::input_range R, class F>
future<> max_concurrent_for_each(R&& range, std::size_t concurrent, F f) = delete;  // as above
template <std::ranges::input_range R, class F>
future<> max_concurrent_for_each(R& range, std::size_t concurrent, F f) {
  if (concurrent == 0) co_await fail(status_code::invalid_argument, "max_concurrent_for_each of none at a time");
  auto next = std::ranges::begin(range);
  auto end = std::ranges::end(range);
  bool stop = false;
  std::vector<future<>> workers;
  std::optional<error> first;
  std::optional<error> broken;  // the range, half-way, or memory
  try {
    for (std::size_t i = 0; i < concurrent && !stop && next != end; ++i) {
      if (workers.size() == workers.capacity()) workers.reserve(std::max<std::size_t>(8, workers.size() * 2));
      workers.push_back(detail::for_each_worker<R&, F>(next, end, stop, f));
    }
  } catch (...) {
    broken = error::from_exception(std::current_exception());
  }
  for (auto& each : workers) {
    auto outcome = co_await as_result(std::move(each));
    if (!outcome && !first) first = std::move(outcome).error();
  }
  if (!first) first = std::move(broken);
  if (first) co_await fail(*std::move(first));
}

enum class stop_iteration : bool { no, yes };

/// f() again and again, until it gives stop_iteration::yes.
template <class F>
future<> repeat(F f) {
  while (true) {
    const stop_iteration stop = co_await or_fail(detail::invoke_and_await(f));
    if (stop == stop_iteration::yes) co_return;
  }
}

/// f() as long as done() is false.
template <class P, class F>
future<> do_until(P done, F f) {
  while (!done()) static_cast<void>(co_await or_fail(detail::invoke_and_await(f).discard_value()));
}

/// Folds map(element) of all elements, which run at once, into `value` by reduce(value, mapped), in their order. Gives way
/// between elements: the range must not change meanwhile.
template <std::ranges::input_range R, class M, class T, class F>
future<T> map_reduce(R& range, M map, T value, F reduce) {
  using mapped = detail::unwrapped<std::invoke_result_t<M&, std::ranges::range_reference_t<R>>>;
  std::vector<future<mapped>> started;
  std::optional<error> first;
  std::optional<error> broken;  // the range, half-way, or memory
  try {
    for (auto&& element : range) {
      if (started.size() == started.capacity()) started.reserve(std::max<std::size_t>(8, started.size() * 2));
      started.push_back(detail::invoke_safely(map, element));
      if (detail::should_give_way()) co_await yield();
    }
  } catch (...) {
    broken = error::from_exception(std::current_exception());
  }
  for (auto& each : started) {
    auto outcome = co_await as_result(std::move(each));
    if (!outcome) {
      if (!first) first = std::move(outcome).error();
    } else if (!first && !broken) {
      try {
        value = reduce(std::move(value), *std::move(outcome));
      } catch (...) {
        first = error::from_exception(std::current_exception());
      }
    }
  }
  if (!first) first = std::move(broken);
  if (first) co_return *std::move(first);
  co_return value;
}

/// When and how often to try again.
struct retry_policy {
  std::uint32_t attempts_max = 5;                        // 0: without end, but for deadline and cancellation
  duration first_pause = std::chrono::milliseconds(10);  // before the second attempt
  duration longest_pause = std::chrono::seconds(1);
  std::uint32_t factor = 2;  // each pause to the one before
  /// Which failures may pass: these codes by default. Only what may be done twice is to be retried.
  bool (*worth_retrying)(const error&) = [](const error& e) {
    return e.code() == status_code::unavailable || e.code() == status_code::resource_exhausted ||
           e.code() == status_code::aborted;
  };
};

namespace detail {
/// The pause before attempt n (from 2): drawn between half and all of what the policy gives, so that many who failed
/// together don't come again together.
duration retry_pause(const retry_policy& policy, std::uint32_t attempt) noexcept;
}  // namespace detail

/// f() until it succeeds, fails with what is not worth retrying, or the attempts are used up: then its last outcome.
/// Ends with the context's reason when that is cancelled between attempts.
template <class F>
auto retry(retry_policy policy, F f) -> decltype(detail::invoke_and_await(f)) {
  using T = detail::unwrapped<std::invoke_result_t<F&>>;
  for (std::uint32_t attempt = 1;; ++attempt) {
    auto outcome = co_await as_result(detail::invoke_safely(f));
    const bool last = attempt == policy.attempts_max || cancellation() != nullptr;
    if (outcome || last || !policy.worth_retrying(outcome.error())) {
      co_return co_await or_fail(future<T>::from_result(std::move(outcome)));
    }
    co_await or_fail(sleep(detail::retry_pause(policy, attempt + 1)));
  }
}

}  // namespace atoll_root::atoll
