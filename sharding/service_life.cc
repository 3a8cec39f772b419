// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/service_life.hh>

#include <algorithm>
#include <array>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/future/combinators.hh>
#include <atoll/sharding/slot_mover.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll {
namespace {

bool is_want_of_memory(const result<void>& outcome) noexcept {
  return !outcome && outcome.error().code() == status_code::resource_exhausted;
}

/// on_shards, whose lack of memory is a failure like any other.
template <class F>
future<> on_each(const std::vector<shard_id>& shards, const F& f) noexcept {
  const auto run = [&] { return on_shards(shards, f); };
  return detail::invoke_safely(run);
}

template <class F>
future<> in_time(duration limit, const F& f) {
  return limit == no_timeout ? f() : with_timeout(limit, f);
}

}  // namespace

std::string_view to_string(service_change change) noexcept {
  switch (change) {
    case service_change::started:
      return "started";
    case service_change::failed:
      return "failed";
    case service_change::restarted:
      return "restarted";
    case service_change::gave_up:
      return "gave up";
    case service_change::stopping:
      return "stopping";
    case service_change::stopped:
      return "stopped";
  }
  return "unknown";
}

supervised::supervised()
    : why_(std::make_shared<std::optional<error>>()),
      background_("background work of an instance", [this](const error& why) { fail(why); }) {}

void supervised::fail(const error& why) noexcept {
  if (*why_) return;
  *why_ = why;
  failed_.set();
}

future<std::optional<error>> supervised::failure() {
  const auto why = why_;  // the instance may go before this goes on
  co_await failed_.wait();
  co_return *why;
}

service_life::service_life(service_core& core, const service_class& of, life_options options,
                           std::vector<shard_id> shards, std::function<void()> make)
    : core_(core),
      class_(of),
      options_(std::move(options)),
      shards_(std::move(shards)),
      make_(std::move(make)),
      supervisors_("supervision of " + core.name(), [this](const error& why) {
        log_error("service {}: its supervision has ended: {}", class_.shape.name, why.to_string());
        tell(service_change::gave_up, 0, &why);
      }) {
  if (options_.on_event) {
    on_event_ = std::make_shared<const std::function<void(const service_event&)>>(std::move(options_.on_event));
  }
}

// In no caller's context: a deadline that passes half-way would leave half a service.

future<> service_life::start(std::shared_ptr<service_life> self) {
  self->start_has_begun_ = true;
  const auto begin = [&self] { return with_context({}, [self] { return start_and_tell(self); }); };
  auto started = detail::invoke_safely(begin);
  if (started.available() && started.failed())
    self->start_ended_.set();  // also where there was no memory to begin with
  return started;
}
future<> service_life::start_and_tell(std::shared_ptr<service_life> self) {
  const auto start = [&self] { return self->start_in_phases(); };
  auto started = co_await as_result(detail::invoke_safely(start));
  self->start_ended_.set();
  if (!started) co_await fail(std::move(started).error());
}
future<> service_life::drain(std::shared_ptr<service_life> self) {
  return with_context({}, [self] { return self->drain_once(); });
}
future<> service_life::stop(std::shared_ptr<service_life> self) {
  return with_context({}, [self] { return stop_and_tell(self); });
}
future<> service_life::stop_and_tell(std::shared_ptr<service_life> self) {
  while (!self->start_ended_.is_set()) {
    if (!co_await as_result(self->start_ended_.wait())) co_await yield();  // no memory to wait with
  }
  if (self->stop_has_begun_) {
    while (!self->stopped_.is_set()) {
      if (!co_await as_result(self->stopped_.wait())) co_await yield();
    }
    if (self->stop_failed_) co_await fail(*self->stop_failed_);
    co_return;
  }
  const auto stop = [&self] { return self->stop_in_phases(); };
  auto stopped = co_await as_result(detail::invoke_safely(stop));
  if (!self->stop_has_begun_) co_await fail(std::move(stopped).error());
  if (!stopped) self->stop_failed_ = stopped.error();
  self->stopped_.set();
  if (!stopped) co_await fail(std::move(stopped).error());
}

