// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/frame.hh>

#include <cstring>

namespace atoll_root::atoll::rpc {

result<frame_header> parse_header(std::string_view bytes) {
  ATOLL_ASSERT(bytes.size() >= header_bytes, "a header is parsed when it is complete");
  frame_header header;
  std::uint8_t kind = 0;
  std::uint32_t zero = 0;
  std::memcpy(&header.body_bytes, bytes.data(), 4);
  std::memcpy(&kind, bytes.data() + 4, 1);
  std::memcpy(&zero, bytes.data() + 5, 3);
  std::memcpy(&header.call_id, bytes.data() + 8, 8);
  if (header.body_bytes > frame_bytes_max) {
    return error(status_code::resource_exhausted, "a frame of " + std::to_string(header.body_bytes) +
                                                      " bytes; at most " + std::to_string(frame_bytes_max) +
                                                      " are allowed");
  }
  if (kind < static_cast<std::uint8_t>(frame_kind::hello) || kind > static_cast<std::uint8_t>(frame_kind::goaway) ||
      zero != 0) {
    return error(status_code::invalid_argument, "a malformed frame header");
  }
  header.kind = static_cast<frame_kind>(kind);
  return header;
}

void put_header(std::string& out, const frame_header& header) {
  wire::put_fixed(out, header.body_bytes);
  wire::put_fixed(out, static_cast<std::uint32_t>(header.kind));
  wire::put_fixed(out, header.call_id);
}

void put_frame(std::string& out, frame_kind kind, std::uint64_t call_id, std::string_view body) {
  put_header(out, {static_cast<std::uint32_t>(body.size()), kind, call_id});
  out.append(body);
}

void put_failure(std::string& out, std::uint64_t call_id, const error& e) {
  constexpr std::size_t message_bytes_max = 64U << 10;
  put_frame(
      out, frame_kind::failure, call_id,
      failure_body{static_cast<std::uint32_t>(e.code()), wire::to_utf8(e.message().substr(0, message_bytes_max))});
}

error parse_failure(std::string_view body) {
  failure_body failure;
  if (auto bad = decode_message(body, failure)) return std::move(*bad);
  return {status_code_from_wire(failure.code), std::move(failure.message)};
}

}  // namespace atoll_root::atoll::rpc
