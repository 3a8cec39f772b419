// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A configuration file, alone and as the settings of an app.
#include <atoll/sharding/config_file.hh>
#include <atoll/sharding/option_kinds.hh>

#include "round_trip.hh"

namespace {

void check_settings(std::string_view text) {
  atoll::runtime_options options;
  atoll::option_table table;
  atoll::add_runtime_options(table, options);
  if (const auto done = table.apply_config("file", text); !done) {
    ATOLL_ASSERT(done.error().message().find('\n') == std::string_view::npos, "refused in one line");
    ATOLL_ASSERT(done.error().message().size() < 500, "a short one");
    return;
  }
  atoll::runtime_options same;
  atoll::option_table again;
  atoll::add_runtime_options(again, same);
  const auto printed = table.print();
  ATOLL_ASSERT(again.apply_config("printed", printed), "what is printed can be read");
  ATOLL_ASSERT(options.shards == same.shards && options.spin_for == same.spin_for && options.log == same.log &&
                   options.memory_bytes == same.memory_bytes && options.cpus == same.cpus && options.seed == same.seed,
               "and says the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto input = fuzz::view(data, size);
  check_settings(input);
  const auto entries = atoll::parse_config(input);
  if (!entries) return 0;
  std::string printed;
  for (const auto& entry : *entries) printed += atoll::format_config_entry(entry.key, entry.value) + '\n';
  const auto again = atoll::parse_config(printed);
  ATOLL_ASSERT(again && again->size() == entries->size(), "entries survive printing");
  for (std::size_t i = 0; i < entries->size(); ++i) {
    ATOLL_ASSERT((*entries)[i].key == (*again)[i].key && (*entries)[i].value == (*again)[i].value, "each of them");
  }
  return 0;
}