future<> service_life::start_in_phases() {
  if (core_.has_slots()) co_await submit_to(0, [this] { allow_moves(core_); });
  const auto make_here = [make = make_] {       // named: docs/compilers.md
    const detail::context_scope none(nullptr);  // its background work serves no call
    make();
  };
  co_await on_each(shards_, make_here);
  if (class_.ready != nullptr) {
    const auto get_ready = [this] { return call_hook(class_.ready, options_.ready_within); };
    co_await on_each(shards_, get_ready);
  }
  if (class_.as_supervised != nullptr) {
    for (const shard_id shard : shards_) {
      if (!supervisors_.spawn([this, shard] { return supervise(shard); }))
        co_await fail(error(status_code::resource_exhausted));
    }
  }
  tell(service_change::started);
}

future<> service_life::call_hook(service_class::hook hook, duration limit, bool* begun) const {
  void* instance = hook == nullptr ? nullptr : core_.instance();
  if (begun != nullptr && *begun) return make_ready_future();
  if (instance == nullptr) {
    if (begun != nullptr) *begun = true;
    return make_ready_future();
  }
  const auto call = [this, hook, instance, begun] {
    if (begun != nullptr) *begun = true;
    auto running = hook(instance);
    const auto has_begun = hook == class_.stop ? class_.stop_has_begun : nullptr;
    if (begun != nullptr && has_begun != nullptr && !has_begun(instance)) *begun = false;
    return running;
  };
  return in_time(limit, call);
}

future<> service_life::tell_everywhere(service_class::hook hook, duration limit, bool& begun) {
  begun = true;
  if (hook == nullptr) co_return;
  std::array<bool, shards_max> told{};  // each shard's own
  const auto tell_here = [this, hook, limit, &told] { return call_hook(hook, limit, &told[this_shard_id()]); };
  const auto all_told = [&told, this] {
    return std::ranges::count(told, true) == static_cast<std::ptrdiff_t>(shards_.size());
  };
  result<void> all;
  // Where there is no memory to ask a shard, it is asked again: its instance must not go unprepared.
  for (bool again = false; !all_told(); again = true) {
    if (again) co_await yield();
    auto outcome = co_await as_result(on_each(shards_, tell_here));
    const bool is_ours = is_want_of_memory(outcome) && !all_told();
    if (all && !is_ours) all = std::move(outcome);
  }
  if (!all) co_await fail(std::move(all).error());
}

/// Whoever comes while it drains waits for that: nothing is destroyed under a drain().
future<> service_life::drain_once() {
  if (drain_has_begun_) {
    while (!drained_.is_set()) {
      if (!co_await as_result(drained_.wait())) co_await yield();
    }
    co_return;
  }
  drain_has_begun_ = true;
  co_await supervisors_.stop();  // which make and destroy instances, too; the first wait for them needs no memory
  result<> all;
  for (bool begun = false; !begun;) {
    const auto tell_all = [this, &begun] { return tell_everywhere(class_.drain, options_.drain_within, begun); };
    all = co_await as_result(detail::invoke_safely(tell_all));
    if (!begun) co_await yield();  // no memory
  }
  drained_.set();
  if (!all) co_await fail(std::move(all).error());
}

future<> service_life::stop_in_phases() {
  stop_has_begun_ = true;
  tell(service_change::stopping);
  supervisors_.cancel();  // the drain waits for them
  if (core_.has_slots()) {
    // A slot on its way would be lost.
    const auto end = [this] { return end_moves(core_); };
    const auto ask = [&end] { return submit_to(0, end); };
    while (!co_await as_result(detail::invoke_safely(ask))) co_await yield();
  }
  result<void> first;
  while (!drained_.is_set()) {
    const auto drain = [this] { return drain_once(); };
    auto drained = co_await as_result(detail::invoke_safely(drain));
    if (!drained_.is_set()) {
      co_await yield();  // no memory
    } else {
      first = std::move(drained);
    }
  }
  for (bool begun = false; !begun;) {
    const auto tell_all = [this, &begun] { return tell_everywhere(class_.stop, options_.stop_within, begun); };
    auto told = co_await as_result(detail::invoke_safely(tell_all));
    if (!begun) {
      co_await yield();
    } else if (first) {
      first = std::move(told);
    }
  }
  const auto destroy = [this] { return destroy_here(*this, false); };
  while (true) {
    const auto destroyed = co_await as_result(on_each(shards_, destroy));
    if (!is_want_of_memory(destroyed)) break;
    co_await yield();  // no memory to ask a shard: its instance has to go all the same
  }
  tell(service_change::stopped);
  if (!first) co_await fail(std::move(first).error());
}

