// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/error.hh>

#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include <atoll/actors/base/assert.hh>

namespace atoll_root::atoll {
namespace {

constexpr std::array<std::string_view, 17> code_names = {
    "ok",        "cancelled",       "unknown",           "invalid_argument",   "deadline_exceeded",
    "not_found", "already_exists",  "permission_denied", "resource_exhausted", "failed_precondition",
    "aborted",   "out_of_range",    "unimplemented",     "internal",           "unavailable",
    "data_loss", "unauthenticated",
};

status_code code_for_errno(int number) noexcept {
  switch (number) {
    case EACCES:
    case EPERM:
      return status_code::permission_denied;
    case EADDRINUSE:
    case EEXIST:
      return status_code::already_exists;
    case ENOENT:
      return status_code::not_found;
    case EINVAL:
    case EADDRNOTAVAIL:
      return status_code::invalid_argument;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case ENOBUFS:
    case ENOSPC:
      return status_code::resource_exhausted;
    case ETIMEDOUT:
    case ECONNREFUSED:
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENOTCONN:
      return status_code::unavailable;
    default:
      return status_code::unknown;
  }
}

}  // namespace

struct error::payload {
  std::string message;
  std::exception_ptr exception;
};

void error::payload_owner::free() noexcept { delete payload_; }

std::string_view to_string(status_code code) noexcept { return code_names[static_cast<std::size_t>(code)]; }

status_code status_code_from_wire(std::uint64_t number) noexcept {
  return number >= 1 && number < code_names.size() ? static_cast<status_code>(number) : status_code::unknown;
}

error::error(status_code code, std::source_location origin) noexcept : origin_(origin), code_(code) {
  ATOLL_ASSERT(code != status_code::ok, "an error needs a code that is not ok");
}

error::error(status_code code, std::string_view message, std::source_location origin) noexcept : error(code, origin) {
  try {
    payload_.own(new payload{std::string(message), nullptr});
  } catch (const std::bad_alloc&) {
    return;  // the code says enough
  }
}

error::error(const error& other) noexcept : origin_(other.origin_), code_(other.code_) {
  try {
    if (other.payload_) payload_.own(new payload{other.payload_->message, other.payload_->exception});
  } catch (const std::bad_alloc&) {
    return;  // a copy without the message
  }
}

error& error::operator=(const error& other) noexcept {
  if (this != &other) *this = error(other);
  return *this;
}

void detail::move_error(void* to, error& from) noexcept { ::new (to) error(std::move(from)); }
error detail::moved_error(error& from) noexcept { return std::move(from); }

error error::from_exception(const std::exception_ptr& exception, std::source_location origin) noexcept {
  const auto keep = [&](const char* what) {
    error e(status_code::unknown, what, origin);
    if (e.payload_) e.payload_->exception = exception;
    return e;
  };
  try {
    std::rethrow_exception(exception);
  } catch (const status_error& e) {
    return e.error();
  } catch (const std::bad_alloc&) {
    return error(status_code::resource_exhausted, origin);  // no room for a message
  } catch (const std::exception& e) {
    return keep(e.what());
  } catch (...) {
    return keep("an exception that is not a std::exception");
  }
}

std::exception_ptr error::exception() const noexcept { return payload_ ? payload_->exception : nullptr; }

error error::from_errno(int number, std::string_view what) {
  std::array<char, 128> text{};
  const char* reason = ::strerror_r(number, text.data(), text.size());
  return {code_for_errno(number), std::string(what) + ": " + reason};
}

std::string_view error::message() const noexcept {
  return payload_ ? std::string_view(payload_->message) : std::string_view();
}

std::string error::to_string() const {
  std::string text(atoll::to_string(code_));
  if (!message().empty()) text.append(": ").append(message());
  return text;
}

void error::raise() const {
  if (payload_ && payload_->exception) std::rethrow_exception(payload_->exception);
  throw status_error(*this);
}

void error::drop_exception() noexcept {
  if (payload_) payload_->exception = nullptr;
}

}  // namespace atoll_root::atoll
