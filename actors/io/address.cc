// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/io/address.hh>

#include <arpa/inet.h>

#include <array>
#include <charconv>

namespace atoll_root::atoll {
namespace {

bool is_numeric_host(const std::string& host) noexcept {
  std::array<unsigned char, sizeof(in6_addr)> parsed{};
  return ::inet_pton(AF_INET, host.c_str(), parsed.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), parsed.data()) == 1;
}

}  // namespace

result<socket_address> socket_address::parse(std::string_view text) {
  const auto refuse = [text](std::string_view why) {
    return error(status_code::invalid_argument, "address '" + std::string(text) + "': " + std::string(why));
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse("wants HOST:PORT");
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  socket_address address{std::string(host), 0};
  if (host.find('\0') != std::string_view::npos || !is_numeric_host(address.host) ||
      bracketed != (host.find(':') != std::string_view::npos)) {
    return refuse("the host is not a numeric IPv4 address or a bracketed IPv6 one");
  }
  const auto [end, failed] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (failed != std::errc() || end != port.data() + port.size() || port.empty()) {
    return refuse("the port is not a number from 0 to 65535");
  }
  return address;
}

std::string socket_address::to_string() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace atoll_root::atoll
