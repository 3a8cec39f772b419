// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/option_table.hh>

#include <algorithm>

#include <atoll/actors/base/assert.hh>
#include <atoll/actors/base/printable.hh>
#include <atoll/sharding/config_file.hh>

namespace atoll_root::atoll {
namespace {

error refuse(std::string why) { return error(status_code::invalid_argument, std::move(why)); }

/// Stores the values, or says in one line why not.
result<void> store(option_entry& entry, const std::vector<std::string>& values, setting_source source,
                   std::string where) {
  if (!entry.repeats && values.size() != 1) {
    return refuse(where + ": given " + std::to_string(values.size()) + " times, but takes one value");
  }
  if (!entry.set(values)) {
    std::string given;
    for (const auto& value : values) given += (given.empty() ? "'" : ", '") + printable(value) + "'";
    return refuse(where + ": wants " + entry.accepted + ", not " + given);
  }
  entry.source = source;
  entry.where = std::move(where);
  return {};
}

std::string defaults_of(const option_entry& entry) {
  if (!entry.policy.empty()) return entry.policy;
  const auto values = entry.text();
  if (values.empty() || values.front().empty()) return "empty";
  return printable(values.front());
}

}  // namespace

void option_table::add(option_entry entry) {
  const auto same = [&entry](const option_entry& other) {
    return other.name == entry.name || other.environment == entry.environment;
  };
  ATOLL_ASSERT(std::ranges::none_of(entries_, same), "an option with this name, or this environment name, is there");
  entries_.push_back(std::move(entry));
}

const option_entry* option_table::find(std::string_view name) const noexcept {
  const auto found = std::ranges::find(entries_, name, &option_entry::name);
  return found == entries_.end() ? nullptr : &*found;
}

result<void> option_table::apply_config(const std::string& path, std::string_view text) {
  const std::string file = "file " + printable(path);
  auto lines = parse_config(text);
  if (!lines) return refuse(file + " " + std::string(lines.error().message()));
  for (auto& entry : entries_) {
    std::vector<std::string> values;
    unsigned last = 0;
    for (const auto& line : *lines) {
      if (line.key != entry.name) continue;
      if (!values.empty() && !entry.repeats) {
        return refuse(file + " line " + std::to_string(line.line) + ": " + entry.name +
                      " is set a second time, after line " + std::to_string(last));
      }
      values.push_back(line.value);
      last = line.line;
    }
    if (values.empty()) continue;
    const std::string where = file + " line " + std::to_string(last);
    if (auto stored = store(entry, values, setting_source::file, where + ": " + entry.name); !stored) return stored;
    entry.where = where;
  }
  for (const auto& line : *lines) {
    if (find(line.key) != nullptr) continue;
    return refuse(file + " line " + std::to_string(line.line) + ": no option is named '" + printable(line.key) + "'");
  }
  return {};
}

result<void> option_table::apply_environment(const std::function<const char*(const char*)>& get) {
  for (auto& entry : entries_) {
    const char* value = get(entry.environment.c_str());
    if (value == nullptr || *value == '\0') continue;
    if (auto stored = store(entry, {value}, setting_source::environment, "environment " + entry.environment); !stored) {
      return stored;
    }
  }
  return {};
}

std::string option_table::first_unknown(const char* const* environment, std::string_view prefix,
                                        std::span<const std::string_view> also_known) const {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    std::string_view name = *environment;
    name = name.substr(0, name.find('='));
    if (!name.starts_with(prefix)) continue;
    const bool known = std::ranges::count(entries_, name, &option_entry::environment) > 0 ||
                       std::ranges::any_of(also_known, [name](std::string_view k) {
                         return k.ends_with('*') ? name.starts_with(k.substr(0, k.size() - 1)) : name == k;
                       });
    if (!known) return std::string(name);
  }
  return {};
}

result<void> option_table::apply_flag(std::string_view name, const std::vector<std::string>& values) {
  const auto entry = std::ranges::find(entries_, name, &option_entry::name);
  if (entry == entries_.end()) return refuse("no option is named '" + printable(name) + "'");
  return store(*entry, values, setting_source::flag, "flag --" + entry->name);
}

std::string option_table::help(std::string_view group) const {
  std::string out;
  for (const auto& entry : entries_) {
    if (entry.group != group) continue;
    out += "  --" + entry.name + (entry.kind.empty() ? "" : " " + entry.kind) + "\n      " + entry.help + "\n      ";
    if (!entry.kind.empty()) out += entry.accepted + (entry.repeats ? ", may be given several times; " : "; ");
    out += "default: " + (entry.kind.empty() ? "off" : defaults_of(entry)) + "; env: " + entry.environment + "\n";
  }
  return out;
}

std::string option_table::print() const {
  std::string out;
  for (const auto& entry : entries_) {
    const bool built_in = entry.source == setting_source::built_in;
    if (built_in && !entry.policy.empty()) {
      out += "# " + entry.name + ": " + entry.policy + "  # default\n";
      continue;
    }
    const auto values = entry.text();
    if (values.empty()) out += "# " + entry.name + ": not given  # default\n";
    for (const auto& value : values) {
      out += format_config_entry(entry.name, value) + "  # " + (built_in ? "default" : entry.where) + "\n";
    }
  }
  return out;
}

std::string environment_name(std::string_view app, std::string_view option) {
  std::string name = std::string(app) + "_" + std::string(option);
  for (char& c : name) {
    const bool lower = c >= 'a' && c <= 'z';
    const bool kept = (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (lower) c = static_cast<char>(c - 'a' + 'A');
    if (!lower && !kept) c = '_';
  }
  return name;
}

result<bool> parse_switch(std::string_view text) {
  for (const std::string_view yes : {"true", "yes", "on", "1"}) {
    if (text == yes) return true;
  }
  for (const std::string_view no : {"false", "no", "off", "0"}) {
    if (text == no) return false;
  }
  return refuse("wants true, yes, on, 1, false, no, off or 0, not '" + printable(text) + "'");
}

}  // namespace atoll_root::atoll
