// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The order in which the parts of an application start and stop. Internal to atoll; users have application.
//
// They live until the last of what is under way has ended: whoever has the application may let go of it at any time.
// Each phase runs one operation for each part, as soon as those for the parts before it are done; in a start those are
// the parts that it needs, else those that need it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/sharding/service_life.hh>

namespace atoll_root::atoll {

/// A part that is no service, for application.
struct started_part {
  /// `begin` is bounded by ready_within; where it fails, the part is stopped.
  static future<> start(started_part& self, life_options options, std::function<future<>()> begin);
  static future<> stop_and_tell(started_part& self);

  std::string_view name;
  std::function<future<>()> stop{};
  bool runs = false;

 private:
  static constexpr int stops_max = 100;
  void tell(service_change what) const noexcept;
  life_options options_;
};

/// How the parts of an application live.
struct application_options {
  duration ready_within = std::chrono::seconds(60);  // as of life_options, for each part
  duration drain_within = std::chrono::seconds(10);
  duration stop_within = std::chrono::seconds(10);
  /// Told of each change of a part, on the application's shard, while the application is there.
  std::function<void(const service_event&)> on_event{};
};

class application_phases {
 public:
  struct part {
    std::string_view name;
    std::vector<std::size_t> needs{};  // by number, in the order added
    std::function<future<>(life_options)> start;
    std::function<future<>()> drain;
    std::function<future<>()> stop;
    std::function<bool()> runs;
  };

  void add(part p) { parts_.push_back(std::move(p)); }

  /// Keeps the phases, and all that their parts refer to.
  using kept = std::shared_ptr<application_phases>;
  static future<> start(kept self, application_options options);
  static future<> stop(kept self);
  static future<> run(kept self, application_options options);
  static future<> failure(kept self);
  /// Nobody has them any more: what starts is stopped, and what waits for the end told.
  void drop() noexcept;

 private:
  enum class state : std::uint8_t { idle, starting, started, stopping };
  class phase;

  /// False where it runs.
  bool prepare();
  static error is_started();
  static future<> launch(kept self, application_options options);
  static future<> stop_at_signal(kept self);
  static future<> start_in_order(kept self, application_options options);
  static future<> stop_in_order(kept self);
  static future<> stop_surely(part& p);
  void on_event(const service_event& event);
  /// All are stopped.
  void settle() noexcept;

  std::vector<part> parts_;
  state state_ = state::idle;
  bool asked_to_stop_ = false;
  std::shared_ptr<const std::function<void(const service_event&)>> on_event_;  // null: nobody is told, or not any more
  std::optional<error> gave_up_;
  event end_{"end of an application"};       // a part gave up, or it stops
  event settled_{"stop of an application"};  // nothing of it runs any more
};

}  // namespace atoll_root::atoll
