// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The seam between a shard and the kernel: sockets and the wait for them. Real shards have the epoll
// backend; the simulation puts a network of its own here. File descriptors never leave a backend, except as
// a `native_socket` on its way to another shard of the same process.
//
//   auto listener = this_shard().io->listen(address, {});          // result<unique_ptr<tcp_listener>>
//   std::unique_ptr<atoll::tcp_stream> peer = co_await (*listener)->accept();
//   std::size_t n = co_await peer->read_some(buffer);              // 0: the peer has finished sending
//   co_await peer->write_all(bytes);
//
// Shard rules: a stream or listener belongs to the shard whose backend made it.
// Errors: `unavailable` where the connection broke, was refused or was closed under a waiting operation;
// else the code for the errno.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include <atoll/actors/future/future.hh>
#include <atoll/actors/io/address.hh>
#include <atoll/actors/reactor/clock.hh>

namespace atoll_root::atoll {

/// A connected socket that belongs to no shard, on its way between two of them. Owned: closed if dropped.
class native_socket {
 public:
  using close_function = void(int descriptor) noexcept;

  /// A descriptor of the kernel's.
  explicit native_socket(int descriptor) noexcept : native_socket(descriptor, &close_descriptor) {}
  /// One of a backend that has its own.
  native_socket(int descriptor, close_function* close) noexcept : descriptor_(descriptor), close_(close) {}
  native_socket(native_socket&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), close_(other.close_) {}
  native_socket& operator=(native_socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(close_, other.close_);
    return *this;
  }
  ~native_socket() {
    if (descriptor_ >= 0) close_(descriptor_);
  }
  int release() noexcept { return std::exchange(descriptor_, -1); }

 private:
  static void close_descriptor(int descriptor) noexcept;

  int descriptor_;
  close_function* close_;
};

class tcp_stream {
 public:
  virtual ~tcp_stream() = default;  // closes

  /// Waits for bytes and reads at most buffer.size() of them; 0 at the end of the stream.
  /// One read at a time.
  virtual future<std::size_t> read_some(std::span<char> buffer) = 0;

  /// Writes everything; `bytes` must stay until the future is ready. One write at a time.
  virtual future<> write_all(std::string_view bytes) = 0;

  /// Ends the connection in both directions: waiting operations fail or see the end. Idempotent.
  virtual void shutdown() noexcept = 0;

  /// Takes the socket off this shard. REQUIRES: no operation waits.
  virtual native_socket detach() = 0;

  [[nodiscard]] virtual std::string peer() const = 0;
};

class tcp_listener {
 public:
  virtual ~tcp_listener() = default;  // closes
  /// Waits for the next connection. Running out of descriptors or memory is waited out, not an error.
  virtual future<std::unique_ptr<tcp_stream>> accept() = 0;
  /// Stops listening; a waiting accept() fails with `cancelled`.
  virtual void close() noexcept = 0;
  /// The address with the port the kernel chose where 0 was asked for.
  [[nodiscard]] virtual socket_address address() const = 0;
};

struct listen_options {
  int backlog = 1024;
};

class io_backend {
 public:
  virtual ~io_backend() = default;

  virtual result<std::unique_ptr<tcp_listener>> listen(const socket_address& address,
                                                       const listen_options& options) = 0;
  /// Ends by the deadline of the caller's context, with `deadline_exceeded`.
  virtual future<std::unique_ptr<tcp_stream>> connect(const socket_address& address) = 0;
  /// Makes a socket that another shard detached this shard's.
  virtual std::unique_ptr<tcp_stream> attach(native_socket socket) = 0;

  /// The next of these signals the process gets, or has got and nobody took; they must be blocked in every thread.
  /// Several waits may be under way; a signal that two of them want goes to one. Ends by the deadline of the caller's
  /// context, with `deadline_exceeded`.
  virtual future<int> next_signal(std::span<const int> signals) = 0;

  /// Schedules what is ready; true if anything was. Never blocks.
  virtual bool poll() noexcept = 0;
  /// Waits until something is ready, `deadline` passes or interrupt() is called. False where none of these happened: a
  /// signal handler ran.
  virtual bool wait(time_point deadline) noexcept = 0;
  /// Lets other threads have this processor for a while, if any want it.
  virtual void give_way() noexcept = 0;
  /// Ends the wait under way, or the next one. The one member that any thread may call.
  virtual void interrupt() noexcept = 0;
};

/// The backend for real shards on this machine; `unavailable` with the reason where the kernel refuses.
result<std::unique_ptr<io_backend>> make_epoll_backend();

}  // namespace atoll_root::atoll
