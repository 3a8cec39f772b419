// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The operations look as those of the kernel's backend do: they try, wait until there is something, and try again.
#include <atoll/simulation/backend.hh>

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

#include <atoll/actors/reactor/shard.hh>
#include <atoll/simulation/guard.hh>

namespace atoll_root::atoll::sim {
namespace {

error closed_here() { return {status_code::unavailable, "socket closed"}; }

bool is_numeric(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> parsed{};
  return ::inet_pton(AF_INET, host.c_str(), parsed.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), parsed.data()) == 1;
}

future<> next_edge(endpoint::waiter& direction) {
  ATOLL_ASSERT(direction.empty(), "one operation a direction at a time");
  return direction.wait();
}

class simulated_stream final : public tcp_stream {
 public:
  simulated_stream(network& net, socket_owner& owner, std::shared_ptr<endpoint> e)
      : net_(net), endpoint_(std::move(e)) {
    endpoint_->owner = &owner;
    ++this_shard().socket_streams;
  }
  simulated_stream(const simulated_stream&) = delete;
  simulated_stream& operator=(const simulated_stream&) = delete;
  ~simulated_stream() override {
    if (endpoint_ == nullptr) return;  // detached
    net_.close(endpoint_);
    endpoint_->reader.fail_all_with(closed_here());
    endpoint_->writer.fail_all_with(closed_here());
  }

  future<std::size_t> read_some(std::span<char> buffer) override {
    const auto e = endpoint_;
    auto& net = net_;
    while (e != nullptr && !e->closed) {
      if (const std::size_t there = e->arrived.size() - e->taken; there > 0) {
        const std::size_t n = net.some_of(std::min(there, buffer.size()));
        std::copy_n(e->arrived.data() + e->taken, n, buffer.data());
        net.took(e, n);
        this_shard().socket_bytes_read += n;
        co_return n;
      }
      if (e->broken != 0 && !std::exchange(e->reported, true)) co_return error::from_errno(e->broken, "read");
      if (e->ended || e->broken != 0) co_return std::size_t{0};
      co_await or_fail(next_edge(e->reader));
    }
    co_return closed_here();
  }

  future<> write_all(std::string_view bytes) override {
    const auto e = endpoint_;
    auto& net = net_;
    while (!bytes.empty()) {
      if (e == nullptr || e->closed) co_await fail(closed_here());
      if (e->broken != 0 && !std::exchange(e->reported, true)) co_await fail(error::from_errno(e->broken, "write"));
      if (e->end_sent || e->broken != 0) co_await fail(error::from_errno(EPIPE, "write"));
      if (!e->writable()) {
        co_await or_fail(next_edge(e->writer));
        continue;
      }
      const std::size_t n = net.send(e, bytes);
      this_shard().socket_bytes_written += n;
      bytes.remove_prefix(n);
    }
  }

  void shutdown() noexcept override {
    if (endpoint_ != nullptr) net_.shut(endpoint_);
  }

  native_socket detach() override {
    const int number = net_.park(std::move(endpoint_));
    return {number, [](int parked) noexcept { static_cast<backend*>(this_shard().io)->drop(parked); }};
  }

  [[nodiscard]] std::string peer() const override {
    return endpoint_ == nullptr || endpoint_->broken != 0 || endpoint_->closed ? "(disconnected)"
                                                                               : endpoint_->peer_address.to_string();
  }

 private:
  network& net_;
  std::shared_ptr<endpoint> endpoint_;
};

class simulated_listener final : public tcp_listener {
 public:
  simulated_listener(network& net, socket_owner& owner, std::shared_ptr<acceptor> a)
      : net_(net), owner_(owner), acceptor_(std::move(a)) {}
  simulated_listener(const simulated_listener&) = delete;
  simulated_listener& operator=(const simulated_listener&) = delete;
  ~simulated_listener() override { close(); }

  future<std::unique_ptr<tcp_stream>> accept() override {
    const auto a = acceptor_;
    auto& net = net_;
    auto& owner = owner_;
    while (!a->closed) {
      if (!a->come.empty()) {
        auto e = std::move(a->come.front());
        a->come.pop_front();
        co_return std::make_unique<simulated_stream>(net, owner, std::move(e));
      }
      co_await or_fail(next_edge(a->wait));
    }
    co_return error(status_code::cancelled, "listener closed");
  }

