// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/option_kinds.hh>

#include <algorithm>
#include <charconv>

#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/sharding/proc_text.hh>

namespace atoll_root::atoll {
namespace {

template <class Number>
option_entry number_entry(number_option<Number> option) {
  option_entry entry;
  entry.kind = "NUMBER";
  entry.accepted = "a number from " + std::to_string(option.min) + " to " + std::to_string(option.max);
  entry.set = [option](const std::vector<std::string>& values) {
    const auto& text = values.front();
    Number parsed = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), parsed);
    if (failed != std::errc() || end != text.data() + text.size()) return false;
    if (parsed < option.min || parsed > option.max) return false;
    option.value = parsed;
    return true;
  };
  entry.text = [option] { return std::vector{std::to_string(option.value)}; };
  return entry;
}

template <class Option, class Format>
option_entry unit_entry(Option option, Format format) {
  option_entry entry;
  entry.accepted = option.accepted();
  entry.set = [option](const std::vector<std::string>& values) {
    auto parsed = option.parse(values.front());
    if (parsed) option.value = *parsed;
    return parsed.has_value();
  };
  entry.text = [option, format] { return std::vector{format(option.value)}; };
  return entry;
}

/// Processors of the affinity mask this process has now.
option_entry cpu_list_entry(std::vector<unsigned>& cpus) {
  std::vector<unsigned> allowed;
  for (const auto& p : allowed_processors()) allowed.push_back(p.cpu);
  option_entry entry;
  entry.kind = "LIST";
  entry.accepted = "processors like 0,2-5, of those it may use: " + format_cpu_list(allowed);
  entry.set = [&cpus, allowed](const std::vector<std::string>& values) {
    auto parsed = parse_cpu_list(values.front());
    if (!parsed || parsed->empty() || !std::ranges::includes(allowed, *parsed)) return false;
    cpus = *std::move(parsed);
    return true;
  };
  entry.text = [&cpus] { return std::vector{format_cpu_list(cpus)}; };
  return entry;
}

/// An amount where "not set" is a value of its own.
option_entry optional_bytes_entry(std::optional<std::uint64_t>& value, std::uint64_t max) {
  option_entry entry;
  entry.kind = "SIZE";
  std::uint64_t none = 0;
  entry.accepted = bytes_option{.value = none, .max = max}.accepted();
  entry.set = [&value, max](const std::vector<std::string>& values) {
    std::uint64_t unused = 0;
    auto parsed = bytes_option{.value = unused, .max = max}.parse(values.front());
    if (parsed) value = *parsed;
    return parsed.has_value();
  };
  entry.text = [&value] { return std::vector{format_bytes(value.value_or(0))}; };
  return entry;
}

/// What all shards get: nothing said, or enough for one at least.
option_entry memory_entry(std::uint64_t& value, std::uint64_t max) {
  auto entry = entry_of(bytes_option{.value = value, .max = max});
  std::uint64_t none = 0;
  entry.accepted = "0, or " + bytes_option{.value = none, .min = memory_unit_bytes, .max = max}.accepted();
  entry.set = [&value, max](const std::vector<std::string>& values) {
    std::uint64_t unused = 0;
    const auto parsed = bytes_option{.value = unused, .max = max}.parse(values.front());
    if (!parsed || (*parsed != 0 && *parsed < memory_unit_bytes)) return false;
    value = *parsed;
    return true;
  };
  return entry;
}

option_entry log_entry(std::string& value) {
  option_entry entry = entry_of(value);
  entry.kind = "LEVELS";
  entry.accepted = "LEVEL or NAME=LEVEL, comma-separated, with debug, info, warning or error for LEVEL";
  entry.set = [&value](const std::vector<std::string>& values) {
    const bool understood = log_levels().set(values.front()).has_value();
    if (understood) value = values.front();
    return understood;
  };
  return entry;
}

constexpr std::uint64_t memory_bytes_max = std::uint64_t{1} << 50U;  // no machine has more

}  // namespace

