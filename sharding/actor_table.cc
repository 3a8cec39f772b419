// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/actor_table.hh>

#include <algorithm>
#include <new>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/actors/metrics/shard_metrics.hh>
#include <atoll/actors/reactor/points.hh>

namespace atoll_root::atoll::detail {
namespace {

constexpr duration look_every_min = std::chrono::milliseconds(1);
constexpr duration look_every_max = std::chrono::seconds(1);

}  // namespace

struct actor_table_base::metrics {
  explicit metrics(const actor_table_base& table)
      : self(table), group(shard_metrics(), "atoll_actors", {{"service", table.service_}}) {}

  const actor_table_base& self;
  metric_group group;
  observable_gauge active{group, "active", "Actors that are active.",
                          [this] { return static_cast<double>(self.active_); }};
  counter activations{group, "activations_total", "Actors activated."};
  counter failed{group, "activations_failed_total", "Activations that failed."};
  counter deactivations{group, "deactivations_total", "Actors deactivated."};
};

actor_table_base::actor_table_base(std::string_view service, const keyed_options& options)
    : service_(service), options_(options), metrics_(std::make_unique<metrics>(*this)) {
  options_.idle_after = std::max(options_.idle_after, look_every_min);
}
actor_table_base::~actor_table_base() = default;

error actor_table_base::is_stopping() const {
  return {status_code::unavailable, service_ + " is stopping: its actors take no more messages"};
}

void actor_table_base::begin_activation() {
  ++activating_;
  if (watching_) return;
  // Without memory it does not begin, and nobody would see that the actor is idle. The scope may count it all the same for a while.
  watch_failed_ = false;
  if (!watcher_.spawn([this] { return begin_to_watch(); }) || watch_failed_) throw std::bad_alloc();
}

void actor_table_base::activated(actor_entry& e) {
  --activating_;
  ++active_;
  metrics_->activations.add();
  settle(e);
  keep_bound();
  // A flood of new keys may fill the memory between two looks.
  if (metrics_->activations.value() % activations_a_look == 0 && memory_is_short()) ask_first(share_that_leaves());
}

void actor_table_base::keep_bound() {
  const std::size_t staying = active_ - std::min(active_, leaving_.running());
  if (staying > options_.active_max) ask_first(staying - options_.active_max);
}

void actor_table_base::activation_failed() noexcept {
  --activating_;
  metrics_->failed.add();
}

future<> actor_table_base::run_hook(future<> (*hook)(actor_entry& e), actor_entry& e) const {
  e.hook_began_ = false;
  const auto run = [hook, &e] {
    e.hook_began_ = true;
    return hook(e);
  };
  const duration limit = options_.hook_within;
  if (limit == no_timeout) return shielded(run);
  return shielded([run, limit] { return with_timeout(limit, run); });
}

void actor_table_base::stays(actor_entry& e) noexcept {
  ATOLL_SOMETIMES("actors: one was used after it was asked to leave");
  e.leaving_ = false;
}

void actor_table_base::deactivated(actor_entry& e, const result<>& outcome) noexcept {
  --active_;
  e.unlink();
  metrics_->deactivations.add();
  if (!outcome) {
    // Not to_string(), which may find no memory.
    const error& why = outcome.error();
    logger("actors").warning(complaints_, "an actor's on_deactivate failed", kv("service", service_),
                             kv("code", atoll::to_string(why.code())), kv("error", why.message()));
  }
}

bool actor_table_base::memory_is_short() const noexcept {
  const shard_memory* memory = this_shard().memory;
  if (memory == nullptr) return false;
  const auto now = memory->statistics();
  return now.enforced &&
         static_cast<double>(now.used_bytes) > options_.memory_share * static_cast<double>(now.budget_bytes);
}

bool actor_table_base::first_is_idle() noexcept {
  return !by_use_.empty() && coarse_now() - by_use_.front().used_ >= options_.idle_after;
}

future<> actor_table_base::begin_to_watch() {
  auto watched = watch();
  watch_failed_ = watched.available() && watched.failed();
  watching_ = !watch_failed_;
  return watched;
}

future<> actor_table_base::watch() {
  const duration look_every = std::clamp(options_.idle_after / 4, look_every_min, look_every_max);
  duration since_memory = duration::zero();
  while (true) {
    // No memory for a wait is no reason to stop watching.
    if (!co_await as_result(sleep(look_every))) co_await yield();
    if (watcher_.cancelled()) co_return;
    take_back_failed();
    while (first_is_idle()) {
      auto place = co_await as_result(leaving_places_.acquire());
      if (!place) break;
      if (first_is_idle()) ask_to_leave(by_use_.front(), *std::move(place));
    }
    keep_bound();  // those that were asked may have been used since
    since_memory += look_every;
    if (since_memory < look_every_max) continue;
    since_memory = duration::zero();
    if (memory_is_short()) ask_first(share_that_leaves());
  }
}

void actor_table_base::ask_first(std::size_t how_many) {
  for (; how_many > 0 && !by_use_.empty(); --how_many) {
    auto place = leaving_places_.try_acquire();
    if (!place) return;
    ask_to_leave(by_use_.front(), *std::move(place));
  }
}

void actor_table_base::take_back_failed() noexcept {
  if (std::exchange(may_have_failed_, false)) by_use_.splice(asked_);
}

void actor_table_base::ask_to_leave(actor_entry& e, semaphore_units place) {
  e.unlink();
  asked_.push_back(e);
  e.leaving_ = true;
  const auto leave = [this](actor_entry* which, const semaphore_units&) { return leave_in_turn(*which); };
  leaving_.spawn(leave, &e, std::move(place));
}

void actor_table_base::did_not_leave(const error& why) noexcept {
  may_have_failed_ = true;
  // A stop that is late has the calls refused that wait, and asks again.
  if (stopping_ && why.code() == status_code::unavailable) return;
  logger("actors").warning(complaints_, "an actor could not be asked to leave: it will be again",
                           kv("service", service_), kv("code", atoll::to_string(why.code())),
                           kv("error", why.message()));
}

future<> actor_table_base::until_some_left(actor_entry& e) {
  // Where no call is under way any more, its own has failed.
  if (leaving_.running() == 0) {
    if (auto place = leaving_places_.try_acquire()) ask_to_leave(e, *std::move(place));
  }
  return sleep(look_every_min);
}

future<> actor_table_base::stop() {
  stopping_ = true;
  end_streams();
  co_await watcher_.stop();
  while (active_ + activating_ > 0) {
    const bool late = cancellation() != nullptr;
    if (late) end_calls();
    const auto leave = [this] { return have_all_leave(); };
    const auto begin = [late, &leave] { return late ? shielded(leave) : leave(); };
    const auto left = co_await as_result(detail::invoke_safely(begin));
    if (!left) co_await yield();  // late, or there is no memory
  }
  co_await leaving_.close();
}

future<> actor_table_base::have_all_leave() {
  while (active_ + activating_ > 0) {
    if (const error* why = cancellation()) co_await fail(*why);
    // Those that serve a message come into the list at its end.
    take_back_failed();
    if (by_use_.empty()) {
      if (!co_await as_result(sleep(look_every_min))) co_await yield();
      continue;
    }
    auto place = co_await as_result(leaving_places_.acquire());
    if (!place) {
      co_await yield();
    } else if (!by_use_.empty()) {
      ask_to_leave(by_use_.front(), *std::move(place));
    }
  }
}

}  // namespace atoll_root::atoll::detail
