// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Addresses and lists of peers, as people write them on command lines.
#include <atoll/rpc/cluster.hh>

#include <algorithm>

#include "round_trip.hh"

namespace {

constexpr std::string_view of_numeric_hosts = "0123456789abcdefABCDEF:.";

/// Printable, numeric, and the same when read again.
void check(const atoll::socket_address& address) {
  ATOLL_ASSERT(address.host.find_first_not_of(of_numeric_hosts) == std::string::npos, "a host is numeric");
  const auto again = atoll::socket_address::parse(address.to_string());
  ATOLL_ASSERT(again && *again == address, "an address survives printing");
}

void check_address(std::string_view text) {
  const auto address = atoll::socket_address::parse(text);
  if (address) return check(*address);
  ATOLL_ASSERT(address.error().code() == atoll::status_code::invalid_argument, "a bad address is an invalid argument");
  ATOLL_ASSERT(address.error().message().find(text) != std::string_view::npos, "and named");
}

void check_peers(std::string_view text) {
  const auto peers = atoll::static_peers(text);
  if (!peers) {
    ATOLL_ASSERT(peers.error().code() == atoll::status_code::invalid_argument, "bad peers are an invalid argument");
    return;
  }
  ATOLL_ASSERT(peers->empty() == text.empty(), "no peers come from no text only");
  ATOLL_ASSERT(std::ranges::count(text, '=') == std::ranges::ssize(*peers), "each peer is a peer");
  std::string printed;
  for (const auto& peer : *peers) {
    check(peer.address);
    printed += (printed.empty() ? "" : ",") + std::to_string(peer.id) + "=" + peer.address.to_string();
  }
  const auto again = atoll::static_peers(printed);
  ATOLL_ASSERT(again && *again == *peers, "peers survive printing");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::view(data, size);
  check_address(input);
  check_peers(input);
  return 0;
}
