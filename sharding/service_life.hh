// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The phases of a service's life, from its first instance to its last, and what may be said about them.
//
//   atoll::sharded<store> stores({.ready_within = 30s, .drain_within = 5s, .stop_within = 5s,
//                                 .on_event = [](const atoll::service_event& e) { ... }});
//
// start(): the constructor on every shard, then S::ready() on every shard, where there is one. stop(): S::drain() on every
// shard, then S::stop() on every shard, while calls are still served; then new calls are refused, those being served are
// waited for, background work is ended (supervised.hh), and the instances are destroyed. The hooks are public members
// without parameters that return future<>; they run in no caller's context.
// Limits: at its limit, a hook's waits end with `deadline_exceeded`, and the phase goes on when it has ended; calls still being
// served `stop_within` after new ones were refused are cancelled with `unavailable`. Code that never waits, or ignores it, is waited for
// all the same: nothing is destroyed under it.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include <atoll/sharding/call.hh>
#include <atoll/sharding/service_class.hh>
#include <atoll/sharding/service_core.hh>
#include <atoll/sharding/supervised.hh>

namespace atoll_root::atoll {

enum class service_change : std::uint8_t {
  started,    // on all its shards
  failed,     // an instance: it is retired
  restarted,  // an instance, after it failed
  gave_up,    // an instance failed too often: it is not made again
  stopping,   // on all its shards
  stopped,    // the same
};
std::string_view to_string(service_change change) noexcept;

struct service_event {
  std::string_view service;
  service_change what;
  shard_id shard = 0;          // of an instance; else 0
  const error* why = nullptr;  // of failed and gave_up; valid while the event is told
};

/// How a service lives; no_timeout: as long as it takes.
struct life_options {
  duration ready_within = no_timeout;  // S::ready() on a shard
  duration drain_within = no_timeout;  // S::drain()
  duration stop_within = no_timeout;   // S::stop(), and then again the calls being served
  /// Told of each change, in order, on the shard that started the service.
  std::function<void(const service_event&)> on_event{};
};

/// Internal to atoll: sharded, singleton and keyed have one while they run. Shard rules: that of the start, but for what says so.
class service_life final : public stoppable, public std::enable_shared_from_this<service_life> {
 public:
  /// `make`: makes the instance of the shard that calls it, and opens the core there; copied for each.
  service_life(service_core& core, const service_class& of, life_options options, std::vector<shard_id> shards,
               std::function<void()> make);
  service_life(const service_life&) = delete;
  service_life& operator=(const service_life&) = delete;
  ~service_life() = default;

  // The life is kept until the future is ready.
  static future<> start(std::shared_ptr<service_life> self);
  static future<> drain(std::shared_ptr<service_life> self);
  /// Drains where that wasn't done, or waits for one under way; begins when a start under way has ended. Every phase is gone
  /// through; the first failure is the result. While it stops, another one waits until it has, and has the same result.
  static future<> stop(std::shared_ptr<service_life> self);

  /// The same, for the runtime.
  future<> stop_everywhere() override { return stop(shared_from_this()); }

  /// False where start() failed before it did anything.
  [[nodiscard]] bool start_has_begun() const noexcept { return start_has_begun_; }
  /// False also where stop() failed before it did anything.
  [[nodiscard]] bool has_stopped() const noexcept { return stopped_.is_set(); }
  /// Nobody is told any more: who was to be may have gone.
  void forget_listener() noexcept { on_event_ = nullptr; }

 private:
  static future<> start_and_tell(std::shared_ptr<service_life> self);
  static future<> stop_and_tell(std::shared_ptr<service_life> self);
  future<> start_in_phases();
  future<> drain_once();
  future<> stop_in_phases();
  /// `begun`: set unless there was no memory to begin with.
  future<> tell_everywhere(service_class::hook hook, duration limit, bool& begun);

  future<> supervise(shard_id shard);
  /// Waits until the shard's instance fails; the reason. Nothing where the service stops.
  future<std::optional<error>> failure_of(shard_id shard);
  void tell(service_change what, shard_id shard = 0, const error* why = nullptr) noexcept;

  // On any shard.
  /// `begun`, where given, is set when the hook was called, or had not to be; where it is set, nothing is called.
  future<> call_hook(service_class::hook hook, duration limit, bool* begun = nullptr) const;
  /// `failed`: its calls are ended at once, and it is told to stop.
  static future<> destroy_here(const service_life& self, bool failed);

  service_core& core_;
  const service_class& class_;
  life_options options_;
  std::vector<shard_id> shards_;
  std::function<void()> make_;
  scope supervisors_;
  std::shared_ptr<const std::function<void(const service_event&)>> on_event_;
  bool drain_has_begun_ = false;
  bool start_has_begun_ = false;
  bool stop_has_begun_ = false;
  std::optional<error> stop_failed_;
  event start_ended_{"start of a service"};
  event drained_{"drain of a service"};
  event stopped_{"stop of a service"};
};

}  // namespace atoll_root::atoll
