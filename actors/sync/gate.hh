// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// gate: counts who is inside, lets nobody in once it closes, and tells when all have left.
//
//   auto inside = gate.enter();                       // result<gate_hold>: `unavailable` once it closes
//   co_await gate.run([&] { return serve(); });       // enters, and leaves when the future is ready
//   co_await gate.close();                            // when all holds have gone
//
// Work that is spawned belongs into a scope, which also cancels and owns errors; a gate is for counting alone.
// Holds may outlive the gate. close() ends as any wait does where its context ends; the gate stays closed.
// Shard rules: one shard's. Cost: entering and leaving a few ns, no allocation.
#pragma once

#include <memory>

#include <atoll/actors/sync/condition_variable.hh>

namespace atoll_root::atoll {

namespace detail {
struct gate_core {
  explicit gate_core(std::string name) : left("gate", std::move(name)) {}
  void leave() noexcept {
    if (--inside == 0 && closed) {
      while (!left.empty()) left.complete_first();
    }
    drop();
  }
  void drop() noexcept {
    if (--references == 0) delete this;
  }
  wait_queue<void> left;
  std::uint64_t inside = 0;
  std::uint64_t references = 1;
  bool closed = false;
};
}  // namespace detail

/// A place inside a gate, left when this goes. Move-only.
class [[nodiscard]] gate_hold {
 public:
  gate_hold() noexcept = default;
  gate_hold(gate_hold&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  gate_hold& operator=(gate_hold&& other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~gate_hold() {
    if (core_ != nullptr) core_->leave();
  }

 private:
  friend class gate;
  explicit gate_hold(detail::gate_core& core) noexcept : core_(&core) {
    ++core.inside;
    ++core.references;
  }
  detail::gate_core* core_ = nullptr;
};

class gate {
 public:
  explicit gate(std::string name = {}) : core_(new detail::gate_core(std::move(name))) {}
  gate(const gate&) = delete;
  gate& operator=(const gate&) = delete;
  ~gate() {
    core_->left.fail_all(error(status_code::cancelled, "destroyed"));
    core_->drop();
  }

  result<gate_hold> enter() noexcept {
    if (core_->closed) return core_->left.failure(error(status_code::unavailable, "closed"));
    return gate_hold(*core_);
  }
  template <class F>
  auto run(F f) -> decltype(detail::invoke_and_await(f)) {
    const auto inside = co_await or_fail(enter());
    co_return co_await or_fail(detail::invoke_and_await(f));
  }
  future<> close() {
    core_->closed = true;
    return core_->inside == 0 ? make_ready_future() : core_->left.wait();
  }
  [[nodiscard]] bool closed() const noexcept { return core_->closed; }
  [[nodiscard]] std::uint64_t inside() const noexcept { return core_->inside; }

 private:
  detail::gate_core* core_;
};

}  // namespace atoll_root::atoll
