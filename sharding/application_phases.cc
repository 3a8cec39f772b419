// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/application_phases.hh>

#include <algorithm>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/future/combinators.hh>
#include <atoll/sharding/app.hh>

namespace atoll_root::atoll {

/// One phase under way. What is told of a part's end begins the next.
class application_phases::phase {
 public:
  using operation = std::function<future<>(part& of)>;
  enum class direction : std::uint8_t { up, down };

  /// `goes_on`: asked, with the failures there were, before a part begins.
  phase(std::vector<part>& parts, direction way, operation run, std::function<bool(bool failed)> goes_on)
      : parts_(parts),
        direction_(way),
        operation_(std::move(run)),
        goes_on_(std::move(goes_on)),
        steps_(parts.size()) {}

  /// The first failure there was.
  static future<> run(phase& self) {
    while (true) {
      ++self.running_;
      self.begin_all();
      if (--self.running_ > 0) co_await self.all_.emplace().get_future();
      self.all_.reset();
      if (!std::exchange(self.wants_memory_, false)) break;
      co_await yield();
    }
    if (self.first_) co_await fail(*self.first_);
  }

 private:
  enum class progress : std::uint8_t { waits, runs, done };
  struct step {
    progress at = progress::waits;
    future<> running = make_ready_future();
  };

  [[nodiscard]] bool needs(std::size_t a, std::size_t b) const { return std::ranges::count(parts_[a].needs, b) != 0; }
  [[nodiscard]] bool may_begin(std::size_t i) const {
    if (steps_[i].at != progress::waits) return false;
    for (std::size_t n = 0; n < steps_.size(); ++n) {
      const bool before = direction_ == direction::up ? needs(i, n) : needs(n, i);
      if (before && steps_[n].at != progress::done) return false;
    }
    return true;
  }

  void begin_all() {
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      if (!goes_on_(first_.has_value())) return;
      if (!may_begin(i)) continue;
      steps_[i].at = progress::runs;
      ++running_;
      const auto begin = [this, i] { return perform(*this, i); };
      auto running = detail::invoke_safely(begin);
      if (running.available() && running.failed()) {
        const error why = running.take_error();
        if (direction_ == direction::up) {
          ended(i, why);
        } else {  // no memory: what needs to go goes later
          steps_[i].at = progress::waits;
          --running_;
          wants_memory_ = true;
          return;
        }
      } else {
        steps_[i].running = std::move(running);
      }
    }
  }
  static future<> perform(phase& self, std::size_t i) {
    const auto run = [&self, i] { return self.operation_(self.parts_[i]); };
    const auto outcome = co_await as_result(detail::invoke_safely(run));
    self.ended(i, outcome);
  }
  void ended(std::size_t i, const result<>& outcome) {
    steps_[i].at = progress::done;
    if (!outcome && !first_) first_ = outcome.error();
    begin_all();
    if (--running_ == 0 && all_) all_->set_value();
  }

  std::vector<part>& parts_;
  direction direction_;
  operation operation_;
  std::function<bool(bool)> goes_on_;
  std::vector<step> steps_;
  std::size_t running_ = 0;
  std::optional<error> first_;
  std::optional<promise<>> all_;
  bool wants_memory_ = false;
};

future<> started_part::start(started_part& self, life_options options, std::function<future<>()> begin) {
  self.runs = true;
  self.options_ = std::move(options);
  const time_point until = saturating_add(mono_now(), self.options_.ready_within);
  auto started = co_await as_result(with_context({.deadline = until}, std::move(begin)));
  if (started) {
    self.tell(service_change::started);
    co_return;
  }
  while (self.runs) {
    const auto undo = [&self] { return stop_and_tell(self); };
    static_cast<void>(co_await as_result(detail::invoke_safely(undo)));
    if (self.runs) co_await yield();  // no memory
  }
  co_await fail(std::move(started).error());
}

future<> started_part::stop_and_tell(started_part& self) {
  if (!self.runs) co_return;
  self.tell(service_change::stopping);
  const time_point until = saturating_add(mono_now(), self.options_.stop_within);
  const auto end = [&self, until] { return with_context({.deadline = until}, self.stop); };
  result<> stopped;
  for (int i = 0; i < stops_max; ++i) {
    stopped = co_await as_result(detail::invoke_safely(end));
    if (stopped || stopped.error().code() != status_code::resource_exhausted) break;
    co_await yield();
  }
  self.runs = false;
  self.tell(service_change::stopped);
  if (!stopped) co_await fail(std::move(stopped).error());
}

void started_part::tell(service_change what) const noexcept {
  try {
    options_.on_event({.service = name, .what = what});
  } catch (...) {
    log_error("part {}: on_event threw", name);
  }
}

void application_phases::on_event(const service_event& event) {
  if (event.what == service_change::gave_up && !gave_up_) {
    gave_up_ = *event.why;
    end_.set();
  }
  const auto listener = on_event_;  // which may let go of the application
  if (listener != nullptr) (*listener)(event);
}

void application_phases::settle() noexcept {
  state_ = state::idle;
  settled_.set();
}

void application_phases::drop() noexcept {
  on_event_ = nullptr;
  asked_to_stop_ = true;
  end_.set();
}

bool application_phases::prepare() {
  if (state_ != state::idle) return false;
  state_ = state::starting;
  asked_to_stop_ = false;
  gave_up_.reset();
  on_event_ = nullptr;
  end_.reset();
  settled_.reset();
  return true;
}

error application_phases::is_started() {
  return {status_code::failed_precondition, "the application has been started"};
}

