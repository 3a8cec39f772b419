// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The frames two nodes exchange. proto/atoll_rpc/v1/rpc.proto is the same as protobuf, proto/README.md the
// whole protocol in words.
//
// A connection begins with the 8 bytes of `preface` from the side that connected. Then, in both directions,
// frames: a header of 16 bytes (little-endian: body length 4, kind 1, zero 3, call id 8) and a body, which is one
// protobuf message, or the method's own reply in a `reply` frame. A header is checked before anything of the
// body is buffered: a length above `frame_bytes_max`, an unknown kind or a byte that should be zero ends the
// connection.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <atoll/actors/base/result.hh>
#include <atoll/rpc/codec.hh>

namespace atoll_root::atoll::rpc {

inline constexpr std::string_view preface{"ATOLL\0\0\1", 8};  // the last byte is the protocol's version
inline constexpr std::size_t header_bytes = 16;
inline constexpr std::size_t frame_bytes_max = 16U << 20;  // of a body

enum class frame_kind : std::uint8_t {
  hello = 1,    // first frame of the side that connected: hello_body
  welcome = 2,  // its answer: welcome_body
  call = 3,     // call_body
  reply = 4,    // the method's reply message
  failure = 5,  // failure_body; with call id 0 it concerns the connection and is its last frame
  ping = 6,     // no body; answered by pong with the same id
  pong = 7,
  goaway = 8,  // no body: no new calls on this connection, those under way will be answered
};

struct hello_body {
  std::string cluster;
  std::uint32_t from_node = 0;
  std::uint32_t to_node = 0;
  std::uint32_t to_shard = 0;
};
ATOLL_MESSAGE(hello_body, cluster, from_node, to_node, to_shard);

struct welcome_body {
  std::uint32_t node = 0;
  std::uint32_t shards = 0;
};
ATOLL_MESSAGE(welcome_body, node, shards);

/// The method is named and its shape told when a connection uses its number for the first time.
struct call_body {
  std::uint32_t method_id = 0;  // chosen by the caller, from 1
  std::string_view service{};   // "demo.v1.Counter", with the id's first call
  std::string_view method{};    // "Add", likewise
  std::uint64_t fingerprint = 0;
  std::uint64_t timeout_us = 0;  // what is left of the deadline; 0: none
  std::uint32_t depth = 0;       // of the call
  std::uint64_t trace_id = 0;
  std::string_view request{};
  std::uint64_t key_hash = 0;  // of a service with slots, for who has the key's; 0: for the connection's shard
};
ATOLL_MESSAGE(call_body, method_id, service, method, fingerprint, timeout_us, depth, trace_id, request, key_hash);

struct failure_body {
  std::uint32_t code = 0;  // of status_code
  std::string message;
};
ATOLL_MESSAGE(failure_body, code, message);

struct frame {
  frame_kind kind = frame_kind::ping;
  std::uint64_t call_id = 0;
  std::string_view body;
};

struct frame_header {
  std::uint32_t body_bytes = 0;
  frame_kind kind = frame_kind::ping;
  std::uint64_t call_id = 0;
};

/// The header these bytes are, or the error for what no atoll node sends. REQUIRES: header_bytes of them.
result<frame_header> parse_header(std::string_view bytes);

void put_header(std::string& out, const frame_header& header);

/// Appends a frame whose body is a described message.
template <described_message T>
void put_frame(std::string& out, frame_kind kind, std::uint64_t call_id, const T& body) {
  put_header(out, {static_cast<std::uint32_t>(wire::message_size(body)), kind, call_id});
  wire::put_message(out, body);
}
/// Appends a frame with these bytes as its body.
void put_frame(std::string& out, frame_kind kind, std::uint64_t call_id, std::string_view body);

/// Appends the failure frame for an error; a message that is no UTF-8 is made some.
void put_failure(std::string& out, std::uint64_t call_id, const error& e);
/// The error a failure frame carries.
error parse_failure(std::string_view body);

}  // namespace atoll_root::atoll::rpc