option_entry entry_of(number_option<std::uint16_t> option) { return number_entry(option); }
option_entry entry_of(number_option<std::uint32_t> option) { return number_entry(option); }
option_entry entry_of(number_option<std::uint64_t> option) { return number_entry(option); }

option_entry entry_of(duration_option option) {
  auto entry = unit_entry(option, &format_duration);
  entry.kind = "DURATION";
  return entry;
}

option_entry entry_of(bytes_option option) {
  auto entry = unit_entry(option, &format_bytes);
  entry.kind = "SIZE";
  return entry;
}

option_entry entry_of(std::string& value) {
  option_entry entry;
  entry.kind = "TEXT";
  entry.accepted = "any text";
  entry.set = [&value](const std::vector<std::string>& values) {
    value = values.front();
    return true;
  };
  entry.text = [&value] { return std::vector{value}; };
  return entry;
}

option_entry entry_of(std::vector<std::string>& values) {
  option_entry entry;
  entry.kind = "TEXT";
  entry.accepted = "any text";
  entry.repeats = true;
  entry.set = [&values](const std::vector<std::string>& given) {
    values = given;
    return true;
  };
  entry.text = [&values] { return values; };
  return entry;
}

option_entry entry_of(bool& value, bool given) {
  option_entry entry;
  entry.accepted = "true or false";
  entry.set = [&value, given](const std::vector<std::string>& values) {
    const auto parsed = parse_switch(values.front());
    if (parsed) value = *parsed == given;
    return parsed.has_value();
  };
  entry.text = [&value, given] { return std::vector<std::string>{value == given ? "true" : "false"}; };
  return entry;
}

void add_runtime_options(option_table& table, runtime_options& options) {
  const auto add = [&table](std::string name, option_entry entry, std::string help, std::string policy = {}) {
    entry.environment = environment_name("atoll", name);
    entry.name = std::move(name);
    entry.help = std::move(help);
    entry.policy = std::move(policy);
    entry.group = runtime_group;
    table.add(std::move(entry));
  };
  using bounds = runtime_options;
  add("shards", entry_of(number_option<shard_id>{options.shards, 1, bounds::shards_max}),
      "shards to run, one thread each", "one a processor this process may use");
  add("no-pin", entry_of(options.pin, false), "don't bind shards to processors");
  add("cpuset", cpu_list_entry(options.cpus), "processors for the shards", "all this process may use");
  add("memory", memory_entry(options.memory_bytes, memory_bytes_max),
      "memory of all shards together; 0 divides what the machine has, less the reserve");
  add("reserve-memory", optional_bytes_entry(options.reserve_memory_bytes, memory_bytes_max),
      "memory to leave to the system", "7%, at least 64MiB and at most a quarter");
  add("poll-time", entry_of(duration_option{.value = options.spin_for, .max = bounds::spin_for_max}),
      "how long an idle shard looks for work before it sleeps");
  add("task-quota",
      entry_of(
          duration_option{.value = options.task_quota, .min = bounds::task_quota_min, .max = bounds::task_quota_max}),
      "how long tasks run before a shard looks for events");
  add("stall-threshold",
      entry_of(duration_option{.value = options.stall_threshold, .max = bounds::stall_threshold_max}),
      "a task that holds its shard longer is reported; 0 reports none");
  add("offload-threads",
      entry_of(number_option<std::uint32_t>{options.offload.threads_max, 1, bounds::offload_threads_max}),
      "threads at most for functions that are offloaded, made when they are needed");
  add("offload-queue", entry_of(number_option<std::uint32_t>{options.offload.queue_max, 1, bounds::offload_queue_max}),
      "functions that may wait for such a thread; more are refused");
  add("log", log_entry(options.log), "what is logged, by all loggers and by those named", "info");
  add("no-log-times", entry_of(options.log_times, false), "lines of the log begin without the time");
  add("seed", entry_of(number_option<std::uint64_t>{.value = options.seed}),
      "of the shards' random numbers; 0 draws one from the system");
}

}  // namespace atoll_root::atoll
