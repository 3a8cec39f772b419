// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// dispatcher: the seam between a gRPC engine and the services. Whatever speaks HTTP/2 above it, here a call is
// a method's name, the request's bytes and a deadline.
//
//   auto route = table.find("/demo.v1.Counter/Add", request);     // any thread: which method, which shard
//   std::string reply = co_await table.dispatch(*route, request);   // on that shard
//
// Immutable once the gateway has started, so that engine threads and shards may read it at the same time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include <atoll/rpc/binding.hh>

namespace atoll_root::atoll::services {

class dispatcher {
 public:
  struct route {
    const service_binding* service = nullptr;
    const method_binding* method = nullptr;
    shard_id shard = 0;
    std::uint64_t key_hash = 0;  // 0: none
  };

  /// `already_exists` where one of its name is, `failed_precondition` where one of the same package has another message
  /// of the same name.
  result<void> add(std::shared_ptr<const service_binding> service);

  /// True where the path "/package.Service/Method" names a method.
  [[nodiscard]] bool has(std::string_view path) const noexcept;

  /// The shard that owns the request's key, or `fallback` for a method without one. Errors: `unimplemented` for a path
  /// that names no method, `invalid_argument` where the key can't be decoded.
  [[nodiscard]] result<route> find(std::string_view path, std::string_view request, std::uint64_t fallback) const;

  /// Decodes, calls and encodes. On the route's shard.
  static future<std::string> dispatch(const route& to, std::string_view request);

  /// The exposed services by full name.
  [[nodiscard]] const std::map<std::string, std::shared_ptr<const service_binding>, std::less<>>& services()
      const noexcept {
    return services_;
  }

 private:
  [[nodiscard]] const service_binding* service_of(std::string_view path) const noexcept;

  std::map<std::string, std::shared_ptr<const service_binding>, std::less<>> services_;
};

}  // namespace atoll_root::atoll::services
