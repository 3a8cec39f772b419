// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/stop_signals.hh>

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <ctime>

#include <atoll/actors/base/log.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/shard_local.hh>
#include <atoll/sharding/signals.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll {
namespace {

// The first signal since the handler was installed. Signal handlers have no other place to keep it.
constinit std::atomic<int> first_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free);

extern "C" void take_stop_signal(int signal) {
  const int error_before = errno;
  if (first_signal.exchange(signal) == 0) {
    ::kill(::getpid(), stop_handler::request_number());
  } else {
    ::signal(SIGINT, SIG_DFL);
    ::signal(SIGTERM, SIG_DFL);
    ::raise(signal);  // it comes when this returns
  }
  errno = error_before;
}

const char* name_of(int signal) noexcept { return signal == SIGINT ? "SIGINT" : "SIGTERM"; }

future<int> wait_here() {
  stop_request& request = local_sharding().stop;
  if (request.signal != 0) return make_ready_future<int>(request.signal);
  if (!request.watched) {
    return make_failed_future<int>(
        error(status_code::failed_precondition, "stop_signal: no app::run() has SIGINT and SIGTERM"));
  }
  return request.waits.wait();
}

}  // namespace

int stop_handler::request_number() noexcept { return SIGRTMIN + 3; }

stop_handler::stop_handler() {
  first_signal = 0;
  struct sigaction action{};
  action.sa_handler = &take_stop_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &interrupt_before_);
  ::sigaction(SIGTERM, &action, &terminate_before_);
}

stop_handler::~stop_handler() {
  ::sigaction(SIGINT, &interrupt_before_, nullptr);
  ::sigaction(SIGTERM, &terminate_before_, nullptr);
  // Nobody took it: it must not end the process when it is unblocked, but the signal that it stands for may.
  sigset_t request;
  ::sigemptyset(&request);
  ::sigaddset(&request, request_number());
  const timespec now{};
  if (::sigtimedwait(&request, nullptr, &now) == request_number()) ::raise(first_signal);
}

void ask_to_stop(int signal, cancel_source& main) {
  stop_request& request = local_sharding().stop;
  request.signal = signal;
  if (request.waits.empty()) main.cancel(error(status_code::cancelled, name_of(signal)));
  while (!request.waits.empty()) request.waits.complete_first(signal);
}

future<> watch_for_stop(cancel_source main) {
  local_sharding().stop.watched = true;
  const auto came = co_await as_result(next_signal(stop_handler::request_number()));
  if (!came) co_return;
  log_info("{}: stopping; a second signal ends the process at once", name_of(first_signal));
  ask_to_stop(first_signal, main);
}

future<int> stop_signal() {
  if (this_shard_id() == 0) return wait_here();
  return submit_to(0, &wait_here);
}

}  // namespace atoll_root::atoll
