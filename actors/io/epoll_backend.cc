// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// io_backend over epoll. Every descriptor is registered once, edge-triggered for both directions; operations
// try the system call first and wait for an edge only after EAGAIN, so a ready socket costs no epoll_ctl.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/io/io_backend.hh>
#include <atoll/actors/sync/wait_queue.hh>

namespace atoll_root::atoll {

void native_socket::close_descriptor(int descriptor) noexcept { ::close(descriptor); }

namespace {

using std::chrono::milliseconds;

/// How long accept() waits for descriptors or memory to come free.
constexpr auto accept_retry_after = milliseconds(50);

/// A registered descriptor and who waits for it. Takes the socket once there is memory for all of it.
class descriptor {
 public:
  descriptor(int epoll, native_socket&& socket) : epoll_(epoll), fd_(socket.release()) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.ptr = this;
    registered_ = ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &event) == 0;
  }
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() { close(error(status_code::unavailable, "socket closed")); }

  /// Closes it; whoever waits for it fails with `why`. Idempotent.
  void close(const error& why) noexcept {
    const int fd = release();
    if (fd >= 0) ::close(fd);
    fail_waiters(why);
  }

  /// Negative once it is closed or released.
  [[nodiscard]] int fd() const noexcept { return fd_; }

  int release() noexcept {
    if (fd_ >= 0) ::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd_, nullptr);
    return std::exchange(fd_, -1);
  }

  /// The next edge in a direction; `resource_exhausted` where the kernel refused to watch the descriptor.
  /// REQUIRES: nobody waits for it.
  future<> readable() { return wait(reader_); }
  future<> writable() { return wait(writer_); }

  bool on_event(std::uint32_t events) noexcept {
    const bool broken = (events & (EPOLLHUP | EPOLLERR)) != 0;
    bool woke = false;
    if (broken || (events & (EPOLLIN | EPOLLRDHUP)) != 0) woke = wake(reader_);
    if (broken || (events & EPOLLOUT) != 0) woke = wake(writer_) || woke;
    return woke;
  }

  void fail_waiters(const error& e) noexcept {
    reader_.fail_all_with(e);
    writer_.fail_all_with(e);
  }

 private:
  using waiter = detail::wait_queue<void>;
  future<> wait(waiter& direction) const {
    if (!registered_) {
      return make_failed_future(error(status_code::resource_exhausted, "epoll can't watch a socket"));
    }
    ATOLL_ASSERT(direction.empty(), "one operation a direction at a time");
    return direction.wait();
  }
  static bool wake(waiter& direction) noexcept {
    if (direction.empty()) return false;
    direction.complete_first();
    return true;
  }

  int epoll_;
  int fd_;
  bool registered_;
  waiter reader_{"socket read", {}};
  waiter writer_{"socket write", {}};
};

/// sockaddr for an address that parse() made.
struct kernel_address {
  sockaddr_storage storage{};
  socklen_t length = 0;

  static result<kernel_address> from(const socket_address& address) {
    kernel_address k;
    auto* v4 = reinterpret_cast<sockaddr_in*>(&k.storage);
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&k.storage);
    if (::inet_pton(AF_INET, address.host.c_str(), &v4->sin_addr) == 1) {
      v4->sin_family = AF_INET;
      v4->sin_port = htons(address.port);
      k.length = sizeof(sockaddr_in);
    } else if (::inet_pton(AF_INET6, address.host.c_str(), &v6->sin6_addr) == 1) {
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(address.port);
      k.length = sizeof(sockaddr_in6);
    } else {
      return error(status_code::invalid_argument, "not a numeric address: " + address.host);
    }
    return k;
  }

  [[nodiscard]] socket_address to_address() const {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (storage.ss_family == AF_INET6) {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
      ::inet_ntop(AF_INET6, &v6->sin6_addr, text.data(), text.size());
      return {text.data(), ntohs(v6->sin6_port)};
    }
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(&storage);
    ::inet_ntop(AF_INET, &v4->sin_addr, text.data(), text.size());
    return {text.data(), ntohs(v4->sin_port)};
  }

  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
};

void set_option(int fd, int level, int option, int value) noexcept {
  // Refused options only cost speed or a later notice of a dead peer.
  ::setsockopt(fd, level, option, &value, sizeof value);
}

/// A peer that vanishes without a word is noticed within some 15 s.
void set_stream_options(int fd) noexcept {
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 3);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_option(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, 15'000);
}

error closed_here() { return {status_code::unavailable, "socket closed"}; }

// A coroutine that waits for a descriptor shares it: whoever destroys the stream meanwhile closes the descriptor, and the
// coroutine finds it closed when it runs again.
class epoll_stream final : public tcp_stream {
 public:
  epoll_stream(int epoll, native_socket&& socket)
      : descriptor_(std::make_shared<descriptor>(epoll, std::move(socket))) {
    ++this_shard().socket_streams;
  }
  epoll_stream(const epoll_stream&) = delete;
  epoll_stream& operator=(const epoll_stream&) = delete;
  ~epoll_stream() override { descriptor_->close(closed_here()); }

