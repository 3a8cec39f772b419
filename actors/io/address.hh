// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A TCP address: a numeric IPv4 or IPv6 host and a port. Names are resolved elsewhere, before.
//
//   auto a = atoll::socket_address::parse("127.0.0.1:7001");   // or "[::1]:7001"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <atoll/actors/base/result.hh>

namespace atoll_root::atoll {

struct socket_address {
  std::string host;  // "127.0.0.1", "::1"
  std::uint16_t port = 0;

  /// `host:port` or `[v6]:port`; anything else is `invalid_argument` and names what was given.
  static result<socket_address> parse(std::string_view text);
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const socket_address&, const socket_address&) = default;
};

}  // namespace atoll_root::atoll
