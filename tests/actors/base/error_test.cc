// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/base/error.hh>
#include <atoll/actors/base/result.hh>

#include <cerrno>
#include <new>

#include <gtest/gtest.h>

namespace {

using atoll::error;
using atoll::status_code;

template <class F>
error caught(F f) {
  try {
    f();
  } catch (...) {
    return error::from_exception(std::current_exception());
  }
  return error(status_code::internal, "nothing was thrown");
}

TEST(error, has_the_codes_and_numbers_of_grpc) {
  EXPECT_EQ(static_cast<int>(status_code::cancelled), 1);
  EXPECT_EQ(static_cast<int>(status_code::unavailable), 14);
  EXPECT_EQ(static_cast<int>(status_code::unauthenticated), 16);
  EXPECT_EQ(to_string(status_code::deadline_exceeded), "deadline_exceeded");
}

TEST(error, takes_codes_it_does_not_know_for_unknown) {
  EXPECT_EQ(atoll::status_code_from_wire(0), status_code::unknown);
  EXPECT_EQ(atoll::status_code_from_wire(16), status_code::unauthenticated);
  EXPECT_EQ(atoll::status_code_from_wire(17), status_code::unknown);
  EXPECT_EQ(atoll::status_code_from_wire(~std::uint64_t{0}), status_code::unknown);
}

TEST(error, prints_code_and_message) {
  EXPECT_EQ(error(status_code::not_found, "no key").to_string(), "not_found: no key");
  EXPECT_EQ(error(status_code::aborted).to_string(), "aborted");
}

TEST(error, is_copied_with_its_message) {
  const error a(status_code::aborted, "why");
  error b(status_code::internal);
  b = a;
  EXPECT_EQ(a, b);
}

TEST(error, of_an_exception_remembers_it) {
  const auto e = caught([] { throw std::out_of_range("too far"); });
  EXPECT_EQ(e.code(), status_code::unknown);
  EXPECT_EQ(e.message(), "too far");
  EXPECT_THROW(e.raise(), std::out_of_range);
}

TEST(error, of_an_exception_forgets_it_when_told) {
  auto e = caught([] { throw std::out_of_range("too far"); });
  e.drop_exception();
  EXPECT_THROW(e.raise(), atoll::status_error);
}

TEST(error, of_a_status_error_is_what_it_carried) {
  const auto e = caught([] { throw atoll::status_error(error(status_code::not_found, "x")); });
  EXPECT_EQ(e, error(status_code::not_found, "x"));
}

TEST(error, of_bad_alloc_is_resource_exhausted) {
  EXPECT_EQ(caught([] { throw std::bad_alloc(); }).code(), status_code::resource_exhausted);
}

TEST(error, of_what_is_no_exception_class_is_unknown) {
  EXPECT_EQ(caught([] { throw 42; }).code(), status_code::unknown);
}

TEST(error, of_errno_names_the_operation) {
  const auto e = error::from_errno(EADDRINUSE, "listen");
  EXPECT_EQ(e.code(), status_code::already_exists);
  EXPECT_EQ(e.message(), "listen: Address already in use");
}

TEST(result, is_a_value_or_an_error) {
  atoll::result<int> good(5);
  atoll::result<int> bad{error(status_code::aborted)};
  EXPECT_TRUE(good);
  EXPECT_EQ(*good, 5);
  EXPECT_FALSE(bad);
  EXPECT_THROW(bad.value(), atoll::status_error);
}

TEST(result, of_nothing_is_good) { EXPECT_TRUE(atoll::result<void>()); }

}  // namespace