  future<std::size_t> read_some(std::span<char> buffer) override {
    const auto d = descriptor_;
    while (d->fd() >= 0) {
      const auto n = ::recv(d->fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n >= 0) {
        this_shard().socket_bytes_read += static_cast<std::uint64_t>(n);
        co_return static_cast<std::size_t>(n);
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) co_return error::from_errno(errno, "read");
      co_await or_fail(d->readable());
    }
    co_return closed_here();
  }

  future<> write_all(std::string_view bytes) override {
    const auto d = descriptor_;
    while (!bytes.empty()) {
      if (d->fd() < 0) co_await fail(closed_here());
      const auto n = ::send(d->fd(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n >= 0) {
        this_shard().socket_bytes_written += static_cast<std::uint64_t>(n);
        bytes.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno == EAGAIN) {
        co_await or_fail(d->writable());
      } else if (errno != EINTR) {
        co_await fail(error::from_errno(errno, "write"));
      }
    }
  }

  void shutdown() noexcept override {
    if (descriptor_->fd() >= 0) ::shutdown(descriptor_->fd(), SHUT_RDWR);
  }

  native_socket detach() override { return native_socket(descriptor_->release()); }

  [[nodiscard]] std::string peer() const override {
    kernel_address k;
    k.length = sizeof k.storage;
    if (::getpeername(descriptor_->fd(), k.get(), &k.length) != 0) return "(disconnected)";
    return k.to_address().to_string();
  }

 private:
  std::shared_ptr<descriptor> descriptor_;
};

/// Errors of accept() that concern the connection that came, not the listener: the next may be good.
bool concerns_one_connection(int number) noexcept {
  switch (number) {
    case EINTR:
    case ECONNABORTED:
    case EPROTO:
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

class epoll_listener final : public tcp_listener {
 public:
  epoll_listener(int epoll, native_socket&& socket, socket_address address)
      : epoll_(epoll),
        descriptor_(std::make_shared<descriptor>(epoll, std::move(socket))),
        address_(std::move(address)) {}
  epoll_listener(const epoll_listener&) = delete;
  epoll_listener& operator=(const epoll_listener&) = delete;
  ~epoll_listener() override { close(); }

  future<std::unique_ptr<tcp_stream>> accept() override {
    const auto d = descriptor_;
    const auto name = address_.to_string();
    const int epoll = epoll_;
    while (d->fd() >= 0) {
      const int fd = ::accept4(d->fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        native_socket socket(fd);
        set_stream_options(fd);
        co_return std::make_unique<epoll_stream>(epoll, std::move(socket));
      }
      if (errno == EAGAIN) {
        co_await or_fail(d->readable());
      } else if (!concerns_one_connection(errno)) {
        // No descriptors, no memory, or something that a pause may mend; never a loop without one.
        log_warning("accept on {}: {}; trying again in {} ms", name, std::strerror(errno), accept_retry_after.count());
        co_await sleep(accept_retry_after);
      }
    }
    co_return error(status_code::cancelled, "listener closed");
  }

  void close() noexcept override { descriptor_->close(error(status_code::cancelled, "listener closed")); }

  [[nodiscard]] socket_address address() const override { return address_; }

 private:
  int epoll_;
  std::shared_ptr<descriptor> descriptor_;
  socket_address address_;
};

class epoll_backend final : public io_backend {
 public:
  epoll_backend(int epoll, int wake) noexcept : epoll_(epoll), wake_(wake) {}
  epoll_backend(const epoll_backend&) = delete;
  epoll_backend& operator=(const epoll_backend&) = delete;
  ~epoll_backend() override {
    for (const auto& wait : signals_) {
      if (const auto d = wait.lock()) d->close(closed_here());
    }
    ::close(wake_);
    ::close(epoll_);
  }

  result<std::unique_ptr<tcp_listener>> listen(const socket_address& address, const listen_options& options) override {
    auto k = kernel_address::from(address);
    if (!k) return std::move(k).error();
    const auto what = "listen on " + address.to_string();
    const int fd = ::socket(k->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return error::from_errno(errno, what);
    native_socket socket(fd);
    set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (::bind(fd, k->get(), k->length) != 0 || ::listen(fd, options.backlog) != 0 ||
        ::getsockname(fd, k->get(), &k->length) != 0) {
      return error::from_errno(errno, what);
    }
    return std::unique_ptr<tcp_listener>(std::make_unique<epoll_listener>(epoll_, std::move(socket), k->to_address()));
  }

  future<std::unique_ptr<tcp_stream>> connect(const socket_address& wanted) override {
    const socket_address address = wanted;  // the parameter may be gone after the first suspension
    auto k = kernel_address::from(address);
    if (!k) co_return std::move(k).error();
    const auto what = "connect to " + address.to_string();
    const int fd = ::socket(k->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) co_return error::from_errno(errno, what);
    native_socket socket(fd);
    set_stream_options(fd);
    if (::connect(fd, k->get(), k->length) != 0) {
      if (errno != EINPROGRESS) co_return error::from_errno(errno, what);
      // Watched only from here on: a socket that is not yet connecting counts as hung up.
      descriptor pending(epoll_, std::move(socket));
      const auto waited = co_await as_result(pending.writable());
      socket = native_socket(pending.release());
      if (!waited) co_return detail::wait_failed(waited.error(), what);
      int failure = 0;
      socklen_t length = sizeof failure;
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &length);
      if (failure != 0) co_return error::from_errno(failure, what);
    }
    co_return attach(std::move(socket));
  }

  std::unique_ptr<tcp_stream> attach(native_socket socket) override {
    return std::make_unique<epoll_stream>(epoll_, std::move(socket));
  }

  future<int> next_signal(std::span<const int> signals) override {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int signal : signals) ::sigaddset(&set, signal);
    const int fd = ::signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) co_return error::from_errno(errno, "signalfd");
    native_socket owner(fd);
    // A descriptor a wait, so that waits don't disturb each other; the backend closes what is left at its end.
    const auto d = std::make_shared<descriptor>(epoll_, std::move(owner));
    std::erase_if(signals_, [](const auto& wait) { return wait.expired(); });
    signals_.push_back(d);
    const std::string what = "wait for a signal";
    while (d->fd() >= 0) {
      signalfd_siginfo info{};
      if (::read(d->fd(), &info, sizeof info) == sizeof info) co_return static_cast<int>(info.ssi_signo);
      if (errno != EAGAIN && errno != EINTR) co_return error::from_errno(errno, what);
      if (errno != EAGAIN) continue;
      const auto waited = co_await as_result(d->readable());
      if (!waited) co_return detail::wait_failed(waited.error(), what);
    }
    co_return closed_here();
  }

  bool poll() noexcept override { return collect(duration(0)).woke; }

  bool wait(time_point deadline) noexcept override {
    if (deadline == never) return !collect(std::nullopt).interrupted;
    return !collect(std::clamp(deadline - mono_now(), duration(0), duration(std::chrono::hours(1)))).interrupted;
  }

  void give_way() noexcept override { ::sched_yield(); }
  void interrupt() noexcept override {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_, &one, sizeof one);
  }

