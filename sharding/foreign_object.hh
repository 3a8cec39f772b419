// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// foreign<T>: owns an object that lives on another shard: what Seastar calls a foreign_ptr, without a pointer.
//
//   atoll::foreign<index> built(std::make_unique<index>(rows));       // on its home shard, where it stays
//   co_return built;                                                  // as a result or an argument it goes anywhere
//   auto hits = co_await built.call(&index::find, key);               // runs at home; the arguments and the result travel
//   built.reset();                                                    // or its end: the object is destroyed at home
//
// The object is used by messages alone: there is no way to a T& elsewhere. What is called is a member function, or a
// function without captures whose first parameter is a T&; it may return a value or a future. Calls of one shard start
// in the order made. The object is destroyed on its home shard when its owner has let go of it and no call of it is under
// way any more, whichever way the calls and the owner went.
// Bounds: as many calls under way from a shard to another as of services (outbox::calls_in_flight_max); past it a call
// fails with `resource_exhausted`. Nothing waits.
// Errors: what the function fails with, `deadline_exceeded`, `cancelled`; `failed_precondition` where nothing is owned.
// Shard rules: made on the shard that T belongs to; move-only, sendable, usable on every shard of the process. An owner
// that goes on a thread that is no shard has it destroyed at home as well, or, after the end of the runtime, there.
// Cost: a call is a submit_to; making it is one allocation; letting go of it is a message without one.
#pragma once

#include <memory>
#include <tuple>
#include <utility>

#include <atoll/actors/base/chrono.hh>
#include <atoll/sharding/foreign.hh>
#include <atoll/sharding/sendable.hh>
#include <atoll/sharding/start_arguments.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll {
namespace detail {

/// The object with what its home shard knows of its users.
template <class T>
class foreign_block final : public task {
 public:
  explicit foreign_block(std::unique_ptr<T> object)
      : task(&let_go), object_(std::move(object)), home_(this_shard_id()), port_(foreign_port::of_this_process()) {
    task::ordered = true;  // behind the calls that were made before
  }

  [[nodiscard]] T& object() noexcept { return *object_; }
  [[nodiscard]] shard_id home() const noexcept { return home_; }

  /// REQUIRES: on a shard.
  [[nodiscard]] bool is_of_this_runtime() const noexcept { return port_ == foreign_port::of_this_process(); }

  /// The owner lets go, having made so many calls. From any thread.
  void drop(std::uint64_t calls) noexcept {
    calls_made_ = calls;
    if (!on_shard() || !is_of_this_runtime()) return drop_from_a_thread();
    if (this_shard_id() == home_) return let_go(this);
    local_sharding().mail.send(*this, home_);
  }
  /// At home: a call has ended.
  void call_ended() noexcept {
    ++calls_ended_;
    go_if_free();
  }

 private:
  static void let_go(task* t) noexcept {
    auto& self = *static_cast<foreign_block*>(t);
    self.dropped_ = true;
    self.go_if_free();
  }
  void go_if_free() noexcept {
    if (dropped_ && calls_ended_ == calls_made_) delete this;
  }
  void drop_from_a_thread() noexcept {
    const foreign_port port = port_;  // this may be gone before the call returns
    try {
      auto told = port.try_submit_to(home_, [this] { let_go(this); });
      if (told.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return;
      const auto answer = told.get();
      // Its runtime has ended: this is nobody else's any more. Where too many threads call, it stays for good.
      if (!answer && answer.error().code() == status_code::unavailable) let_go(this);
    } catch (const std::bad_alloc&) {
      return;  // the same, for want of the memory to say so
    }
  }

  std::unique_ptr<T> object_;
  shard_id home_;
  foreign_port port_;
  std::uint64_t calls_made_ = 0;
  std::uint64_t calls_ended_ = 0;
  bool dropped_ = false;
};

template <class T, class Function, class... A>
struct foreign_object_call {
  auto operator()(void* /*instance*/) {
    const auto bound = [this] {
      return std::apply([this](A&... a) { return invoke_any(function, block->object(), std::move(a)...); }, packed);
    };
    return invoke_and_await(bound);
  }
  void depart()
    requires(must_depart<std::tuple<A...>>)
  {
    detail::depart(packed);
  }
  /// The record is made: it will travel, and its end be told.
  void in_record(call_message& /*message*/, call_caller& /*caller*/) noexcept { ++*calls_made; }
  void ended() noexcept { block->call_ended(); }

