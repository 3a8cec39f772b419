// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// io_backend of a simulated shard: its sockets are the simulated network's, its signals the world's. Internal to the
// simulation.
#pragma once

#include <functional>
#include <vector>

#include <atoll/actors/io/io_backend.hh>
#include <atoll/simulation/network.hh>

namespace atoll_root::atoll::sim {

class backend final : public io_backend, public socket_owner {
 public:
  /// `wake`: the shard has something to look at.
  backend(network& net, host_id host, std::function<void()> wake);
  backend(const backend&) = delete;
  backend& operator=(const backend&) = delete;
  ~backend() override;

  result<std::unique_ptr<tcp_listener>> listen(const socket_address& address, const listen_options& options) override;
  future<std::unique_ptr<tcp_stream>> connect(const socket_address& address) override;
  std::unique_ptr<tcp_stream> attach(native_socket socket) override;
  future<int> next_signal(std::span<const int> signals) override;
  bool poll() noexcept override;
  bool wait(time_point deadline) noexcept override;
  void give_way() noexcept override {}
  void interrupt() noexcept override { wake_(); }

  /// A socket that was detached and that nobody attached: it is closed.
  void drop(int parked) noexcept;
  /// The process gets a signal: whoever waits for it here sees it in the shard's next turn.
  void deliver(int signal);

  void has_ready(std::shared_ptr<endpoint> e) override;
  void has_ready(std::shared_ptr<acceptor> a) override;
  void has_ready(std::shared_ptr<pending_connection> p) override;

 private:
  network& net_;
  host_id host_;
  std::function<void()> wake_;
  std::vector<std::shared_ptr<endpoint>> endpoints_;
  std::vector<std::shared_ptr<acceptor>> acceptors_;
  std::vector<std::shared_ptr<pending_connection>> connections_;
  std::vector<int> signals_;  // that came and nobody took
  bool signal_came_ = false;
  detail::wait_queue<void> signal_waits_{"wait for a signal", {}};
};

}  // namespace atoll_root::atoll::sim