 private:
  /// To the nanosecond where the kernel can (5.11), else rounded up: a loop would spin through the last millisecond.
  int wait_for_events(std::span<epoll_event> events, std::optional<duration> longest) noexcept {
    const auto count = static_cast<int>(events.size());
    if (longest && *longest > duration(0) && has_pwait2_) {
      const timespec t{.tv_sec = longest->count() / 1'000'000'000, .tv_nsec = longest->count() % 1'000'000'000};
      const int n = ::epoll_pwait2(epoll_, events.data(), count, &t, nullptr);
      if (n >= 0 || (errno != ENOSYS && errno != EPERM)) return n;
      has_pwait2_ = false;
    }
    const auto ms = longest ? std::chrono::ceil<milliseconds>(*longest).count() : -1;
    return ::epoll_wait(epoll_, events.data(), count, static_cast<int>(ms));
  }

  struct collected {
    bool woke = false;         // somebody who waits for a descriptor
    bool interrupted = false;  // by a signal handler, with no event
  };
  collected collect(std::optional<duration> longest) noexcept {
    std::array<epoll_event, 256> events;  // NOLINT: the kernel fills it
    const int n = wait_for_events(events, longest);
    bool found = false;
    for (int i = 0; i < n; ++i) {
      const auto& event = events[static_cast<std::size_t>(i)];
      if (event.data.ptr == nullptr) {
        std::uint64_t count = 0;
        [[maybe_unused]] const auto drained = ::read(wake_, &count, sizeof count);
      } else {
        // Waking only schedules, so no descriptor of this batch can be destroyed meanwhile.
        found = static_cast<descriptor*>(event.data.ptr)->on_event(event.events) || found;
      }
    }
    return {.woke = found, .interrupted = n < 0};
  }

  int epoll_;
  int wake_;
  bool has_pwait2_ = true;
  std::vector<std::weak_ptr<descriptor>> signals_;  // a wait each; some may have ended
};

}  // namespace

result<std::unique_ptr<io_backend>> make_epoll_backend() {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  if (epoll < 0) return error::from_errno(errno, "epoll_create1");
  const int wake = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake < 0) {
    const auto e = error::from_errno(errno, "eventfd");
    ::close(epoll);
    return e;
  }
  auto backend = std::make_unique<epoll_backend>(epoll, wake);
  epoll_event event{};
  event.events = EPOLLIN;  // level-triggered, and recognised by its null pointer
  if (::epoll_ctl(epoll, EPOLL_CTL_ADD, wake, &event) != 0) return error::from_errno(errno, "epoll_ctl");
  return std::unique_ptr<io_backend>(std::move(backend));
}

}  // namespace atoll_root::atoll
