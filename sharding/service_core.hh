// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What a started service is underneath: one site a shard, each with its instance and the calls it serves.
// Internal to atoll; users have sharded<S>.
//
// Shard rules: the vector of sites never changes; site s is touched by shard s only. A core outlives all refs
// to it: the runtime keeps it to the end, so a late call finds a closed site and gets `unavailable`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/actors/base/intrusive_list.hh>
#include <atoll/actors/future/future.hh>
#include <atoll/actors/sync/mutex.hh>
#include <atoll/sharding/service_stats.hh>
#include <atoll/sharding/slot_map.hh>
#include <atoll/sharding/turns.hh>

namespace atoll_root::atoll {

/// A streaming call at its callee.
struct open_streams : list_hook {
  call_message* call = nullptr;
};

/// What the description of a service says of it.
struct service_shape {
  std::string_view name;
  std::vector<std::string_view> methods{};
  std::vector<turn_options> bounds{};  // of the service, then of each method; empty where there are none
  std::uint32_t streams_max = 0;       // calls with streams that may be open at an instance
  slot_id slots = 0;                   // 0: keys are placed by their hash alone
};

class service_core {
 public:
  service_core(service_shape shape, shard_id shards);
  /// One that the runtime keeps to its end.
  static std::shared_ptr<service_core> make(service_shape shape);
  /// It starts now: what is left running at the end of the runtime is stopped in the reverse order of the starts.
  static void starts(const std::shared_ptr<service_core>& core) noexcept;
  service_core(const service_core&) = delete;
  service_core& operator=(const service_core&) = delete;
  ~service_core() = default;

  [[nodiscard]] std::string name() const { return std::string(shape_.name); }
  [[nodiscard]] shard_id shards() const noexcept { return static_cast<shard_id>(sites_.size()); }
  /// Calls with streams that are open here.
  [[nodiscard]] std::uint32_t streams_open() const noexcept { return local().streams_open; }

  /// This shard's instance; null where there is none.
  [[nodiscard]] void* instance() const noexcept { return local().instance; }

  /// What can fail of open(). `groups`: of its methods, by name, empty where they have none. Throws status_error with
  /// `not_found` where this shard doesn't know one, and std::bad_alloc.
  void prepare(const std::vector<std::string_view>& groups = {});
  /// Puts this shard's instance to work. REQUIRES: prepared, none there.
  void open(void* instance) noexcept;
  /// Refuses new calls and waits for those being served; then gives the instance back for destruction, null where there is
  /// none. What is still being served after `patience` is cancelled with `unavailable`, and what waits for its turn refused.
  future<void*> close(duration patience);

  /// A call that is being served waits for something: from now on it can be cancelled, until its context leaves the list.
  void serves_on(call_context& call) noexcept;
  /// This shard's instance, for a call that waited for its turn; null where it isn't served any more.
  [[nodiscard]] void* instance_for_waiting() const noexcept { return local().calls_ended ? nullptr : local().instance; }

  /// Who may be served here and now, for a method (see call_message); null: everybody.
  [[nodiscard]] turns* turns_of(std::size_t method) noexcept { return local().turns_of(method); }

  /// The scheduling group that a method is served in here; none: the caller's.
  [[nodiscard]] std::optional<group_id> group_of(std::size_t method) const noexcept {
    const auto& groups = local().groups;
    return method < groups.size() ? groups[method] : std::nullopt;
  }

  /// Who has which slot, as this shard knows it. REQUIRES: has_slots().
  [[nodiscard]] slot_map& slots() noexcept { return *local().slots; }
  [[nodiscard]] bool has_slots() const noexcept { return shape_.slots != 0; }

  /// What this shard counts of it; null where it never had an instance.
  [[nodiscard]] service_stats* stats() const noexcept { return local().stats; }

  /// Counts a call with streams that begins here; the error why it may not.
  std::optional<error> open_stream(open_streams& place, call_message& call);
  /// The call ends; does nothing where it was not counted.
  void close_stream(open_streams& place) noexcept;
  /// Ends the streams that are open here, and refuses more.
  void end_streams() noexcept;

  /// Cancels the calls that are being served here, and has those refused that wait for their turn.
  void end_calls() noexcept;

  [[nodiscard]] error not_running() const;

  /// Set while started: stops the service on all shards. Used by the runtime for what was left running.
  std::function<future<>()> stop_all;

  // Shard 0's:
  mutex one_move{"slots that move"};
  bool may_move_slots = false;                 // while it runs
  std::optional<cancel_source> slot_draining;  // of the move under way
  status_counts slot_moves;

  // For calls:
  struct alignas(64) site {
    void* instance = nullptr;
    service_stats* stats = nullptr;  // from the first open() on
    std::uint32_t serving = 0;
    bool closed = true;
    bool streams_ended = false;
    bool calls_ended = false;
    std::uint32_t streams_open = 0;
    intrusive_list<call_context> calls;  // being served, and waiting for something
    intrusive_list<open_streams> streams;
    std::optional<promise<>> drained;
    std::vector<turns> bounds;
    std::vector<std::optional<group_id>> groups;  // by method
    std::optional<slot_map> slots;

    /// The instance for one call, which leave() ends; null where the service doesn't run here.
    void* enter() noexcept {
      if (closed) return nullptr;
      ++serving;
      return instance;
    }
    void leave() noexcept {
      if (--serving == 0 && drained) [[unlikely]]
        drained->set_value();
    }
    [[nodiscard]] turns* turns_of(std::size_t method) noexcept {
      if (method >= bounds.size()) [[likely]]
        return nullptr;
      turns& own = bounds[method];
      return own.bounded() ? &own : nullptr;
    }
  };
  [[nodiscard]] site& here() noexcept { return local(); }

 private:
  struct impatience;

  [[nodiscard]] error is_stopping() const noexcept;
  site& local() noexcept { return sites_[this_shard_id()]; }
  [[nodiscard]] const site& local() const noexcept { return sites_[this_shard_id()]; }

  const service_shape shape_;
  std::vector<site> sites_;
};

}  // namespace atoll_root::atoll
