// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What a started service is underneath: one site a shard (service_site.hh), each with its instance and the calls it serves.
// Internal to atoll; users have sharded<S>.
//
// Shard rules: the number of sites never changes; site s is touched by shard s only. A core outlives all refs
// to it: the runtime keeps it to the end, so a late call finds a closed site and gets `unavailable`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/actors/future/future.hh>
#include <atoll/sharding/service_options.hh>

namespace atoll_root::atoll {

class call_message;
class service_core;
class service_stats;
class slot_map;
class turns;

namespace detail {
/// What an empty ref names: a service that runs nowhere, so that calls fail with `unavailable` and its name. One a shard and service.
service_core& core_of_none(const service_shape& shape);
}  // namespace detail

/// A streaming call at its callee.
struct open_streams : list_hook {
  call_message* call = nullptr;
};

/// What runs on several shards, for who has to stop it.
class stoppable {
 public:
  stoppable() noexcept = default;
  stoppable(const stoppable&) = delete;
  stoppable& operator=(const stoppable&) = delete;
  /// On all of them; it is kept until the future is ready.
  virtual future<> stop_everywhere() = 0;

 protected:
  ~stoppable() = default;
};

class service_core {
 public:
  service_core(const service_shape& shape, shard_id shards);
  /// One that the runtime keeps to its end.
  static std::shared_ptr<service_core> make(const service_shape& shape);
  /// It starts now: what is left running at the end of the runtime is stopped in the reverse order of the starts.
  static void starts(const std::shared_ptr<service_core>& core) noexcept;
  service_core(const service_core&) = delete;
  service_core& operator=(const service_core&) = delete;
  ~service_core();

  [[nodiscard]] std::string name() const { return std::string(shape_.name); }
  /// The same where there may be no memory.
  [[nodiscard]] std::string_view label() const noexcept { return shape_.name; }
  [[nodiscard]] shard_id shards() const noexcept { return shards_; }
  /// Calls with streams that are open here.
  [[nodiscard]] std::uint32_t streams_open() const noexcept;

  /// This shard's instance; null where there is none.
  [[nodiscard]] void* instance() const noexcept;

  /// What can fail of open(). Throws status_error with `not_found` where this shard doesn't know a scheduling group of one of its
  /// methods, and std::bad_alloc.
  void prepare();
  /// Puts this shard's instance to work. REQUIRES: prepared, none there.
  void open(void* instance) noexcept;
  /// Refuses new calls and waits for those being served; then gives the instance back for destruction, null where there is
  /// none. What is still being served after `patience` is cancelled with `unavailable`, and what waits for its turn refused.
  future<void*> close(duration patience);

  [[nodiscard]] bool has_slots() const noexcept { return shape_.options.slots != 0; }
  /// Who has which slot, as this shard knows it. REQUIRES: has_slots().
  [[nodiscard]] slot_map& slots() noexcept;

  /// Counts a call with streams that begins here; the error why it may not.
  std::optional<error> open_stream(open_streams& place, call_message& call);
  /// The call ends; does nothing where it was not counted.
  void close_stream(open_streams& place) noexcept;
  /// Ends the streams that are open here, and refuses more.
  void end_streams() noexcept;

  /// Cancels the calls that are being served here, and has those refused that wait for their turn.
  void end_calls() noexcept;

  /// Why a call is refused here.
  [[nodiscard]] error not_running() const noexcept;
  [[nodiscard]] error is_stopping() const noexcept;

  /// Set while started: what the runtime stops where nobody has.
  std::shared_ptr<stoppable> running;

  // For calls:
  struct site;
  [[nodiscard]] site& here() const noexcept;
  /// The same where the shard is at hand.
  [[nodiscard]] site& on(const shard& here) const noexcept;

  // For moves, on shard 0:
  struct slot_moves;
  [[nodiscard]] slot_moves& moves() const noexcept;

 private:
  friend service_core& detail::core_of_none(const service_shape& shape);
  struct impatience;
  struct parts;

  const service_shape shape_;
  const shard_id shards_;
  std::unique_ptr<parts> own_;
  site* sites_;  // own_'s: by shard
};

namespace detail {

/// Where the call of a key goes.
struct slot_place {
  slot_map* slots;
  slot_id slot;
  shard_id owner;
};
slot_place place_of_key(service_core& core, std::uint64_t hash) noexcept;

}  // namespace detail
}  // namespace atoll_root::atoll
