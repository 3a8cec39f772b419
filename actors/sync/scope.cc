// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/scope.hh>

#include <atoll/actors/base/log.hh>

namespace atoll_root::atoll {

void scope::spawn(future<> work) {
  ++running_;
  static_cast<void>(run(std::move(work)));  // run() never fails; close() waits for it
}

future<> scope::run(future<> work) {
  const auto outcome = co_await as_result(std::move(work));
  if (!outcome && outcome.error().code() != status_code::cancelled) {
    log_warning("{}: {}", name_, outcome.error().to_string());
  }
  if (--running_ == 0) ended_.wake_all();
}

future<> scope::close() {
  while (running_ > 0) co_await ended_.wait();
}

}  // namespace atoll_root::atoll