  foreign_block<T>* block;
  std::uint64_t* calls_made;  // the owner's, for in_record()
  Function function;
  std::tuple<A...> packed;
};

}  // namespace detail

template <class T>
class foreign {
 public:
  /// Owns nothing.
  foreign() noexcept = default;
  /// On the object's shard.
  explicit foreign(std::unique_ptr<T> object) : block_(new detail::foreign_block<T>(std::move(object))) {}
  foreign(foreign&& other) noexcept
      : block_(std::exchange(other.block_, nullptr)), calls_made_(std::exchange(other.calls_made_, 0)) {}
  /// What it owned before it lets go of, as reset() does.
  foreign& operator=(foreign&& other) noexcept {
    foreign taken(std::move(other));
    std::swap(block_, taken.block_);
    std::swap(calls_made_, taken.calls_made_);
    return *this;
  }
  ~foreign() { reset(); }

  /// Whether it owns something.
  explicit operator bool() const noexcept { return block_ != nullptr; }
  /// REQUIRES: it owns something.
  [[nodiscard]] shard_id home() const noexcept {
    ATOLL_ASSERT(block_ != nullptr, "home() of a foreign<T> that owns nothing");
    return block_->home();
  }

  /// Calls function(object, arguments...) at home.
  template <class Function, class... A>
  auto call(Function function, A... arguments) -> future<detail::unwrapped<std::invoke_result_t<Function&, T&, A...>>> {
    using R = detail::unwrapped<std::invoke_result_t<Function&, T&, A...>>;
    static_assert(travels_as_function<Function>,
                  "what is called on other shards must have no captures. Give what it needs as arguments after it");
    static_assert((sendable<A> && ...), "the arguments travel to the object's shard");
    static_assert(sendable<R>, "what comes back from the object's shard has to be sendable");
    if (block_ == nullptr) {
      return make_failed_future<R>(error(status_code::failed_precondition, "a call of a foreign<T> that owns nothing"));
    }
    const shard_id home = block_->home();
    if (!block_->is_of_this_runtime()) {
      return make_failed_future<R>(error(status_code::unavailable, "a call of a foreign<T> whose runtime has ended"));
    }
    if (home != this_shard_id() && local_sharding().outboxes[home].in_flight() >= outbox::calls_in_flight_max) {
      return make_failed_future<R>(
          error(status_code::resource_exhausted, "too many calls under way to shard " + std::to_string(home)));
    }
    return start_call<R>(nullptr, home, no_timeout,
                         detail::foreign_object_call<T, Function, A...>{block_, &calls_made_, std::move(function),
                                                                        std::tuple<A...>(std::move(arguments)...)});
  }

  /// Lets go of the object: it is destroyed at home, once the calls under way have ended.
  void reset() noexcept {
    if (block_ != nullptr) std::exchange(block_, nullptr)->drop(std::exchange(calls_made_, 0));
  }

 private:
  detail::foreign_block<T>* block_ = nullptr;
  std::uint64_t calls_made_ = 0;
};

template <class T>
inline constexpr bool enable_sendable<foreign<T>> = true;

/// An object of this shard, made of these arguments, that may be owned on any.
template <class T, class... A>
foreign<T> make_foreign(A&&... arguments) {
  return foreign<T>(std::make_unique<T>(std::forward<A>(arguments)...));
}

}  // namespace atoll_root::atoll
