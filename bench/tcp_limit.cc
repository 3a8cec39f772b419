// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The limit for calls between two processes: raw epoll loops that spin, 64-byte messages, batched reads and writes.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include "bench.hh"

namespace bench {
namespace {

constexpr std::size_t message_bytes = 64;

void run_on(unsigned cpu) {
  cpu_set_t mask;
  CPU_ZERO(&mask);
  CPU_SET(cpu, &mask);
  ::sched_setaffinity(0, sizeof mask, &mask);
}

void no_delay(int fd) {
  const int one = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

/// Spins in epoll_wait(0) until the socket is readable, then reads what is there.
ssize_t spin_read(int epoll, int fd, char* buffer, std::size_t room) {
  while (true) {
    epoll_event event{};
    if (::epoll_wait(epoll, &event, 1, 0) <= 0) continue;
    return ::recv(fd, buffer, room, 0);
  }
}

bool write_all(int fd, const char* bytes, std::size_t count) {
  while (count > 0) {
    const auto n = ::send(fd, bytes, count, MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes += n;
    count -= static_cast<std::size_t>(n);
  }
  return true;
}

int watch(int fd) {
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  return epoll;
}

}  // namespace

int run_tcp_server() {
  run_on(1);
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(listener, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(listener, 1) != 0 ||
      ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return 1;
  }
  std::printf("%u\n", ntohs(address.sin_port));
  std::fflush(stdout);
  const int fd = ::accept(listener, nullptr, nullptr);
  no_delay(fd);
  const int epoll = watch(fd);
  std::vector<char> buffer(1U << 20);
  for (ssize_t n = 0; (n = spin_read(epoll, fd, buffer.data(), buffer.size())) > 0;) {
    if (!write_all(fd, buffer.data(), static_cast<std::size_t>(n))) break;
  }
  return 0;
}

double tcp_echoes_per_second(std::uint32_t outstanding) {
  const std::uint64_t echoes = outstanding == 1 ? 30'000 : 1'000'000;
  std::FILE* server = ::popen((own_path() + " --tcp-server").c_str(), "r");
  unsigned port = 0;
  if (server == nullptr || std::fscanf(server, "%u", &port) != 1) throw std::runtime_error("no TCP server");
  run_on(0);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) throw std::runtime_error("connect");
  no_delay(fd);
  const int epoll = watch(fd);
  std::vector<char> out(message_bytes * outstanding, 'x');
  std::vector<char> in(1U << 20);
  const auto begin = std::chrono::steady_clock::now();
  std::uint64_t sent = 0;
  std::uint64_t bytes_back = 0;
  while (bytes_back < echoes * message_bytes) {
    // As many messages as have come back whole go out again, in one write.
    const std::uint64_t back = bytes_back / message_bytes;
    const std::uint64_t more = std::min<std::uint64_t>(outstanding - (sent - back), echoes - sent);
    if (more > 0 && !write_all(fd, out.data(), more * message_bytes)) break;
    sent += more;
    const auto n = spin_read(epoll, fd, in.data(), in.size());
    if (n <= 0) break;
    bytes_back += static_cast<std::uint64_t>(n);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  ::close(epoll);
  ::close(fd);
  ::pclose(server);
  return static_cast<double>(echoes) / took.count();
}

}  // namespace bench
