// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/schema.hh>

#include <algorithm>

#include <atoll/sharding/key_hash.hh>

namespace atoll_root::atoll {
namespace {

/// A message's shape as text, messages inside it included; `seen` ends recursion.
std::string shape_of(const service_schema& service, const std::string& name, std::vector<std::string>& seen) {
  std::string text = name + "{";
  if (std::find(seen.begin(), seen.end(), name) != seen.end()) return text + "...}";
  seen.push_back(name);
  const auto found = std::find_if(service.messages.begin(), service.messages.end(),
                                  [&name](const message_schema& m) { return m.name == name; });
  ATOLL_ASSERT(found != service.messages.end(), "a schema has all the messages it names");
  for (const auto& f : found->fields) {
    text += std::to_string(f.number) + f.name + ":" + std::to_string(static_cast<unsigned>(f.kind)) + "," +
            std::to_string(static_cast<unsigned>(f.label)) + "," + std::to_string(static_cast<unsigned>(f.map_key));
    if (f.kind == wire::field_kind::message) text += shape_of(service, f.message, seen);
    text += ";";
  }
  return text + "}";
}

}  // namespace

void service_schema::add(message_schema message) {
  for (const auto& known : messages) {
    if (known.name != message.name) continue;
    ATOLL_ASSERT(known == message, "two different messages of one service have the same name");
    return;
  }
  messages.push_back(std::move(message));
}

std::string camel_case(std::string_view snake_case) {
  std::string camel;
  bool upper = true;
  for (const char c : snake_case) {
    if (c == '_') {
      upper = true;
    } else {
      camel += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      upper = false;
    }
  }
  return camel;
}

std::uint64_t fingerprint(const service_schema& service, const method_schema& method) {
  std::vector<std::string> seen;
  const std::string request = shape_of(service, method.request, seen);
  seen.clear();
  return key_hash(request + "->" + shape_of(service, method.reply, seen));
}

}  // namespace atoll_root::atoll
