// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The one error type that crosses every boundary: lanes, the RPC wire and the gRPC gateway.
//
//   co_await atoll::fail(atoll::status_code::not_found, "no such account");
//   auto r = co_await atoll::as_result(bank.at(1).withdraw("ann", 5));
//   if (!r && r.error().code() == atoll::status_code::not_found) ...
//
// The codes are the sixteen canonical gRPC codes (https://grpc.io/docs/guides/status-codes), with the
// numbers gRPC gives them. An `error` is a value: copyable, owned by whoever holds it, any shard may hold
// one. Within a shard it also remembers the C++ exception it was made from, so that `catch` by type works;
// that part is dropped where the error leaves the shard.
// Cost: an error without a message is three words and allocates nothing.
#pragma once

#include <cstdint>
#include <exception>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>

#include <atoll/actors/base/namespace.hh>

namespace atoll_root::atoll {

enum class status_code : std::uint8_t {
  ok = 0,  // never inside an `error`
  cancelled = 1,
  unknown = 2,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  already_exists = 6,
  permission_denied = 7,
  resource_exhausted = 8,
  failed_precondition = 9,
  aborted = 10,
  out_of_range = 11,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  data_loss = 15,
  unauthenticated = 16,
};

/// The code's name as gRPC's documentation spells it, in lower case: "deadline_exceeded".
std::string_view to_string(status_code code) noexcept;

/// The code for a number from outside; anything but 1 to 16 is `unknown`, as gRPC prescribes.
status_code status_code_from_wire(std::uint64_t number) noexcept;

class error {
 public:
  /// REQUIRES: code is not `ok`.
  explicit error(status_code code, std::source_location origin = std::source_location::current()) noexcept;
  /// Without memory for the message the error has none: making one never fails.
  error(status_code code, std::string_view message,
        std::source_location origin = std::source_location::current()) noexcept;

  error(const error& other) noexcept;
  error& operator=(const error& other) noexcept;
  error(error&&) noexcept = default;
  error& operator=(error&&) noexcept = default;
  ~error() = default;

  /// The error for an exception in flight: a `status_error` gives back what it carries, any other
  /// std::exception becomes `unknown` with its what(), std::bad_alloc `resource_exhausted`.
  static error from_exception(const std::exception_ptr& exception,
                              std::source_location origin = std::source_location::current()) noexcept;

  /// The error for an errno value; `what` names the operation and leads the message.
  static error from_errno(int number, std::string_view what);

  [[nodiscard]] status_code code() const noexcept { return code_; }
  [[nodiscard]] std::string_view message() const noexcept;
  /// "unavailable: peer 2 is down".
  [[nodiscard]] std::string to_string() const;

  /// Where in this process it was made, for people: reports name it.
  [[nodiscard]] std::source_location origin() const noexcept { return origin_; }

  /// The exception it was made from; null where there is none.
  [[nodiscard]] std::exception_ptr exception() const noexcept;

  /// Throws the exception this error came from, or a `status_error`.
  [[noreturn]] void raise() const;

  /// Drops the shard-local exception; done wherever an error leaves its shard.
  void drop_exception() noexcept;

  friend bool operator==(const error& a, const error& b) noexcept {
    return a.code_ == b.code_ && a.message() == b.message();
  }

 private:
  struct payload;
  /// A unique_ptr, but for what destroys it: that would be in all code that may fail.
  class payload_owner {
   public:
    payload_owner() noexcept = default;
    payload_owner(payload_owner&& other) noexcept : payload_(std::exchange(other.payload_, nullptr)) {}
    payload_owner& operator=(payload_owner&& other) noexcept {
      std::swap(payload_, other.payload_);
      return *this;
    }
    ~payload_owner() {
      if (payload_ != nullptr) [[unlikely]]
        free();
    }
    void own(payload* p) noexcept { payload_ = p; }
    payload* operator->() const noexcept { return payload_; }
    explicit operator bool() const noexcept { return payload_ != nullptr; }

   private:
    void free() noexcept;
    payload* payload_ = nullptr;
  };

  payload_owner payload_;
  std::source_location origin_;
  status_code code_;
};

namespace detail {

/// Makes an error at `to` by move. Not inline: failures are seldom, and g++ warns of what it would read where there is none.
void move_error(void* to, error& from) noexcept;
/// The same as a value.
error moved_error(error& from) noexcept;
/// The same by its bytes, and `from` is then as if it had been destroyed: its parts know nothing of their address.
inline void relocate_error(void* to, error& from) noexcept {
  __builtin_memcpy(to, static_cast<const void*>(&from), sizeof(error));
}

}  // namespace detail

/// What `co_await` throws for a failure that no other exception stands behind.
class status_error : public std::exception {
 public:
  explicit status_error(atoll::error e) : error_(std::move(e)), text_(error_.to_string()) {}
  [[nodiscard]] const char* what() const noexcept override { return text_.c_str(); }
  [[nodiscard]] status_code code() const noexcept { return error_.code(); }
  [[nodiscard]] const atoll::error& error() const noexcept { return error_; }

 private:
  atoll::error error_;
  std::string text_;
};

}  // namespace atoll_root::atoll
