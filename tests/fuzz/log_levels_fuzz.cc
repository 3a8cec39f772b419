// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Log levels, as people write them in ATOLL_LOG and send them to running processes; and any text as a log line's value.
#include <atoll/actors/base/log_levels.hh>

#include <algorithm>

#include <atoll/actors/base/assert.hh>
#include <atoll/actors/base/text.hh>

namespace {

void check_levels(std::string_view text) {
  atoll::log_levels levels;
  const auto before = levels.to_string();
  if (const auto set = levels.set(text); !set) {
    const auto message = set.error().message();
    ATOLL_ASSERT(levels.to_string() == before, "bad text changes nothing");
    ATOLL_ASSERT(message.find('\n') == std::string_view::npos && message.size() < 400, "an error is one short line");
    return;
  }
  const auto printed = levels.to_string();
  atoll::log_levels again;
  ATOLL_ASSERT(again.set(printed) && again.to_string() == printed, "levels survive printing");
  for (const std::string_view name : {"", "net", "rpc"}) {
    for (int l = 0; l < 4; ++l) {
      const auto level = static_cast<atoll::log_level>(l);
      ATOLL_ASSERT(levels.enabled(name, level) == (level >= levels.least(name)), "a level is on from the least on");
    }
  }
}

void check_value(std::string_view text) {
  std::string value;
  atoll::append_value(value, text);
  ATOLL_ASSERT(!value.empty(), "a value is never missing");
  for (std::string_view left = value; !left.empty(); left.remove_prefix(atoll::utf8_length(left))) {
    ATOLL_ASSERT(atoll::utf8_length(left) > 0, "a value is UTF-8");
  }
  ATOLL_ASSERT(std::ranges::none_of(value, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }), "in one line");
  ATOLL_ASSERT(value.front() == '"' || value.find_first_of(" =\"") == std::string::npos, "quoted where it has to be");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  check_levels(input);
  check_value(input);
  return 0;
}
