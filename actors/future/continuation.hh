// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The continuations of future<T>: then, then_wrapped, finally, handle_error. Included by future.hh.
//
// On a future that is ready already the function runs at once, inside the call, and nothing is allocated; else a small
// coroutine waits. A function that gives a future, and has state or an argument, always runs from a coroutine, which keeps
// both until that future is ready. What the function throws is the failure of the future that the continuation gives.
#pragma once

#include <concepts>
#include <exception>

#include <atoll/actors/base/invoke.hh>
#include <atoll/actors/future/coroutine.hh>
#include <atoll/actors/future/future.hh>

namespace atoll_root::atoll {
namespace detail {

template <class F, class T>
struct continuation_result {
  using type = std::invoke_result_t<F&, T>;
};
template <class F>
struct continuation_result<F, void> {
  using type = std::invoke_result_t<F&>;
};

/// Calls f; its value, void or future as a future. What it throws is the caller's.
template <class F, class... A>
auto invoke_and_await(F& f, A&&... arguments) -> future<unwrapped<std::invoke_result_t<F&, A...>>> {
  using raw = std::invoke_result_t<F&, A...>;
  if constexpr (future_value<raw>::is_future) {
    return invoke_any(f, std::forward<A>(arguments)...);
  } else if constexpr (std::is_void_v<raw>) {
    invoke_any(f, std::forward<A>(arguments)...);
    return make_ready_future();
  } else {
    return make_ready_future<raw>(invoke_any(f, std::forward<A>(arguments)...));
  }
}

/// The same; what it throws is the failure of the future.
template <class F, class... A>
auto invoke_safely(F& f, A&&... arguments) noexcept -> future<unwrapped<std::invoke_result_t<F&, A...>>> {
  try {
    return invoke_and_await(f, std::forward<A>(arguments)...);
  } catch (...) {
    return make_failed_future<unwrapped<std::invoke_result_t<F&, A...>>>(
        error::from_exception(std::current_exception()));
  }
}

/// Whether f and its arguments may be gone when it has returned: its result needs them no longer, or there is nothing that
/// could be needed.
template <class F, class... A>
inline constexpr bool done_when_returned = !future_value<std::invoke_result_t<F&, A...>>::is_future ||
                                           (sizeof...(A) == 0 && (std::is_empty_v<F> || std::is_pointer_v<F>));

template <class T, class F>
auto run_then(future<T> source, F f) -> future<unwrapped<typename continuation_result<F, T>::type>> {
  if constexpr (std::is_void_v<T>) {
    co_await or_fail(std::move(source));
    co_return co_await or_fail(invoke_and_await(f));
  } else {
    co_return co_await or_fail(invoke_and_await(f, co_await or_fail(std::move(source))));
  }
}

template <class T, class F>
auto run_then_wrapped(future<T> source, F f) -> future<unwrapped<std::invoke_result_t<F&, result<T>>>> {
  co_return co_await or_fail(invoke_and_await(f, co_await as_result(std::move(source))));
}

/// This outcome, once `after` has ended; its failure where this is none.
template <class T, class U>
future<T> finish(future<T> outcome, future<U> after) {
  auto ended = co_await as_result(std::move(after));
  if (!ended && !outcome.failed()) co_await fail(std::move(ended).error());
  co_return co_await or_fail(std::move(outcome));
}

template <class T, class F>
future<T> run_finally(future<T> source, F f) {
  auto outcome = co_await as_result(std::move(source));
  auto after = co_await as_result(invoke_safely(f));
  if (outcome && !after) co_await fail(std::move(after).error());
  co_return co_await or_fail(future<T>::from_result(std::move(outcome)));
}

template <class T, class P, class F>
future<T> run_handle_error(future<T> source, P handles, F f) {
  auto outcome = co_await as_result(std::move(source));
  if (!outcome && handles(outcome.error())) co_return co_await or_fail(invoke_and_await(f, std::move(outcome).error()));
  co_return co_await or_fail(future<T>::from_result(std::move(outcome)));
}

template <class T, class P, class F>
future<T> handle_if(future<T>&& source, P handles, F f) {
  if (source.available()) {
    if (!source.failed()) return std::move(source);
    if constexpr (std::is_same_v<unwrapped<std::invoke_result_t<F&, error>>, T> && done_when_returned<F, error>) {
      error e = source.take_error();
      return handles(e) ? invoke_safely(f, std::move(e)) : make_failed_future<T>(std::move(e));
    }
  }
  return run_handle_error(std::move(source), std::move(handles), std::move(f));
}

}  // namespace detail

template <class T>
template <class F>
auto future<T>::then(F f) && {
  using R = detail::unwrapped<typename detail::continuation_result<F, T>::type>;
  if (available() && !detail::should_give_way()) {
    if (failed()) return make_failed_future<R>(take_error());
    if constexpr (std::is_void_v<T>) {
      if constexpr (detail::done_when_returned<F>) {
        get();
        return detail::invoke_safely(f);
      }
    } else if constexpr (detail::done_when_returned<F, T>) {
      return detail::invoke_safely(f, get());  // f may give this very future a new value
    }
  }
  return detail::run_then(std::move(*this), std::move(f));
}

template <class T>
template <class F>
auto future<T>::then_wrapped(F f) && {
  if constexpr (detail::done_when_returned<F, result<T>>) {
    if (available() && !detail::should_give_way()) return detail::invoke_safely(f, get_result());
  }
  return detail::run_then_wrapped(std::move(*this), std::move(f));
}

template <class T>
template <class F>
future<T> future<T>::finally(F f) && {
  if constexpr (detail::done_when_returned<F>) {
    if (available()) {  // it gives way to nobody: that needs memory, and cleaning up must not
      auto after = detail::invoke_safely(f);
      if (!after.available()) return detail::finish(std::move(*this), std::move(after));
      if (!after.failed()) return std::move(*this);
      error e = after.take_error();
      if (failed()) return std::move(*this);
      return make_failed_future<T>(std::move(e));
    }
  }
  return detail::run_finally(std::move(*this), std::move(f));
}

template <class T>
template <class F>
  requires std::is_invocable_v<F&, error>
future<T> future<T>::handle_error(F f) && {
  return detail::handle_if(std::move(*this), [](const error&) { return true; }, std::move(f));
}

template <class T>
template <class F>
future<T> future<T>::handle_error(status_code code, F f) && {
  return detail::handle_if(std::move(*this), [code](const error& e) { return e.code() == code; }, std::move(f));
}

namespace detail {

/// What was caught lives until the handler is done with it.
template <class T>
future<T> finish_with(std::exception_ptr /*caught*/, future<T> handled) {
  co_return co_await or_fail(std::move(handled));
}

}  // namespace detail

template <class T>
template <class E, class F>
future<T> future<T>::handle_error(F f) && {
  const auto is_one = [](const error& e) {
    try {
      e.raise();
    } catch (const E&) {
      return true;
    } catch (...) {
      return false;
    }
  };
  return detail::handle_if(std::move(*this), is_one, [f = std::move(f)](const error& e) mutable {
    try {
      e.raise();
    } catch (const E& exception) {
      auto handled = detail::invoke_and_await(f, exception);
      return handled.available() ? std::move(handled)
                                 : detail::finish_with(std::current_exception(), std::move(handled));
    }
  });
}

template <class T>
future<> future<T>::discard_value() && {
  if constexpr (std::is_void_v<T>) {
    return std::move(*this);
  } else {
    return std::move(*this).then([](const std::remove_reference_t<T>&) {});
  }
}

}  // namespace atoll_root::atoll
