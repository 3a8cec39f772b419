// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// server: one shard's side of serving calls from other nodes. Internal to atoll; users have `cluster`.
//
// Shard 0 listens and shakes hands: preface and hello, within `hello_timeout`. The connection then moves to the
// shard it asked for, which from there on reads, decodes, runs and answers its calls without another hop.
// A peer that sends anything else than a hello is closed before more than `hello_bytes_max` are buffered.
// Bounds: `handshakes_max` connections in the handshake, `sessions_max` a shard, `calls_in_flight_max` and `request_bytes_max` a connection; a
// call above them fails with `resource_exhausted`.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>

#include <atoll/actors/sync/scope.hh>
#include <atoll/rpc/binding.hh>
#include <atoll/rpc/connection.hh>

namespace atoll_root::atoll::rpc {

struct server_options {
  std::string cluster;
  std::uint32_t node = 0;
  duration hello_timeout = std::chrono::seconds(5);
  duration frame_timeout = std::chrono::seconds(30);
  duration drain_timeout = std::chrono::seconds(5);  // how long stop() waits for calls being served
  std::shared_ptr<rpc_counts> counts = std::make_shared<rpc_counts>();
};

class server {
 public:
  static constexpr std::size_t handshakes_max = 1024;
  static constexpr std::size_t sessions_max = 4096;
  static constexpr std::size_t hello_bytes_max = 4096;
  static constexpr std::uint32_t calls_in_flight_max = 8192;
  static constexpr std::size_t request_bytes_max = 64U << 20;

  /// Moves a connection that has shaken hands to its shard; some shard's adopt() takes it there.
  using hand_over_function = std::function<future<>(shard_id, native_socket, std::string received)>;

  server(server_options options, hand_over_function hand_over);
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  ~server();

  /// Makes a service callable on this shard; `already_exists` where one of the name is.
  result<void> add(std::shared_ptr<const service_binding> service);

  /// Shard 0: accepts on this listener until stop().
  void listen(std::unique_ptr<tcp_listener> listener);

  /// Serves a connection that has shaken hands, on this shard.
  void adopt(native_socket socket, std::string received);

  /// Says goaway, waits for the calls being served, closes all connections.
  future<> stop();

  [[nodiscard]] std::size_t connections() const noexcept { return sessions_.size(); }

 private:
  class session;

  future<> accept_connections();
  future<> shake_hands(std::unique_ptr<tcp_stream> stream);
  future<> serve(std::shared_ptr<session> s, std::unique_ptr<tcp_stream> stream, std::string received);
  void log_refusal(const std::string& peer, const error& why);

  server_options options_;
  hand_over_function hand_over_;
  std::map<std::string, std::shared_ptr<const service_binding>, std::less<>> services_;
  std::unique_ptr<tcp_listener> listener_;
  std::list<std::shared_ptr<session>> sessions_;
  std::list<tcp_stream*> handshakes_;
  scope background_{"rpc server"};
  time_point next_refusal_logged_{};
  std::uint64_t refusals_unlogged_ = 0;
  bool stopping_ = false;
};

}  // namespace atoll_root::atoll::rpc
