// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// scope: owns work that runs in the background, waits for it and takes its errors.
//
//   background_.spawn(accept_connections());
//   co_await background_.close();            // when everything spawned has ended
//
// Shard rules: one shard's. A failure of spawned work is logged as a warning, with the name the scope has, unless
// its code is `cancelled`. close() waits as long as it takes: no deadline of the caller cuts it short.
// A scope that is destroyed while its work runs logs that, and the work goes on: what it refers to must outlive it.
#pragma once

#include <memory>
#include <string>

#include <atoll/actors/future/future.hh>
#include <atoll/actors/sync/wait_list.hh>

namespace atoll_root::atoll {

class scope {
 public:
  explicit scope(std::string name);
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;
  ~scope();

  void spawn(future<> work);
  future<> close();
  [[nodiscard]] std::size_t running() const noexcept { return state_->running; }

 private:
  struct state {
    std::string name;
    std::size_t running = 0;
    wait_list ended;
  };

  static future<> run(std::shared_ptr<state> s, future<> work);

  std::shared_ptr<state> state_;
};

}  // namespace atoll_root::atoll
