// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What two nodes exchange: frame headers, and the bodies whose content the framework itself reads.
#include <atoll/rpc/frame.hh>

#include <functional>

#include "round_trip.hh"

namespace {

using namespace atoll::rpc;  // NOLINT: the whole vocabulary

void check_header(std::string_view input) {
  if (input.size() < header_bytes) return;
  const auto header = parse_header(input.substr(0, header_bytes));
  if (!header) return;
  ATOLL_ASSERT(header->body_bytes <= frame_bytes_max, "a body has its bound");
  std::string out;
  put_header(out, *header);
  ATOLL_ASSERT(out == input.substr(0, header_bytes), "a header that was taken is written the same");
}

bool lies_in(std::string_view part, std::string_view whole) noexcept {
  // std::less_equal, because only it may compare any two pointers.
  constexpr std::less_equal<> before;
  return part.empty() ||
         (before(whole.data(), part.data()) && before(part.data() + part.size(), whole.data() + whole.size()));
}

void check_call(std::string_view input) {
  const auto call = fuzz::decode_both_ways<call_body>(input);
  if (!call) return;
  ATOLL_ASSERT(lies_in(call->service, input) && lies_in(call->method, input) && lies_in(call->request, input),
               "a call's views are of the input");
}

void check_failure(std::string_view input) {
  const auto failure = parse_failure(input);
  ATOLL_ASSERT(failure.code() != atoll::status_code::ok, "a failure is none of `ok`");
  std::string out;
  put_failure(out, 7, failure);
  const auto header = parse_header(out);
  ATOLL_ASSERT(header && header->kind == frame_kind::failure && header->call_id == 7, "a failure's own header");
  const auto body = std::string_view(out).substr(header_bytes);
  ATOLL_ASSERT(header->body_bytes == body.size(), "and the length of its body");
  ATOLL_ASSERT(parse_failure(body) == failure, "a failure survives being passed on");
}

/// A failure can carry any text: a service may put what it was sent into its message.
void check_any_message(std::string_view input) {
  std::string out;
  put_failure(out, 1, atoll::error(atoll::status_code::unknown, std::string(input)));
  const auto passed_on = parse_failure(std::string_view(out).substr(header_bytes));
  ATOLL_ASSERT(passed_on == atoll::error(atoll::status_code::unknown, atoll::wire::to_utf8(input)),
               "a message arrives, as UTF-8");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // Far below the bound of a failure's message, beyond which it is cut.
  const auto input = fuzz::view(data, size).substr(0, 8192);
  check_header(input);
  fuzz::decode_both_ways<hello_body>(input);
  fuzz::decode_both_ways<welcome_body>(input);
  check_call(input);
  check_failure(input);
  check_any_message(input);
  return 0;
}
