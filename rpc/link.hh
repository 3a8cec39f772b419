// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// link: one shard's connection to one shard of another node, for calling. Internal to atoll; users have remote_ref.
//
// It connects when it is first needed, and again when it was lost. Calls made while it connects are kept and go out
// in order when it is up, those that expired meanwhile excepted. After a failed attempt calls fail at once with `unavailable` until the back-off is over: it
// doubles from `backoff_least` to `backoff_most`, each time between half and all of it (so that peers don't come in
// step). When the connection breaks, its calls fail at once with `unavailable`; whether they were
// carried out is then unknown.
// Shard rules: one shard's.
// Bounds: `calls_in_flight_max` calls of depth 0 (see outbox.hh for why the others pass); more wait in order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/rpc/connection.hh>

namespace atoll_root::atoll::rpc {

struct link_options {
  std::string cluster;
  std::uint32_t from_node = 0;
  std::uint32_t to_node = 0;
  shard_id to_shard = 0;
  socket_address address;
  duration connect_timeout = std::chrono::seconds(3);  // to the peer's welcome
  duration frame_timeout = std::chrono::seconds(30);
  duration backoff_least = std::chrono::milliseconds(50);
  duration backoff_most = std::chrono::seconds(2);
  std::shared_ptr<rpc_counts> counts = std::make_shared<rpc_counts>();
};

/// What a link needs to know of a method; one object a method, kept for the life of the process.
struct remote_method {
  std::string_view service;
  std::string_view name;
  std::uint64_t fingerprint;
};

class link : public std::enable_shared_from_this<link> {
 public:
  static constexpr std::uint32_t calls_in_flight_max = 4096;

  explicit link(link_options options);
  link(const link&) = delete;
  link& operator=(const link&) = delete;
  ~link();

  /// Calls a method; the reply's bytes. REQUIRES: deadline is not `never`.
  future<std::string> call(const remote_method& method, std::uint64_t key_hash, std::string request,
                           time_point deadline);

  /// Connects if needed; ready with the peer's number of shards when the link is up.
  future<shard_id> connected();
  [[nodiscard]] bool up() const noexcept { return state_ == state::up; }
  /// Ready when the link is not up any more; last_failure() says why.
  future<> lost();
  [[nodiscard]] const error& last_failure() const noexcept { return last_failure_; }
  /// How long until an attempt to connect is allowed.
  [[nodiscard]] duration backoff_left() const noexcept;

  /// Ends the connection and refuses further calls.
  future<> stop();

 private:
  enum class state : std::uint8_t { idle, connecting, up, stopped };
  struct turn;
  struct pending_call;
  class welcome_timer;

  /// The call is under way: now, or when the link is up. The failure where it can't be.
  std::optional<error> place(pending_call& call) noexcept;
  void place_waiting() noexcept;
  /// calls_in_flight_max, but in simulated worlds.
  static std::uint32_t in_flight_max() noexcept;
  [[nodiscard]] std::optional<error> put_call(pending_call& call) noexcept;
  void write_call(pending_call& call);
  [[nodiscard]] std::optional<error> refusal() const;
  void connect_if_idle();
  future<> run();
  std::optional<error> on_frame(const frame& f);
  void finish(std::uint64_t call_id, result<std::string> outcome);
  /// Its place, where it had one, is for the next.
  void forget(pending_call& call) noexcept;
  /// The same, without a look at who waits.
  void drop(pending_call& call) noexcept;
  void connection_ended(const error& why);

  link_options options_;
  state state_ = state::idle;
  bool goaway_ = false;
  std::shared_ptr<connection> connection_;
  shard_id peer_shards_ = 0;
  std::unordered_map<const remote_method*, std::uint32_t> method_ids_;  // of this connection
  std::uint32_t method_ids_told_ = 0;                                   // the peer knows the first so many
  intrusive_list<turn> unsent_;                                         // calls made while connecting
  intrusive_list<turn> waiting_;                                        // calls without a place
  std::vector<pending_call*> calls_;                                    // all of them, by the low half of the call id
  std::vector<std::uint32_t> free_slots_;
  std::uint32_t generation_ = 0;  // the high half: a late reply finds no call
  std::uint32_t in_flight_ = 0;   // calls that have a place
  condition_variable changed_;
  error last_failure_{status_code::unavailable, "never connected"};
  duration backoff_{};
  time_point retry_at_{};
  scope background_{"rpc link"};
};

}  // namespace atoll_root::atoll::rpc
