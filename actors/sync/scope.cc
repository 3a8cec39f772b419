// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/scope.hh>

#include <atoll/actors/base/log.hh>

namespace atoll_root::atoll {

scope::scope(std::string name) : state_(std::make_shared<state>()) { state_->name = std::move(name); }

scope::~scope() {
  if (running() > 0) log_warning("{}: destroyed while {} of its tasks run", state_->name, running());
}

void scope::spawn(future<> work) {
  ++state_->running;
  static_cast<void>(run(state_, std::move(work)));  // never fails; close() waits for it
}

future<> scope::run(std::shared_ptr<state> s, future<> work) {
  const auto outcome = co_await as_result(std::move(work));
  if (!outcome && outcome.error().code() != status_code::cancelled) {
    log_warning("{}: {}", s->name, outcome.error().to_string());
  }
  if (--s->running == 0) s->ended.wake_all();
}

future<> scope::close() {
  const auto s = state_;
  while (s->running > 0) co_await with_context({}, [&s] { return s->ended.wait(); });
}

}  // namespace atoll_root::atoll
