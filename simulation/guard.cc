// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/simulation/guard.hh>

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace atoll_root::atoll::sim {
namespace {

// The thread's: the one ambient thing of the simulation. Without a constructor, as the functions below run before any.
constinit thread_local bool runs = false;

}  // namespace

world_runs::world_runs() noexcept : before_(runs) { runs = true; }
world_runs::~world_runs() { runs = before_; }
bool in_world() noexcept { return runs; }
outside_world::outside_world() noexcept : before_(runs) { runs = false; }
outside_world::~outside_world() { runs = before_; }

void forbidden(const char* what) noexcept {
  runs = false;
  std::array<char, 256> line{};
  const int length = std::snprintf(line.data(), line.size(), "simulation: %s in a simulated world; at:\n", what);
  const auto bytes = std::min<std::size_t>(length > 0 ? static_cast<std::size_t>(length) : 0, line.size() - 1);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), bytes);
  std::array<void*, 48> frames{};
  const int depth = ::backtrace(frames.data(), static_cast<int>(frames.size()));
  ::backtrace_symbols_fd(frames.data(), depth, STDERR_FILENO);
  std::abort();
}

namespace {

/// The allocator takes the time to know when to give pages back; nothing of a world depends on that.
[[maybe_unused]] bool is_allocators(const void* caller) noexcept {
  Dl_info where{};
  return ::dladdr(caller, &where) != 0 && where.dli_fname != nullptr &&
         std::strstr(where.dli_fname, "mimalloc") != nullptr;
}

template <class F>
F* real(const char* name) noexcept {
  void* found = ::dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  return reinterpret_cast<F*>(found);
}

}  // namespace
}  // namespace atoll_root::atoll::sim

using atoll_root::atoll::sim::forbidden;
using atoll_root::atoll::sim::in_world;
using atoll_root::atoll::sim::is_allocators;
using atoll_root::atoll::sim::real;

// Sanitizers have functions of their own there, which know more than the C library's: AddressSanitizer for some, ThreadSanitizer for all.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ATOLL_ADDRESS_SANITIZED 1
#elif __has_feature(thread_sanitizer)
#define ATOLL_THREAD_SANITIZED 1
#endif
#endif

#if !defined(ATOLL_THREAD_SANITIZED)
// The names below are the C library's, and stand before them where this is linked.
extern "C" {

#if !defined(ATOLL_ADDRESS_SANITIZED)
int clock_gettime(clockid_t which, timespec* to) noexcept {
  if (in_world() && !is_allocators(__builtin_return_address(0))) forbidden("the machine's clock (clock_gettime)");
  static auto* const next = real<int(clockid_t, timespec*)>("clock_gettime");
  return next(which, to);
}
#endif

int gettimeofday(timeval* to, void* zone) noexcept {
  if (in_world()) forbidden("the machine's clock (gettimeofday)");
  static auto* const next = real<int(timeval*, void*)>("gettimeofday");
  return next(to, zone);
}

time_t time(time_t* to) noexcept {
  if (in_world()) forbidden("the machine's clock (time)");
  static auto* const next = real<time_t(time_t*)>("time");
  return next(to);
}

int nanosleep(const timespec* wanted, timespec* left) {
  if (in_world()) forbidden("a thread that sleeps (nanosleep)");
  static auto* const next = real<int(const timespec*, timespec*)>("nanosleep");
  return next(wanted, left);
}

int clock_nanosleep(clockid_t which, int flags, const timespec* wanted, timespec* left) {
  if (in_world()) forbidden("a thread that sleeps (clock_nanosleep)");
  static auto* const next = real<int(clockid_t, int, const timespec*, timespec*)>("clock_nanosleep");
  return next(which, flags, wanted, left);
}

int usleep(useconds_t microseconds) {
  if (in_world()) forbidden("a thread that sleeps (usleep)");
  static auto* const next = real<int(useconds_t)>("usleep");
  return next(microseconds);
}

unsigned sleep(unsigned wanted) {
  if (in_world()) forbidden("a thread that sleeps (sleep)");
  static auto* const next = real<unsigned(unsigned)>("sleep");
  return next(wanted);
}

/// std::random_device::_M_getval(): what it asks is the processor, whom nobody stands before.
unsigned atoll_random_device_value(void* device) __asm__("_ZNSt13random_device9_M_getvalEv");
unsigned atoll_random_device_value(void* device) {
  if (in_world()) forbidden("real randomness (std::random_device)");
  static auto* const next = real<unsigned(void*)>("_ZNSt13random_device9_M_getvalEv");
  return next(device);
}

ssize_t getrandom(void* to, size_t bytes, unsigned flags) {
  if (in_world() && !is_allocators(__builtin_return_address(0))) forbidden("real randomness (getrandom)");
  static auto* const next = real<ssize_t(void*, size_t, unsigned)>("getrandom");
  return next(to, bytes, flags);
}

int getentropy(void* to, size_t bytes) {
  if (in_world()) forbidden("real randomness (getentropy)");
  static auto* const next = real<int(void*, size_t)>("getentropy");
  return next(to, bytes);
}

#if !defined(ATOLL_ADDRESS_SANITIZED)
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                   void* argument) noexcept {
  if (in_world()) forbidden("a thread (pthread_create)");
  static auto* const next = real<int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*)>("pthread_create");
  return next(thread, attributes, start, argument);
}
#endif

int socket(int domain, int type, int protocol) noexcept {
  if (in_world()) forbidden("a socket of the machine's (socket)");
  static auto* const next = real<int(int, int, int)>("socket");
  return next(domain, type, protocol);
}

}  // extern "C"
#endif
