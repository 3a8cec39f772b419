// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What a class, or one of its methods, says of how it wants to be served: constants of its description (describe.hh).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include <atoll/sharding/key_hash.hh>

namespace atoll_root::atoll {

inline constexpr std::uint32_t queue_default = 1024;

/// What a class says of all its methods: `static constexpr atoll::service_options options{...}`.
struct service_options {
  std::uint32_t concurrency = 0;        // calls that an instance serves at a time; 0: any number
  std::uint32_t queue = queue_default;  // calls that wait for their turn; more get `resource_exhausted`
  std::uint32_t streams =
      65'536;  // calls with streams that may be open at an instance, or at all actors of a shard; more get the same
  /// Into so many slots its keys are divided, each of which one shard has and may give to another (slots.hh); at most 65,536.
  /// 0: the shard of a key never changes. The same in all processes of a cluster.
  slot_id slots = 0;

  bool operator==(const service_options&) const = default;
};

/// What ATOLL_METHOD_WITH says of one method.
struct method_options {
  std::uint32_t concurrency = 0;        // as above, for this method alone; 0: as the service
  std::uint32_t queue = queue_default;  // as above
  bool per_key = false;                 // concurrency and queue hold for each key(...) apart
  /// The caller's future<> is ready when the message is on its way. Neither the caller's deadline nor its cancellation
  /// follows it there; what the method fails with is logged and counted by its shard. Other nodes and gRPC clients get their
  /// answer when the message has left for that shard.
  bool one_way = false;
  /// Serving a call twice does the same as serving it once: who lost the answer may ask again.
  bool idempotent = false;
  /// The scheduling group it is served in, of create_scheduling_group(); empty: the caller's. start() fails with `not_found`
  /// where a shard doesn't know it.
  std::string_view group = {};
};

/// A method, for what is not made anew for each service.
struct described_method {
  std::string_view name;
  method_options options;
};

/// What the description of a service says of it.
struct service_shape {
  std::string_view name;
  const described_method* methods = nullptr;  // of them `method_count`, in order
  std::size_t method_count = 0;
  service_options options{};
  bool one_per_key = false;  // each key is served by itself, one call at a time: keyed<Actor>

  bool operator==(const service_shape&) const = default;
};

}  // namespace atoll_root::atoll
