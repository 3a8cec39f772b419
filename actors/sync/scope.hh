// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// scope: owns work that runs in the background, waits for it and takes its errors.
//
//   background_.spawn(accept_connections());
//   co_await background_.close();            // when everything spawned has ended
//
// Shard rules: one shard's. A failure of spawned work is logged as a warning, with the name the scope has, unless
// its code is `cancelled`. REQUIRES: closed before it is destroyed, if anything was spawned and still runs.
#pragma once

#include <string>

#include <atoll/actors/future/future.hh>
#include <atoll/actors/sync/wait_list.hh>

namespace atoll_root::atoll {

class scope {
 public:
  explicit scope(std::string name) : name_(std::move(name)) {}
  ~scope() { ATOLL_ASSERT(running_ == 0, "a scope was destroyed while its work runs"); }

  void spawn(future<> work);
  future<> close();
  [[nodiscard]] std::size_t running() const noexcept { return running_; }

 private:
  future<> run(future<> work);

  std::string name_;
  std::size_t running_ = 0;
  wait_list ended_;
};

}  // namespace atoll_root::atoll
