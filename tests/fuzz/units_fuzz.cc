// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Durations and sizes, as people write them in flags, variables and files.
#include <atoll/actors/base/units.hh>

#include "round_trip.hh"

namespace {

void check_refusal(const atoll::error& why) {
  ATOLL_ASSERT(why.code() == atoll::status_code::invalid_argument || why.code() == atoll::status_code::out_of_range,
               "a bad amount is one of two errors");
  ATOLL_ASSERT(why.message().find('\n') == std::string_view::npos, "said in one line");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::view(data, size);
  if (const auto parsed = atoll::parse_duration(input)) {
    ATOLL_ASSERT(parsed->count() >= 0, "no duration is negative");
    const auto again = atoll::parse_duration(atoll::format_duration(*parsed));
    ATOLL_ASSERT(again && *again == *parsed, "a duration survives printing");
  } else {
    check_refusal(parsed.error());
  }
  if (const auto parsed = atoll::parse_bytes(input)) {
    const auto again = atoll::parse_bytes(atoll::format_bytes(*parsed));
    ATOLL_ASSERT(again && *again == *parsed, "a size survives printing");
  } else {
    check_refusal(parsed.error());
  }
  return 0;
}
