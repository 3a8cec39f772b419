// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// offload: a function that blocks (files, a database's library, a long computation) runs on another thread.
//
//   auto read = [path] { return read_file(path); };
//   std::string text = co_await atoll::offload(std::move(read));
//
// The function moves to a thread of the runtime's pool, runs and is destroyed there; what it returns, a value or a
// result<T>, comes back to the shard that called. It has to own what it uses: no references to the caller, whose frame
// may be gone by then, nothing of a shard, no this_shard(), no co_await.
// The wait ends when the caller's context is cancelled or its deadline passes; a function that had begun goes on, and
// what it returns is dropped, one that had not won't begin, but counts among the queued until its turn comes. In a
// context that is cancelled already nothing begins. A future that is dropped drops the result alone.
// At the end of the runtime, functions that had not begun fail with `unavailable`; those that had are waited for,
// however long they take: a function that never returns keeps the process.
// Bounds: runtime_options::offload: threads, queue. A full queue fails the call at once with `resource_exhausted`.
// Errors: a status_error keeps its error, any other exception becomes `unknown` with its what().
// Not promised: the order in which functions run.
// Cost: two allocations, a lock, and two wake-ups of threads.
#pragma once

#include <memory>
#include <optional>

#include <atoll/actors/future/cancel.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/sharding/offload_pool.hh>
#include <atoll/sharding/sendable.hh>
#include <atoll/sharding/shard_local.hh>

namespace atoll_root::atoll {
namespace detail {

template <class R>
struct offload_value {
  using type = R;
};
template <class T>
struct offload_value<result<T>> {
  using type = T;
};

/// The caller's side: its shard's alone, answered once. What comes later is dropped.
template <class T>
class offload_waiter final : cancel_hook {
 public:
  explicit offload_waiter(offload_job& job) : cancel_hook(&cancelled), job_(job) {}

  /// Ends when the context in force is cancelled.
  future<T> wait() {
    if (call_context* context = this_shard().context) context->add(*this);
    return answer_.get_future();
  }

  /// Stops waiting; a job that has not begun won't. Nothing where the answer is there.
  void give_up(error why) noexcept {
    job_.set_unwanted();
    cancel_hook::unlink();
    if (answer_.pending()) answer_.set_error(std::move(why));
  }

  void take(result<T>&& outcome) noexcept {
    cancel_hook::unlink();
    if (!answer_.pending()) return;
    try {
      answer_.set_result(std::move(outcome));
    } catch (...) {  // the result's move failed
      answer_.set_error(error::from_exception(std::current_exception()));
    }
  }

 private:
  static void cancelled(cancel_hook* hook, const error& reason) noexcept {
    static_cast<offload_waiter*>(hook)->give_up(wait_failed(reason, "offload"));
  }

  offload_job& job_;
  promise<T> answer_;
};

template <class T, class F>
class offload_call final : public offload_job {
 public:
  static future<T> start(F work) {
    std::unique_ptr<offload_call> call;
    std::optional<error> refused;
    try {
      call = std::make_unique<offload_call>(std::move(work));
      refused = local_sharding().offload.submit(*call);
    } catch (const std::bad_alloc&) {
      return make_failed_future<T>(error(status_code::resource_exhausted));
    }
    auto answer = call->waiter_.wait();
    if (refused) {
      call->waiter_.give_up(std::move(*refused));
    } else {
      static_cast<void>(call.release());  // comes back to complete()
    }
    return answer;
  }

  explicit offload_call(F work) : offload_job(&complete), work_(std::move(work)) {}

 private:
  void work() noexcept override {
    try {
      if constexpr (std::is_void_v<std::invoke_result_t<F&>>) {
        (*work_)();
        outcome_.emplace();
      } else {
        outcome_.emplace((*work_)());
      }
    } catch (...) {
      outcome_.emplace(error::from_exception(std::current_exception()));
    }
    work_.reset();
    if (!*outcome_) outcome_->error().drop_exception();
  }

  static void complete(task* t) noexcept {
    const std::unique_ptr<offload_call> self(static_cast<offload_call*>(t));
    if (self->outcome_) {
      self->waiter_.take(std::move(*self->outcome_));
    } else {
      self->waiter_.give_up(error(status_code::unavailable, "offload: the runtime stopped before the function began"));
    }
  }

  // The thread's side, from submit() until the job is home again.
  std::optional<F> work_;
  std::optional<result<T>> outcome_;
  // The caller's.
  offload_waiter<T> waiter_{*this};
};

}  // namespace detail

/// Runs f on a thread of the runtime's pool. On a shard.
template <class F>
auto offload(F f) -> future<typename detail::offload_value<std::invoke_result_t<F&>>::type> {
  using R = std::invoke_result_t<F&>;
  using T = typename detail::offload_value<R>::type;
  static_assert(!detail::future_value<R>::is_future, "an offloaded function runs on no shard: it can't give a future");
  static_assert(sendable<T>,
                "what an offloaded function returns has to own all it refers to: see sharding/sendable.hh");
  if (const error* reason = cancellation()) return make_failed_future<T>(detail::wait_failed(*reason, "offload"));
  if (current_deadline() != never && mono_now() >= current_deadline()) {
    return make_failed_future<T>(error(status_code::deadline_exceeded, "offload: deadline exceeded before it began"));
  }
  return detail::offload_call<T, F>::start(std::move(f));
}

}  // namespace atoll_root::atoll