future<> service_life::destroy_here(const service_life& self, bool failed) {
  const auto& of = self.class_;
  void* instance = co_await self.core_.close(failed ? duration::zero() : self.options_.stop_within);
  if (instance == nullptr) co_return;
  if (failed && of.stop != nullptr) {
    const auto stop = [&of, &self, instance] {
      return in_time(self.options_.stop_within, [&of, instance] { return of.stop(instance); });
    };
    const auto stopped = co_await as_result(detail::invoke_safely(stop));
    if (!stopped) {
      log_warning("service {}: stop() of an instance that failed: {}: {}", of.shape.name,
                  atoll::to_string(stopped.error().code()), stopped.error().message());
    }
  }
  if (of.as_supervised != nullptr) co_await of.as_supervised(instance)->background().stop();
  of.destroy(instance);
}

future<std::optional<error>> service_life::failure_of(shard_id shard) {
  const auto wait = [this] { return class_.as_supervised(core_.instance())->failure(); };
  while (cancellation() == nullptr) {
    const auto ask = [&wait, shard] { return submit_to(shard, wait); };
    auto why = co_await as_result(detail::invoke_safely(ask));
    if (why) co_return *std::move(why);
    co_await yield();  // the service stops, or there is no memory to wait
  }
  co_return std::nullopt;
}

future<> service_life::supervise(shard_id shard) {
  const supervision policy = class_.policy == nullptr ? supervision() : *class_.policy;
  const retry_policy pauses{.first_pause = policy.first_pause, .longest_pause = policy.longest_pause};
  std::uint32_t in_a_row = 0;
  while (true) {
    const time_point since = mono_now();
    auto why = co_await failure_of(shard);
    if (!why) co_return;
    if (mono_now() - since >= policy.steady_after) in_a_row = 0;
    while (true) {
      log_warning("service {}: the instance of shard {} failed: {}: {}", class_.shape.name, shard,
                  atoll::to_string(why->code()), why->message());
      tell(service_change::failed, shard, &*why);
      // What is begun is brought to its end, also when the service stops meanwhile.
      const auto destroy = [this] { return destroy_here(*this, true); };
      const std::vector<shard_id> there{shard};
      while (true) {
        const auto gone = [&] { return shielded([&] { return on_each(there, destroy); }); };
        const auto destroyed = co_await as_result(detail::invoke_safely(gone));
        if (!is_want_of_memory(destroyed)) break;
        co_await yield();
      }
      if (cancellation() != nullptr) co_return;
      if (in_a_row++ == policy.restarts_max) {
        log_error("service {}: gave up on shard {} after {} restarts", class_.shape.name, shard, policy.restarts_max);
        tell(service_change::gave_up, shard, &*why);
        co_return;
      }
      static_cast<void>(co_await as_result(sleep(detail::retry_pause(pauses, in_a_row + 1))));
      if (cancellation() != nullptr) co_return;
      const auto begin_anew = [this, make = make_] {
        {
          const detail::context_scope none(nullptr);
          make();
        }
        return call_hook(class_.ready, options_.ready_within);
      };
      const auto begin = [&] { return shielded([&] { return on_each(there, begin_anew); }); };
      auto made = co_await as_result(detail::invoke_safely(begin));
      if (made) break;
      why = std::move(made).error();
    }
    tell(service_change::restarted, shard);
  }
}

void service_life::tell(service_change what, shard_id shard, const error* why) noexcept {
  const auto listener = on_event_;  // which may drop the container, and with it what it is called by
  if (listener == nullptr) return;
  try {
    (*listener)({class_.shape.name, what, shard, why});
  } catch (...) {
    log_error("service {}: on_event threw", class_.shape.name);
  }
}

}  // namespace atoll_root::atoll
