// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// result<T>: a value or an `error`, for callers that are expected to branch.
//
//   atoll::result<int> parse(std::string_view text);
//   if (auto r = parse(text)) use(*r); else report(r.error());
//
// A value type: any shard may hold one. `value()` of a failed result raises its error as an exception.
#pragma once

#include <functional>
#include <type_traits>
#include <utility>
#include <variant>

#include <atoll/actors/base/assert.hh>
#include <atoll/actors/base/error.hh>

namespace atoll_root::atoll {

/// The value of something that has none, where a type is needed.
struct unit {
  friend bool operator==(unit, unit) noexcept = default;
};

namespace detail {
template <class T>
struct stored {
  using type = T;
};
template <>
struct stored<void> {
  using type = unit;
};
template <class T>
struct stored<T&> {
  using type = std::reference_wrapper<T>;
};
}  // namespace detail

/// What stands for a T where an object is needed: unit for void, a reference_wrapper for a reference.
template <class T>
using stored_t = typename detail::stored<T>::type;

template <class T = void>
class [[nodiscard]] result {
  using stored = stored_t<T>;

 public:
  using value_type = T;

  result()
    requires std::is_void_v<T>
      : state_(std::in_place_index<0>) {}
  template <class U = stored>
    requires(!std::is_void_v<T> && std::is_constructible_v<stored, U &&> &&
             !std::is_same_v<std::remove_cvref_t<U>, result> && !std::is_same_v<std::remove_cvref_t<U>, atoll::error>)
  result(U&& value)  // NOLINT(google-explicit-constructor): a value is a result
      : state_(std::in_place_index<0>, std::forward<U>(value)) {}
  result(atoll::error e)  // NOLINT(google-explicit-constructor): so is an error
      : state_(std::in_place_index<1>, std::move(e)) {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return has_value(); }

  /// The value; raises the error as an exception where there is none.
  stored& value() & {
    if (!has_value()) error().raise();
    return *std::get_if<0>(&state_);
  }
  stored&& value() && { return std::move(value()); }
  /// REQUIRES: has_value().
  stored& operator*() & noexcept { return *std::get_if<0>(&state_); }
  const stored& operator*() const& noexcept { return *std::get_if<0>(&state_); }
  stored&& operator*() && noexcept { return std::move(*std::get_if<0>(&state_)); }
  stored* operator->() noexcept { return std::get_if<0>(&state_); }
  const stored* operator->() const noexcept { return std::get_if<0>(&state_); }

  /// REQUIRES: !has_value().
  [[nodiscard]] atoll::error& error() & noexcept {
    ATOLL_ASSERT(!has_value(), "error() of a result that has a value");
    return *std::get_if<1>(&state_);
  }
  [[nodiscard]] const atoll::error& error() const& noexcept { return const_cast<result*>(this)->error(); }
  [[nodiscard]] atoll::error&& error() && noexcept { return std::move(error()); }

 private:
  std::variant<stored, atoll::error> state_;
};

}  // namespace atoll_root::atoll
