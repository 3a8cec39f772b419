// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/services/gateway/dispatcher.hh>

namespace atoll_root::atoll::services {
namespace {

/// "/package.Service/Method" as its two parts; empty ones where it is nothing of the kind.
std::pair<std::string_view, std::string_view> split(std::string_view path) noexcept {
  const auto slash = path.rfind('/');
  if (path.empty() || path.front() != '/' || slash == 0) return {};
  return {path.substr(1, slash - 1), path.substr(slash + 1)};
}

}  // namespace

result<void> dispatcher::add(std::shared_ptr<const service_binding> service) {
  auto name = service->schema.full_name();
  if (services_.contains(name)) {
    return error(status_code::already_exists, "the gateway exposes a " + name + " already");
  }
  for (const auto& [other_name, other] : services_) {
    if (other->schema.package != service->schema.package) continue;
    for (const auto& message : service->schema.messages) {
      for (const auto& known : other->schema.messages) {
        if (known.name == message.name && known != message) {
          return error(status_code::failed_precondition,
                       name + " and " + other_name + " have different messages " + message.name + " in one package");
        }
      }
    }
  }
  services_.emplace(std::move(name), std::move(service));
  return {};
}

const service_binding* dispatcher::service_of(std::string_view path) const noexcept {
  const auto found = services_.find(split(path).first);
  return found == services_.end() ? nullptr : found->second.get();
}

bool dispatcher::has(std::string_view path) const noexcept {
  const auto* service = service_of(path);
  return service != nullptr && service->find(split(path).second) != nullptr;
}

result<dispatcher::route> dispatcher::find(std::string_view path, std::string_view request,
                                           std::uint64_t fallback) const {
  route to;
  to.service = service_of(path);
  to.method = to.service == nullptr ? nullptr : to.service->find(split(path).second);
  if (to.method == nullptr) {
    return error(status_code::unimplemented,
                 "no method " + wire::to_utf8(path) + (to.service == nullptr ? ": no such service" : ""));
  }
  const shard_id shards = to.service->core->shards();
  if (to.method->key == nullptr) {
    to.shard = static_cast<shard_id>(fallback % shards);
  } else {
    const auto hash = to.method->key(request);
    if (!hash) return hash.error();
    to.shard = shard_of_hash(*hash, shards);
    to.key_hash = detail::some_hash(*hash);
  }
  return to;
}

future<std::string> dispatcher::dispatch(const route& to, std::string_view request) {
  return to.method->call(*to.service->core, this_shard_id(), to.key_hash, request);
}

}  // namespace atoll_root::atoll::services