future<> application_phases::start(kept self, application_options options) {
  if (!self->prepare()) return make_failed_future(is_started());
  return launch(std::move(self), std::move(options));
}

future<> application_phases::launch(kept self, application_options options) {
  const auto begin = [&self, &options] { return start_in_order(self, std::move(options)); };
  auto started = detail::invoke_safely(begin);
  if (started.available() && started.failed() && self->state_ == state::starting)
    self->settle();  // no memory to begin with
  return started;
}

future<> application_phases::start_in_order(kept self, application_options options) {
  if (options.on_event) {
    self->on_event_ = std::make_shared<const std::function<void(const service_event&)>>(std::move(options.on_event));
  }
  // The runtime's end may stop a part that nobody has any more.
  const auto tell = [listener = std::weak_ptr(self)](const service_event& event) {
    if (const auto phases = listener.lock()) phases->on_event(event);
  };
  const auto start_part = [&tell, &options](part& p) {
    return p.start({.ready_within = options.ready_within,
                    .drain_within = options.drain_within,
                    .stop_within = options.stop_within,
                    .on_event = tell});
  };
  const auto goes_on = [&self](bool failed) { return !failed && !self->asked_to_stop_ && !self->gave_up_; };
  phase all(self->parts_, phase::direction::up, start_part, goes_on);
  auto started = co_await as_result(phase::run(all));
  if (started && !self->asked_to_stop_ && !self->gave_up_) {
    self->state_ = state::started;
    co_return;
  }
  if (started && self->gave_up_) started = *self->gave_up_;
  // A limit that passed while it was asked to stop is no failure of its own.
  if (started || (self->asked_to_stop_ && started.error().code() == status_code::deadline_exceeded))
    started = error(status_code::cancelled, "the application was stopped while it started");
  while (true) {
    const auto stop = [&self] { return stop_in_order(self); };
    auto stopped = detail::invoke_safely(stop);
    const bool could_not_begin = stopped.available() && stopped.failed() && self->state_ != state::idle;
    static_cast<void>(co_await as_result(std::move(stopped)));
    if (!could_not_begin) break;
    co_await yield();
  }
  co_await fail(std::move(started).error());
}

future<> application_phases::stop(kept self) {
  self->end_.set();
  switch (self->state_) {
    case state::idle:
      return make_ready_future();
    case state::started: {
      self->state_ = state::stopping;
      const auto begin = [&self] { return stop_in_order(self); };
      auto stopped = detail::invoke_safely(begin);
      if (stopped.available() && stopped.failed() && self->state_ == state::stopping) {
        self->state_ = state::started;  // no memory
      }
      return stopped;
    }
    case state::starting:
      self->asked_to_stop_ = true;
      break;
    case state::stopping:
      break;
  }
  return with_context({}, [&self] { return self->settled_.wait(); });
}

/// Where there is no memory to begin with, it is asked again: what the part needs must not go before it.
future<> application_phases::stop_surely(part& p) {
  result<> stopped;
  while (true) {
    stopped = co_await as_result(detail::invoke_safely(p.stop));
    if (!p.runs()) break;
    co_await yield();
  }
  if (!stopped) co_await fail(std::move(stopped).error());
}

future<> application_phases::stop_in_order(kept self) {
  self->end_.set();
  const auto always = [](bool /*failed*/) { return true; };
  phase draining(self->parts_, phase::direction::down, [](part& p) { return p.drain(); }, always);
  auto drained = co_await as_result(phase::run(draining));
  phase stopping(self->parts_, phase::direction::down, &stop_surely, always);
  auto stopped = co_await as_result(phase::run(stopping));
  self->settle();
  if (!drained) co_await fail(std::move(drained).error());
  if (!stopped) co_await fail(std::move(stopped).error());
}

future<> application_phases::failure(kept self) {
  co_await self->end_.wait();
  if (self->gave_up_) co_await fail(*self->gave_up_);
  co_await fail(status_code::cancelled, "the application stops");
}

future<> application_phases::stop_at_signal(kept self) {
  const auto signalled = co_await as_result(stop_signal());
  if (!signalled && cancellation() != nullptr) co_return;
  if (!signalled && !self->gave_up_) self->gave_up_ = signalled.error();  // deaf to signals it must not go on
  self->asked_to_stop_ = true;
  self->end_.set();
}

future<> application_phases::run(kept self, application_options options) {
  if (!self->prepare()) co_await fail(is_started());
  cancel_source waiting;
  // From the beginning: a signal during the start ends it.
  auto signalled = waiting.run([&self] { return stop_at_signal(self); });
  if (signalled.available() && signalled.failed()) {
    self->settle();
    co_await fail(signalled.take_error());
  }
  const auto begin = [&self, &options] { return launch(self, std::move(options)); };
  auto started = co_await as_result(detail::invoke_safely(begin));
  result<void> ended;
  result<void> stopped;
  const bool stopped_before = !started && self->asked_to_stop_ && started.error().code() == status_code::cancelled;
  if (started) {
    ended = co_await as_result(self->end_.wait());
    stopped = co_await as_result(stop(self));
  }
  waiting.cancel();
  static_cast<void>(co_await as_result(std::move(signalled)));
  if (!started && !stopped_before) co_await fail(std::move(started).error());
  if (self->gave_up_) co_await fail(*self->gave_up_);
  if (!ended) co_await fail(std::move(ended).error());
  if (!stopped) co_await fail(std::move(stopped).error());
}

}  // namespace atoll_root::atoll