  void close() noexcept override {
    net_.close(*acceptor_);
    acceptor_->wait.fail_all_with(error(status_code::cancelled, "listener closed"));
  }

  [[nodiscard]] socket_address address() const override { return acceptor_->address; }

 private:
  network& net_;
  socket_owner& owner_;
  std::shared_ptr<acceptor> acceptor_;
};

bool wake(endpoint::waiter& direction) {
  if (direction.empty()) return false;
  direction.complete_first();
  return true;
}

}  // namespace

backend::backend(network& net, host_id host, std::function<void()> wake)
    : net_(net), host_(host), wake_(std::move(wake)) {}
backend::~backend() = default;

result<std::unique_ptr<tcp_listener>> backend::listen(const socket_address& address, const listen_options& options) {
  if (!is_numeric(address.host)) return error(status_code::invalid_argument, "not a numeric address: " + address.host);
  auto a = net_.listen(host_, *this, address, static_cast<std::size_t>(std::max(options.backlog, 1)));
  if (!a) return std::move(a).error();
  return std::unique_ptr<tcp_listener>(std::make_unique<simulated_listener>(net_, *this, *std::move(a)));
}

future<std::unique_ptr<tcp_stream>> backend::connect(const socket_address& wanted) {
  const socket_address address = wanted;  // the parameter may be gone after the first suspension
  if (!is_numeric(address.host)) {
    co_return error(status_code::invalid_argument, "not a numeric address: " + address.host);
  }
  const auto what = "connect to " + address.to_string();
  const auto pending = net_.connect(host_, *this, address);
  while (!pending->done) {
    const auto waited = co_await as_result(next_edge(pending->wait));
    if (waited) continue;
    pending->owner = nullptr;
    if (pending->done && pending->made != nullptr) net_.close(pending->made);
    co_return detail::wait_failed(waited.error(), what);
  }
  if (pending->failed != 0) co_return error::from_errno(pending->failed, what);
  co_return std::make_unique<simulated_stream>(net_, *this, pending->made);
}

std::unique_ptr<tcp_stream> backend::attach(native_socket socket) {
  return std::make_unique<simulated_stream>(net_, *this, net_.unpark(socket.release()));
}

void backend::drop(int parked) noexcept {
  if (const auto e = net_.unpark(parked)) net_.close(e);
}

future<int> backend::next_signal(std::span<const int> signals) {
  const std::vector<int> wanted(signals.begin(), signals.end());
  while (true) {
    const auto came = std::ranges::find_first_of(signals_, wanted);
    if (came != signals_.end()) {
      const int signal = *came;
      signals_.erase(came);
      co_return signal;
    }
    co_await or_fail(signal_waits_.wait());
  }
}

void backend::deliver(int signal) {
  if (std::ranges::find(signals_, signal) == signals_.end()) signals_.push_back(signal);
  signal_came_ = true;
  wake_();
}

bool backend::poll() noexcept {
  bool woke = false;
  if (!endpoints_.empty()) {
    for (const auto& e : std::exchange(endpoints_, {})) {
      e->listed = false;
      if (e->owner != this) continue;
      if (e->readable()) woke = wake(e->reader) || woke;
      if (e->writable()) woke = wake(e->writer) || woke;
    }
  }
  for (const auto& a : std::exchange(acceptors_, {})) {
    a->listed = false;
    woke = wake(a->wait) || woke;
  }
  for (const auto& p : std::exchange(connections_, {})) woke = wake(p->wait) || woke;
  if (std::exchange(signal_came_, false)) {
    for (std::size_t waits = signal_waits_.size(); waits > 0; --waits) woke = wake(signal_waits_) || woke;
  }
  return woke;
}

bool backend::wait(time_point /*deadline*/) noexcept { forbidden("a shard that blocks its thread"); }

void backend::has_ready(std::shared_ptr<endpoint> e) {
  endpoints_.push_back(std::move(e));
  wake_();
}
void backend::has_ready(std::shared_ptr<acceptor> a) {
  acceptors_.push_back(std::move(a));
  wake_();
}
void backend::has_ready(std::shared_ptr<pending_connection> p) {
  connections_.push_back(std::move(p));
  wake_();
}

}  // namespace atoll_root::atoll::sim
