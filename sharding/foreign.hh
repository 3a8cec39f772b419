// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Threads that are no shards (a library's, an old program's, gRPC's) and how they reach the shards.
//
//   atoll::foreign_port port = atoll::foreign_port::of_this_process();                // on a shard; copy it anywhere
//   std::future<int> n = port.submit_to(1, [] { return local_table().size(); });      // on any thread, at any time
//   n.get();                                                      // blocks: never on a shard; throws what failed
//   port.try_submit_to(1, [] { ... }).get();                        // or gives it as a value: atoll::result<T>
//
// The function moves to that shard, runs there with a call context of its own (no deadline) and is destroyed there,
// before its answer is given. It may return a value or an atoll::future. Calls of one thread to one shard start in the
// order sent.
// Every call gets an answer. When main has ended, calls that did not begin get `unavailable`, so do new ones, and so do
// those that still run when the loop of their shard ends. A port may outlive its runtime.
// Bounds: `calls_in_flight_max` calls a shard; past it a call fails at once with `resource_exhausted`.
// Errors: get() of submit_to() throws a status_error, with `unknown` and its what() for other exceptions. The exception
// itself crosses where its type is one of <stdexcept>'s: they own what they have. std::bad_alloc becomes
// `resource_exhausted`.
// ThreadSanitizer can't see how the standard library counts the holders of an exception and may report its end as a
// race; try_submit_to() knows no exceptions.
// Cost: two allocations, one compare-and-swap, and a system call where the shard sleeps.
#pragma once

#include <exception>
#include <future>
#include <memory>
#include <optional>

#include <atoll/sharding/sendable.hh>
#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {
namespace detail {

/// What a foreign thread is thrown for an error.
std::exception_ptr exception_for_foreign(error e) noexcept;

/// Answer: R, and failures become exceptions, or result<R>.
template <class Answer, class R, class F>
class foreign_call final : public foreign_call_base {
 public:
  explicit foreign_call(F work) : foreign_call_base(&execute), work_(std::move(work)) {}

  std::future<Answer> get_future() { return answer_.get_future(); }

  /// Gives the answer and ends the call.
  void finish(result<R>&& outcome) noexcept {
    const std::unique_ptr<foreign_call> self(this);
    work_.reset();
    answer(std::move(outcome));
  }

  void abandon() noexcept override {
    local_sharding().foreign->answered(this_shard_id());
    answer(foreign_gate::stopped());
  }

 private:
  static void execute(task* t) noexcept {
    auto* self = static_cast<foreign_call*>(t);
    auto& local = local_sharding();
    if (local.foreign->closed()) return self->end(foreign_gate::stopped());
    ++local.foreign_calls;
    local.foreign_running.push_back(*self);
    // It answers whatever happens; only where there is no memory for its frame it does not even begin.
    if (auto begun = run(self); begun.failed()) self->end(begun.take_error());
  }

  static future<> run(foreign_call* self) {
    std::optional<future<R>> running([self] {
      const work_scope working(name_of_work<F>);
      return invoke_safely(*self->work_);
    }());
    try {
      if (running
              ->available()) {  // without giving way: what it has woken may block this shard till the answer is there
        auto outcome = running->get_result();
        running.reset();
        detail::depart(outcome);
        self->end(std::move(outcome));
        co_return;
      }
      auto outcome = co_await as_result(std::move(*running));
      running.reset();
      detail::depart(outcome);
      self->end(std::move(outcome));
    } catch (...) {  // the result's move failed
      self->end(error::from_exception(std::current_exception()));
    }
  }

  /// On the shard.
  void end(result<R>&& outcome) noexcept {
    list_hook::unlink();
    local_sharding().foreign->answered(this_shard_id());
    finish(std::move(outcome));
  }

  void answer(result<R>&& outcome) noexcept {
    if (!outcome) {
      auto& e = outcome.error();
      if constexpr (!std::is_same_v<Answer, R>) {
        e.drop_exception();
      } else {
        return answer_.set_exception(exception_for_foreign(std::move(e)));
      }
    }
    try {
      if constexpr (!std::is_same_v<Answer, R>) {
        answer_.set_value(std::move(outcome));
      } else if constexpr (std::is_void_v<R>) {
        answer_.set_value();
      } else {
        answer_.set_value(std::move(*outcome));
      }
    } catch (...) {  // the result's move failed
      answer_.set_exception(exception_for_foreign(error::from_exception(std::current_exception())));
    }
  }

  std::optional<F> work_;
  std::promise<Answer> answer_;
};

}  // namespace detail

/// Names a runtime to other threads. Copyable; using one after its runtime has ended is an error, not a crash.
class foreign_port {
 public:
  static constexpr std::uint32_t calls_in_flight_max = foreign_gate::calls_in_flight_max;

  /// REQUIRES: called on a shard.
  static foreign_port of_this_process() noexcept { return foreign_port(local_sharding().foreign); }

  /// Runs f on a shard. Any thread; the future may be waited for on any thread that is no shard.
  template <class F>
  auto submit_to(shard_id to, F f) const -> std::future<detail::unwrapped<std::invoke_result_t<F&>>> {
    return start<detail::unwrapped<std::invoke_result_t<F&>>>(to, std::move(f));
  }

  /// The same, with the failure as a value: nothing is thrown on its account.
  template <class F>
  auto try_submit_to(shard_id to, F f) const -> std::future<result<detail::unwrapped<std::invoke_result_t<F&>>>> {
    return start<result<detail::unwrapped<std::invoke_result_t<F&>>>>(to, std::move(f));
  }

  /// Whether they lead to the same runtime.
  bool operator==(const foreign_port& other) const noexcept = default;

  /// How many calls of foreign threads are on their way to a shard or run there. REQUIRES: there is such a shard.
  [[nodiscard]] std::uint32_t calls_in_flight(shard_id on) const noexcept { return gate_->calls_in_flight(on); }

  /// For bridges that count what they have under way themselves: the task runs once on that shard; its memory stays the
  /// sender's. Tasks of one thread to one shard run in order. REQUIRES: the shards run, and will until it has run.
  void send(task& t, shard_id to) const noexcept { gate_->room().send_foreign(t, to); }

 private:
  template <class Answer, class F>
  std::future<Answer> start(shard_id to, F f) const {
    using R = detail::unwrapped<std::invoke_result_t<F&>>;
    static_assert(sendable<R>, "what a foreign thread gets has to own all it refers to: see sharding/sendable.hh");
    auto call = std::make_unique<detail::foreign_call<Answer, R, F>>(std::move(f));
    auto answer = call->get_future();
    auto refused = gate_->send(*call, to);
    auto* sent = call.release();  // a refused call is answered, and ends, here
    if (refused) sent->finish(std::move(*refused));
    return answer;
  }

  explicit foreign_port(std::shared_ptr<foreign_gate> gate) noexcept : gate_(std::move(gate)) {}
  std::shared_ptr<foreign_gate> gate_;
};

}  // namespace atoll_root::atoll
