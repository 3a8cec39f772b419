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

#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <atoll/actors/base/assert.hh>
#include <atoll/actors/base/error.hh>

namespace atoll_root::atoll {

/// The value of something that has none, where a type is needed.
struct unit {
  friend bool operator==(unit, unit) noexcept = default;
};

/// An lvalue reference as an object, which can be assigned.
template <class T>
class reference {
 public:
  reference(T& object) noexcept : object_(&object) {}  // NOLINT(google-explicit-constructor): it stands for it
  operator T&() const noexcept { return *object_; }    // NOLINT(google-explicit-constructor)
  [[nodiscard]] T& get() const noexcept { return *object_; }

 private:
  T* object_;
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
  using type = reference<T>;
};
}  // namespace detail

/// What stands for a T where an object is needed: unit for void, a `reference` for a reference.
template <class T>
using stored_t = typename detail::stored<T>::type;

template <class T = void>
class [[nodiscard]] result {
  using stored = stored_t<T>;

 public:
  using value_type = T;

  result()
    requires std::is_void_v<T>
      : value_(), has_value_(true) {}
  template <class U = stored>
    requires(!std::is_void_v<T> && std::is_constructible_v<stored, U &&> &&
             !std::is_same_v<std::remove_cvref_t<U>, result> && !std::is_same_v<std::remove_cvref_t<U>, atoll::error>)
  result(U&& value)  // NOLINT(google-explicit-constructor): a value is a result
      : value_(std::forward<U>(value)), has_value_(true) {}
  result(atoll::error e) noexcept  // NOLINT(google-explicit-constructor): so is an error
      : error_(std::move(e)), has_value_(false) {}

  result(const result& other)
    requires std::is_copy_constructible_v<stored>
      : has_value_(other.has_value_) {
    take_from(other);
  }
  result(result&& other) noexcept(std::is_nothrow_move_constructible_v<stored>)
    requires std::is_move_constructible_v<stored>
      : has_value_(other.has_value_) {
    take_from(std::move(other));
  }
  /// Where the value's constructor throws, it keeps its value if it had one, else its error.
  result& operator=(result other) noexcept(std::is_nothrow_move_constructible_v<stored> &&
                                           std::is_nothrow_move_assignable_v<stored>)
    requires(std::is_move_constructible_v<stored> && std::is_move_assignable_v<stored>)
  {
    if (!other.has_value_) {
      destroy();
      has_value_ = false;
    } else if (!has_value_) {
      atoll::error kept(std::move(error_));
      error_.~error();
      if constexpr (std::is_nothrow_move_constructible_v<stored>) {
        ::new (static_cast<void*>(std::addressof(value_))) stored(std::move(other.value_));
      } else {
        try {
          ::new (static_cast<void*>(std::addressof(value_))) stored(std::move(other.value_));
        } catch (...) {
          ::new (static_cast<void*>(&error_)) atoll::error(std::move(kept));
          throw;
        }
      }
      has_value_ = true;
      return *this;
    } else {
      value_ = std::move(other.value_);
      return *this;
    }
    take_from(std::move(other));
    return *this;
  }
  ~result() { destroy(); }

  [[nodiscard]] bool has_value() const noexcept { return has_value_; }
  explicit operator bool() const noexcept { return has_value(); }

  /// The value; raises the error as an exception where there is none.
  stored& value() & {
    if (!has_value()) error().raise();
    return value_;
  }
  stored&& value() && { return std::move(value()); }
  /// REQUIRES: has_value().
  stored& operator*() & noexcept { return value_; }
  const stored& operator*() const& noexcept { return value_; }
  stored&& operator*() && noexcept { return std::move(value_); }
  stored* operator->() noexcept { return std::addressof(value_); }
  const stored* operator->() const noexcept { return std::addressof(value_); }

  /// REQUIRES: !has_value().
  [[nodiscard]] atoll::error& error() & noexcept {
    ATOLL_ASSERT(!has_value(), "error() of a result that has a value");
    return error_;
  }
  [[nodiscard]] const atoll::error& error() const& noexcept { return const_cast<result*>(this)->error(); }
  [[nodiscard]] atoll::error&& error() && noexcept { return std::move(error()); }

 private:
  void take_from(const result& other) {
    if (has_value_) {
      ::new (static_cast<void*>(std::addressof(value_))) stored(other.value_);
    } else {
      ::new (static_cast<void*>(&error_)) atoll::error(other.error_);
    }
  }
  void take_from(result&& other) {
    if (has_value_) {
      ::new (static_cast<void*>(std::addressof(value_))) stored(std::move(other.value_));
    } else {
      detail::move_error(&error_, other.error_);
    }
  }
  void destroy() noexcept {
    if (has_value_) {
      value_.~stored();
    } else {
      error_.~error();
    }
  }

  union {
    stored value_;
    atoll::error error_;
  };
  bool has_value_;
};

}  // namespace atoll_root::atoll
