// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// connection: frames over a TCP stream, for both sides of the RPC.
//
//   auto c = std::make_shared<rpc::connection>(rpc::connection::role::calls, 30s);
//   put_frame(c->out(), ...);  c->flush_soon();                  // what is put in one pass of the loop goes out as one
//   co_await c->run(std::move(stream), "", handler);              // reads until the connection ends
//
// Shard rules: one shard's. Frames put before run() go out when the stream is there.
// Bounds: a frame's body is `frame_bytes_max`; the input buffer grows with the bytes that came, never with a length
// that was only claimed; a frame begun has `frame_timeout` to arrive. For what a peer does not read see unsent_bytes_*.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <atoll/actors/io/io_backend.hh>
#include <atoll/actors/reactor/timer_queue.hh>
#include <atoll/rpc/frame.hh>
#include <atoll/rpc/rpc_metrics.hh>

namespace atoll_root::atoll::rpc {

class connection : public std::enable_shared_from_this<connection> {
 public:
  /// Handles one frame, whose body is valid during the call only. An error ends the connection.
  using handler = std::function<std::optional<error>(const frame&)>;

  /// Above so many unsent bytes a side that serves stops reading: who doesn't take replies sends no more calls.
  static constexpr std::size_t unsent_bytes_pause = 4U << 20;
  /// At so many unsent bytes the connection ends.
  static constexpr std::size_t unsent_bytes_max = 128U << 20;

  enum class role : std::uint8_t { calls, serves };

  /// `frame_timeout`: how long a frame may take from its first byte to its last.
  connection(role r, duration frame_timeout, std::shared_ptr<rpc_counts> counts) noexcept
      : role_(r), stall_(*this), frame_timeout_(frame_timeout), counts_(std::move(counts)) {}

  [[nodiscard]] std::string& out() noexcept { return out_; }
  /// Sends what is in out(), at the end of this pass of the loop.
  void flush_soon();

  /// Reads frames until the connection ends, for a reason that reason() then gives. Never fails.
  /// `received` is what was read of the stream before.
  future<> run(std::unique_ptr<tcp_stream> stream, std::string received, handler on_frame);

  [[nodiscard]] std::size_t unsent_bytes() const noexcept { return out_.size() + sending_.size(); }

  /// Waits until everything put so far is sent, or the connection has ended.
  future<> flushed();

  /// Ends the connection with this reason. Idempotent.
  void close(error why) noexcept;

  [[nodiscard]] bool closed() const noexcept { return closed_.has_value(); }
  /// Why the connection ended: `unavailable` where the peer closed it. REQUIRES: closed().
  [[nodiscard]] const error& reason() const noexcept { return *closed_; }

 private:
  struct stall_timer final : timer_node {
    explicit stall_timer(connection& c) noexcept : timer_node(&fire), self(c) {}
    static void fire(timer_node* t) noexcept;
    connection& self;
  };

  future<> send_out();
  /// Tells the peer why, then closes.
  future<> end_with(error why);
  /// Consumes the complete frames of in_.
  std::optional<error> take_frames(const handler& on_frame);
  /// Makes room to read; more than `in_bytes_least` only for a frame whose bytes keep coming.
  void make_room();

  role role_;
  std::unique_ptr<tcp_stream> stream_;
  std::string in_;
  std::size_t in_begin_ = 0;  // the first unconsumed byte
  std::size_t in_end_ = 0;    // past the last byte read
  std::string out_;
  std::string sending_;
  bool sender_runs_ = false;
  std::vector<promise<>> flush_waiters_;
  std::optional<error> closed_;
  stall_timer stall_;
  duration frame_timeout_;
  std::shared_ptr<rpc_counts> counts_;
};

}  // namespace atoll_root::atoll::rpc
