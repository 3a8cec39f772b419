// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The network of a simulated world: hosts, the ways between them, and the TCP connections that go there.
//
// What a connection promises is TCP's: bytes in order, none lost or doubled while it lives. All else is chance: where the stream is
// cut into pieces, when each arrives, how much fits between writer and reader, and which of two connections is faster.
// A way may be cut (nothing that goes there arrives, the other direction goes on) or clogged until some time. A connection
// whose way is cut in either direction resends when that is mended; one that stays cut for `gone_after` ends at both of its sides,
// each in its own time. The death of a host is told to its peers (its process was killed), or not (its power failed).
// Errors are those of the kernel's sockets: error::from_errno with the same words.
// Rules: all in the world's thread. What happens at a socket wakes its shard, and is seen in that shard's next turn.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <atoll/actors/io/io_backend.hh>
#include <atoll/actors/sync/wait_queue.hh>
#include <atoll/simulation/engine.hh>

namespace atoll_root::atoll::sim {

using host_id = std::uint32_t;

/// How the network behaves where nothing is broken.
struct network_options {
  duration latency_min = std::chrono::microseconds(100);
  duration latency_max = std::chrono::microseconds(800);
  double slow_probability = 0.001;  // of a piece to take up to slow_max
  duration slow_max = std::chrono::milliseconds(100);
  duration pair_latency_max = std::chrono::microseconds(500);  // what a pair of hosts has always, more
  std::uint32_t window_min = 1024;                             // bytes on their way and unread, of a direction
  std::uint32_t window_max = 1U << 20U;
  double reset_probability = 0;  // of a piece to break its connection
};

/// How a host's sockets go.
enum class host_end : std::uint8_t { told, silent };

class network;
class socket_owner;

/// One side of a connection. Shared by the network, the stream, and who waits for it.
struct endpoint {
  using waiter = detail::wait_queue<void>;

  endpoint(host_id on, host_id its_peer, std::uint64_t its_connection)
      : host(on), peer_host(its_peer), connection(its_connection) {}

  host_id host;
  host_id peer_host;
  std::uint64_t connection;
  socket_owner* owner = nullptr;  // the shard it belongs to; null: closed, dead, or on its way between two shards
  bool dead = false;              // its process is: nobody reads here any more, and its kernel ends it
  bool forgotten = false;         // its host is: nobody knows of it any more
  std::weak_ptr<endpoint> peer;
  socket_address peer_address{};

  // Of what comes in.
  std::string arrived{};
  std::size_t taken = 0;          // of arrived
  std::uint64_t bytes_taken = 0;  // since the beginning
  bool ended = false;             // after what has arrived
  int broken = 0;                 // errno; 0: it is not. What it had sent and is not there yet never comes
  bool reported = false;          // somebody was told of that
  bool closed = false;            // by this side
  bool shut = false;              // in both directions, by this side
  // Of what goes out.
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_peer_took = 0;  // as far as is known here
  std::uint64_t window = 0;
  time_point last_arrival{};
  std::deque<std::pair<std::string, bool>> held{};  // pieces, and the end, while the way is cut
  bool end_sent = false;
  bool answer_lost = false;  // the peer does not know how far this side has read

  waiter reader{"socket read", {}};
  waiter writer{"socket write", {}};
  bool listed = false;  // among its owner's ready ones

  [[nodiscard]] bool readable() const noexcept { return taken < arrived.size() || ended || broken != 0 || closed; }
  [[nodiscard]] bool writable() const noexcept {
    return bytes_sent - bytes_peer_took < window || broken != 0 || closed || end_sent;
  }
};

/// One that listens.
struct acceptor {
  using waiter = detail::wait_queue<void>;
  host_id host = 0;
  socket_owner* owner = nullptr;
  socket_address address{};
  std::size_t backlog = 0;
  std::deque<std::shared_ptr<endpoint>> come{};
  bool closed = false;
  bool listed = false;
  waiter wait{"socket read", {}};
};

/// A connection that is being made, for who waits for it.
struct pending_connection {
  using waiter = detail::wait_queue<void>;
  host_id host = 0;
  socket_owner* owner = nullptr;
  std::shared_ptr<endpoint> made{};
  int failed = 0;
  bool done = false;
  waiter wait{"socket write", {}};
};

/// A shard, as the network sees it: whom it tells that something is there.
class socket_owner {
 public:
  virtual void has_ready(std::shared_ptr<endpoint> e) = 0;
  virtual void has_ready(std::shared_ptr<acceptor> a) = 0;
  virtual void has_ready(std::shared_ptr<pending_connection> p) = 0;

 protected:
  ~socket_owner() = default;
};

class network {
 public:
  static constexpr duration gone_after_min = std::chrono::seconds(14);
  static constexpr duration gone_after_max = std::chrono::seconds(16);
  static constexpr duration connect_gives_up_after = std::chrono::seconds(127);

  network(engine& world, const network_options& options);
  network(const network&) = delete;
  network& operator=(const network&) = delete;

  host_id add_host(const std::string& address);
  /// The host is up; its process may make sockets.
  void up(host_id h) noexcept { hosts_[h].state = host::state::up; }
  /// All its sockets end.
  void down(host_id h, host_end how);
  /// Where it was down without a word: it is there again, and answers what comes for sockets of before with resets.
  void is_back(host_id h);

