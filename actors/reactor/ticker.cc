// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/reactor/ticker.hh>

#include <execinfo.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <atoll/actors/base/function_name.hh>
#include <atoll/actors/base/log.hh>
#include <atoll/actors/base/text.hh>
#include <atoll/actors/future/future.hh>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace atoll_root::atoll {
namespace {

// ThreadSanitizer delivers a signal at the thread's next system call: never, where the thread computes.
#if defined(__SANITIZE_THREAD__)
constexpr bool signals_are_kept_back = true;
#elif defined(__has_feature)
constexpr bool signals_are_kept_back = __has_feature(thread_sanitizer);
#else
constexpr bool signals_are_kept_back = false;
#endif

int tick_signal() noexcept { return SIGRTMIN + 2; }

/// A line put together without allocating: this runs in a signal handler.
class signal_safe_line {
 public:
  signal_safe_line& operator<<(std::string_view text) noexcept {
    for (const char c : text.substr(0, text_.size() - 1 - used_)) text_[used_++] = c;
    return *this;
  }
  signal_safe_line& operator<<(std::uint64_t number) noexcept {
    std::array<char, 20> digits{};
    std::size_t at = digits.size();
    do {
      digits[--at] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    return *this << std::string_view(digits.data() + at, digits.size() - at);
  }
  void write() noexcept {
    text_[used_++] = '\n';
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text_.data(), used_);
  }

 private:
  std::array<char, 1024> text_{};
  std::size_t used_ = 0;
};

/// What a name_of_work is about: the lambda, or the type of the function.
std::string_view code_of(std::string_view name) noexcept {
  if (const auto lambda = lambda_given_to(name); !lambda.empty()) return lambda;
  constexpr std::string_view type_follows = "F = ";
  const auto at = name.rfind(type_follows);
  if (at == std::string_view::npos) return name;
  name.remove_prefix(at + type_follows.size());
  return name.substr(0, name.find_last_of(']'));
}

}  // namespace

ticker::ticker(shard& s, duration period, duration threshold, bool on)
    : shard_(s),
      period_(std::max(period, duration(std::chrono::microseconds(50)))),
      stall_ticks_(threshold <= duration::zero()
                       ? 0
                       : static_cast<std::uint32_t>(std::clamp<std::int64_t>(threshold / period_, 2, 1'000'000'000))) {
  ATOLL_ASSERT(shard_.ticks == nullptr, "a shard has one ticker");
  if (signals_are_kept_back || !on) return;
  // The first call loads libgcc, which a signal handler could not.
  std::array<void*, 1> preload{};
  ::backtrace(preload.data(), 1);

  struct sigaction action{};
  action.sa_sigaction = &on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  ::sigfillset(&action.sa_mask);
  ::sigaction(tick_signal(), &action, nullptr);

  sigset_t ticks;
  ::sigemptyset(&ticks);
  ::sigaddset(&ticks, tick_signal());
  ::pthread_sigmask(SIG_UNBLOCK, &ticks, nullptr);

  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = tick_signal();
  event.sigev_value.sival_ptr = this;
  event.sigev_notify_thread_id = static_cast<pid_t>(::syscall(SYS_gettid));
  timer_t timer{};
  if (::timer_create(CLOCK_MONOTONIC, &event, &timer) != 0) {
    log_warning("no timer for ticks ({}): quotas are coarse, and stalls are not reported", std::strerror(errno));
    return;
  }
  timer_ = timer;
  shard_.ticks = this;
}

ticker::~ticker() {
  if (!timer_) return;
  shard_.ticks = nullptr;  // a signal that is still on its way finds nobody
  ::timer_delete(*timer_);
}

/// The first tick after that, then one each period; 0: none.
void ticker::set_timer(duration first) noexcept {
  const auto spec = [](duration d) {
    return timespec{.tv_sec = d.count() / 1'000'000'000, .tv_nsec = d.count() % 1'000'000'000};
  };
  const itimerspec when{.it_interval = spec(period_), .it_value = spec(first)};
  ::timer_settime(*timer_, 0, &when, nullptr);
}

void ticker::start() noexcept {
  if (!timer_ || state_ == state::running) return;
  turn();
  state_ = state::running;
  set_timer(period_);
}

void ticker::sleeps() noexcept {
  if (!timer_) return;
  asleep_ = true;
  if (state_ != state::running) return;
  state_ = state::resting;
  set_timer(std::max<duration>(period_, rest_for));
}

void ticker::wakes() noexcept {
  if (!timer_) return;
  turn();
  asleep_ = false;
  if (state_ == state::off) start();
}

void ticker::stop() noexcept {
  if (!timer_) return;
  state_ = state::off;
  set_timer(duration::zero());
}

void ticker::on_signal(int /*number*/, siginfo_t* info, void* /*context*/) noexcept {
  // Only the signals of the timer of this thread's shard: others may send this number too, and one of a ticker that is
  // gone may come late where somebody blocked the signal meanwhile.
  if (info->si_code != SI_TIMER || !on_shard()) return;
  auto* self = static_cast<ticker*>(info->si_value.sival_ptr);
  if (self == nullptr || self != detail::current_shard->ticks) return;
  const int saved = errno;
  self->tick();
  errno = saved;
}

void ticker::tick() noexcept {
  if (asleep_ && state_ != state::running) {  // for longer than the rest: no more ticks
    state_ = state::off;
    return set_timer(duration::zero());
  }
  if (state_ == state::resting) state_ = state::running;
  shard_.tick = true;
  shard_.recent_ns = shard::long_ago;
  if (const std::uint64_t turns = turns_; turns != turns_seen_) {
    turns_seen_ = turns;
    ticks_in_turn_ = 0;
    return;
  }
  ++ticks_in_turn_;
  if (stall_ticks_ != 0 && ticks_in_turn_ == stall_ticks_) report(ticks_in_turn_);
}

void ticker::report(std::uint32_t ticks) noexcept {
  stalls_ = stalls_ + 1;
  const time_point now = shard_.time->now();  // ticks don't count while the shard sleeps
  if (now < report_again_at_) {
    ++unreported_;
    return;
  }
  report_again_at_ = saturating_add(now, report_every);
  signal_safe_line line;
  if (shard_.logs.times) line << utc_text(shard_.time->wall_now()).data() << " ";
  line << "warning [shard " << std::uint64_t{shard_.id} << "] stall: a task has run for "
       << static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(period_ * ticks).count())
       << " ms";
  const work_name* work = shard_.work;
  const auto* coroutine = shard_.running;
  if (work != nullptr && !work->service.empty()) {
    line << ", in " << work->service << "." << work->function;
  } else if (work != nullptr) {
    line << ", in " << code_of(work->function);
  } else if (coroutine != nullptr && coroutine->site.line() != 0) {  // one that runs for the first time has no site yet
    const std::string_view whole = coroutine->site.function_name();
    const auto name = short_function_name(whole);
    line << ", resumed after " << coroutine->site.file_name() << ":" << std::uint64_t{coroutine->site.line()} << " in "
         << name;
    if (const auto runs = name.starts_with("atoll::") ? lambda_given_to(whole) : std::string_view(); !runs.empty()) {
      line << " of " << runs;
    }
  }
  if (unreported_ > 0) line << " (" << std::exchange(unreported_, 0) << " more since the last report)";
  line << "; at:";
  line.write();
  std::array<void*, 32> frames{};
  const int depth = ::backtrace(frames.data(), static_cast<int>(frames.size()));
  ::backtrace_symbols_fd(frames.data(), depth, STDERR_FILENO);
}

}  // namespace atoll_root::atoll
