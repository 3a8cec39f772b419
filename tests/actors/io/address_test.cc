// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/io/address.hh>

#include <gtest/gtest.h>

namespace {

using atoll::socket_address;

TEST(address, of_both_families_survives_printing) {
  for (const char* text : {"127.0.0.1:80", "0.0.0.0:0", "[::1]:65535"}) {
    const auto a = socket_address::parse(text);
    ASSERT_TRUE(a) << text;
    EXPECT_EQ(a->to_string(), text);
  }
}

TEST(address, that_is_malformed_is_refused_by_name) {
  for (const char* text : {"", ":", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:8x",
                           "localhost:80", "256.0.0.1:80", "::1:80", "[127.0.0.1]:80", "[::1]", "[]:1"}) {
    const auto a = socket_address::parse(text);
    ASSERT_FALSE(a) << text;
    EXPECT_EQ(a.error().code(), atoll::status_code::invalid_argument);
    EXPECT_NE(a.error().message().find("'" + std::string(text) + "'"), std::string::npos);
  }
}

TEST(address, with_a_zero_byte_in_the_host_is_refused) {
  EXPECT_FALSE(socket_address::parse(std::string_view("127.0.0.1\0x:80", 14)));
}

}  // namespace