  // Faults.
  void cut(host_id from, host_id to);
  void mend(host_id from, host_id to);
  [[nodiscard]] bool is_cut(host_id from, host_id to) const { return way(from, to).cut; }
  void clog(host_id from, host_id to, time_point until);
  /// Breaks one connection between the two, if there is one: a's side sees it at once, the other is told.
  bool break_one(host_id a, host_id b);
  /// The same, where chance says which side sees it first, and whether the other is told or finds out by itself.
  void break_some(host_id a, host_id b);
  /// All ways are as at the beginning, and random breaks are over, but that who has half a connection may yet find out.
  void heal();
  [[nodiscard]] network_options& options() noexcept { return options_; }

  // For the sockets of a host.
  result<std::shared_ptr<acceptor>> listen(host_id on, socket_owner& owner, const socket_address& address,
                                           std::size_t backlog);
  void close(acceptor& a);
  /// The outcome comes to the owner. Nothing where the address can't be: invalid.
  std::shared_ptr<pending_connection> connect(host_id from, socket_owner& owner, const socket_address& to);
  /// Sends a piece from the front of these bytes as far as there is room now; how many. REQUIRES: writable, not broken or closed.
  std::size_t send(const std::shared_ptr<endpoint>& e, std::string_view bytes);
  /// The reader took some: the writer may have room again.
  void took(const std::shared_ptr<endpoint>& e, std::size_t bytes);
  /// No more is sent; the peer sees the end after what was.
  void send_end(const std::shared_ptr<endpoint>& e);
  void close(const std::shared_ptr<endpoint>& e);
  /// Both directions end: its own reader sees the end, too.
  void shut(const std::shared_ptr<endpoint>& e);
  /// Of n things as many as come at once: 1 to n, mostly all.
  std::size_t some_of(std::size_t n) { return n > 1 && draws_.happens(0.1) ? draws_.between(1, n) : n; }

  /// For sockets between two shards: a number for each.
  int park(std::shared_ptr<endpoint> e);
  std::shared_ptr<endpoint> unpark(int number);

 private:
  struct host {
    enum class state : std::uint8_t { up, no_process, silent };
    std::string address;
    host::state state = state::no_process;
    std::multimap<std::uint16_t, std::weak_ptr<acceptor>> ports;
    std::uint16_t next_port = 32768;
  };
  struct direction {
    duration latency{};
    bool cut = false;
    time_point clogged_until{};
    time_point unreachable_since = never;  // of the pair; the same in both directions
  };

  [[nodiscard]] direction& way(host_id from, host_id to) { return ways_[from * hosts_max + to]; }
  [[nodiscard]] const direction& way(host_id from, host_id to) const { return ways_[from * hosts_max + to]; }
  [[nodiscard]] bool unreachable(host_id a, host_id b) const {
    return is_cut(a, b) || is_cut(b, a) || hosts_[a].state == host::state::silent ||
           hosts_[b].state == host::state::silent;
  }
  /// Nothing arrives now that goes there.
  [[nodiscard]] bool is_blocked(host_id from, host_id to) const {
    return way(from, to).cut || way(from, to).clogged_until > world_.now();
  }
  [[nodiscard]] bool is_silent(host_id h) const { return hosts_[h].state == host::state::silent; }
  std::optional<host_id> find(host_id from, const std::string& address) const;
  std::shared_ptr<acceptor> listening(host_id from, host_id to, const socket_address& address);
  void sweep();
  duration latency(host_id from, host_id to);
  time_point arrival(endpoint& from, host_id to);
  void travel(const std::shared_ptr<endpoint>& from, std::string piece, bool end);
  void arrive(const std::shared_ptr<endpoint>& from, std::string piece, bool end);
  void answer(const std::shared_ptr<endpoint>& reader);
  /// Tells the peer that the connection is no more.
  void reset_peer(const std::shared_ptr<endpoint>& e);
  void send_reset(host_id from, const std::shared_ptr<endpoint>& to);
  void break_here(const std::shared_ptr<endpoint>& e, int why);
  void break_by_chance(const std::shared_ptr<endpoint>& side);
  /// A side of a connection that a has open with b; null: there is none.
  std::shared_ptr<endpoint> some_open_side(host_id a, host_id b);
  /// One whose peer has gone finds out, some time.
  void probe(const std::shared_ptr<endpoint>& e);
  void reachability_changed(host_id a, host_id b);
  void find_half_open(host_id a, host_id b);
  void resend(host_id a, host_id b, duration within);
  void begin_connection(const std::shared_ptr<pending_connection>& p, host_id from, host_id to,
                        const socket_address& address, duration waited);
  void answer_connection(const std::shared_ptr<pending_connection>& p, host_id from, host_id to, int failed,
                         duration waited);
  static void tell(const std::shared_ptr<endpoint>& e);
  template <class F>
  void for_each_between(host_id a, host_id b, F f);

  static constexpr host_id hosts_max = 64;

  engine& world_;
  network_options options_;
  chance draws_;
  std::vector<host> hosts_;
  std::vector<direction> ways_;
  std::vector<std::shared_ptr<endpoint>> endpoints_;  // of all connections, in the order made
  std::vector<std::weak_ptr<pending_connection>> pending_;
  std::size_t endpoints_swept_at_ = 64;
  std::map<int, std::shared_ptr<endpoint>> parked_;
  int next_number_ = 1;
  std::uint64_t connections_ = 0;
};

}  // namespace atoll_root::atoll::sim
