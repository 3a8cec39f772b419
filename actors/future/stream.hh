// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// stream<T>: values that come one after the other from a coroutine that yields them.
//
//   atoll::stream<int> count(int to) {
//     for (int i = 0; i < to; ++i) co_yield i;                  // waits while enough values are not taken yet
//   }
//   auto numbers = count(10);
//   while (auto n = co_await numbers.next()) use(*n);           // std::optional<T>: nullopt at the end
//   auto batch = co_await numbers.next_batch();                 // std::vector<T>: what is there, at least one; empty at the end
//
// The producer starts when the first value is asked for. It runs on until `buffered_max` values wait to be taken, so that
// it and its consumer change over once for many values.
// Errors go both ways: a producer that fails gives what it had yielded and then its failure to the consumer; the consumer
// may end the producer with cancel(error): its next co_yield raises that, and its waits end with it. A stream
// that is dropped early cancels its producer and lets go: at its next co_yield, at the latest, the producer's locals are
// destroyed. What the producer refers to must live until then: give it values.
// Shard rules: one shard's; one consumer, one next() at a time. next() ends where the consumer's context ends, and may be
// called again.
// Cost: a pooled frame and state for the stream; a value buffered some ns, a change-over two tasks.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include <atoll/actors/future/cancel.hh>

namespace atoll_root::atoll {

template <class T>
class stream;

namespace detail {

/// What producer and consumer of a stream share.
template <class T>
class stream_state {
 public:
  static constexpr std::size_t buffered_max = 64;

  /// The one who waits in next(); ends by a value, the end, or its context.
  struct consumer_wait final : wait_state<void> {
    explicit consumer_wait(stream_state& s) noexcept : wait_state<void>(&destroy, &cancelled), owner(s) {}
    static void cancelled(cancel_hook* hook, const error& reason) noexcept {
      auto* self = static_cast<consumer_wait*>(static_cast<wait_state<void>*>(hook));
      self->owner.waiting = nullptr;
      self->end_with_error(wait_failed(reason, "a stream"));
    }
    static void destroy(state_base* s) noexcept {
      auto* self = static_cast<consumer_wait*>(static_cast<wait_state<void>*>(static_cast<state<void>*>(s)));
      self->~consumer_wait();
      pool_free(self, sizeof(consumer_wait));
    }
    using wait_state<void>::end_with;
    using wait_state<void>::watch_context;
    stream_state& owner;
  };

  stream_state() : context(context_ptr::below(this_shard().context, current_call())) {}
  stream_state(const stream_state&) = delete;
  stream_state& operator=(const stream_state&) = delete;
  ~stream_state() {
    if (failure && !abandoned) report_abandoned(*failure);
  }

  void drop() noexcept {
    if (--references == 0) delete this;
  }
  void wake_consumer() noexcept {
    if (consumer_wait* w = std::exchange(waiting, nullptr)) w->end_with();
  }
  /// Lets the producer go on where it waits in a co_yield, or hasn't begun.
  void wake_producer() noexcept {
    if (task* t = std::exchange(paused, nullptr)) schedule(*t);
  }
  future<> wait() {
    if (const error* reason = cancellation()) return make_failed_future(wait_failed(*reason, "a stream"));
    ATOLL_ASSERT(waiting == nullptr, "one next() of a stream at a time");
    void* block = pool_try_allocate(sizeof(consumer_wait));
    if (block == nullptr) return make_failed_future(error(status_code::resource_exhausted));
    waiting = ::new (block) consumer_wait(*this);
    future<> f(static_cast<state<void>&>(*waiting));
    waiting->watch_context();
    return f;
  }

  std::deque<T> values;
  std::optional<error> failure;  // of the producer, until the consumer took it
  std::optional<error> ended_by_consumer;
  context_ptr context;  // the producer's
  consumer_wait* waiting = nullptr;
  task* paused = nullptr;  // the producer, where it hasn't begun or waits in a co_yield
  bool begun = false;
  std::uint32_t references = 1;
  bool finished = false;
  bool abandoned = false;
};

template <class T>
struct stream_hold {
  explicit stream_hold(stream_state<T>& s) noexcept : state(&s) { ++s.references; }
  stream_hold(stream_hold&& other) noexcept : state(std::exchange(other.state, nullptr)) {}
  stream_hold& operator=(stream_hold&&) = delete;
  ~stream_hold() {
    if (state != nullptr) state->drop();
  }
  stream_state<T>* state;
};

template <class T>
class stream_promise final : public coroutine_base {
 public:
  stream_promise()
      : coroutine_base(this_shard(), std::coroutine_handle<stream_promise>::from_promise(*this).address(), nullptr),
        state_(new stream_state<T>()) {
    task::context = state_->context;
    state_->paused = this;
  }
  stream_promise(const stream_promise&) = delete;
  stream_promise& operator=(const stream_promise&) = delete;
  ~stream_promise() {
    state_->finished = true;
    state_->wake_consumer();
    state_->drop();
  }
#if defined(__GNUC__) && !defined(__clang__)
  template <class First, class... A>
  explicit stream_promise(First&, A&...) : stream_promise() {
    refuse_captures<First>();
  }
#endif

  stream<T> get_return_object() noexcept { return stream<T>(*state_); }
  struct begin {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> /*handle*/) const noexcept {}
    void await_resume() const noexcept { state.begun = true; }
    stream_state<T>& state;
  };
  begin initial_suspend() const noexcept { return {*state_}; }
  /// The frame goes with the producer's end.
  struct end {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<stream_promise> handle) const noexcept { handle.promise().destroy(); }
    void await_resume() const noexcept {}
  };
  end final_suspend() const noexcept { return {}; }
  /// Destroys the frame in the producer's own context, which it may hold the last reference to. None is in force then.
  void destroy() noexcept {
    const context_ptr own = state_->context;
    current_shard->context = own.get();
    std::coroutine_handle<stream_promise>::from_promise(*this).destroy();
    current_shard->context = nullptr;
  }
  void return_void() const noexcept {}
  void unhandled_exception(std::source_location at = std::source_location::current()) noexcept {
    state_->failure = error::from_exception(std::current_exception(), at);
  }

  class yield_awaiter {
   public:
    explicit yield_awaiter(stream_state<T>& s) noexcept : state_(s) {}
    bool await_ready() const noexcept {
      return !state_.abandoned && !state_.ended_by_consumer && state_.values.size() < stream_state<T>::buffered_max &&
             !should_give_way();
    }
    void await_suspend(std::coroutine_handle<stream_promise> handle,
                       std::source_location site = std::source_location::current()) noexcept {
      if (state_.abandoned) return handle.promise().destroy();
      coroutine_base& self = suspended(handle, site);
      if (state_.ended_by_consumer || state_.values.size() < stream_state<T>::buffered_max) {
        schedule(self);
      } else {
        state_.paused = &self;
      }
    }
    void await_resume() const {
      if (state_.ended_by_consumer) state_.ended_by_consumer->raise();
    }

   private:
    stream_state<T>& state_;
  };

  yield_awaiter yield_value(T value) {
    if (!state_->abandoned && !state_->ended_by_consumer) {
      state_->values.push_back(std::move(value));
      state_->wake_consumer();
    }
    return yield_awaiter(*state_);
  }

  // For fail and or_fail.
  template <class P>
  coroutine_base& suspended_base(std::coroutine_handle<P> /*handle*/) noexcept {
    return *this;
  }
  state_base* fail_frame(error e) noexcept {
    state_->failure = std::move(e);
    destroy();
    return nullptr;
  }
  static state_base* fail_suspended(coroutine_base& c, error e) noexcept {
    return static_cast<stream_promise&>(c).fail_frame(std::move(e));
  }

  static void* operator new(std::size_t bytes) { return pool_allocate(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept { current_shard->blocks.free(block, bytes); }

 private:
  stream_state<T>* state_;
};

}  // namespace detail

template <class T>
class [[nodiscard]] stream {
 public:
  using value_type = T;
  using promise_type = detail::stream_promise<T>;
  static constexpr std::size_t buffered_max = detail::stream_state<T>::buffered_max;

  stream(stream&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  stream& operator=(stream&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~stream() {
    if (state_ == nullptr) return;
    state_->abandoned = true;
    state_->values.clear();
    if (!state_->finished) {
      if (state_->paused != nullptr) {
        destroy_paused();
      } else {
        state_->context->cancel(error(status_code::cancelled, "nobody reads the stream any more"));
      }
    }
    state_->drop();
  }

  /// The next value; nullopt at the end. After what the producer had yielded, its failure.
  future<std::optional<T>> next() {
    if (!state_->values.empty()) return make_ready_future<std::optional<T>>(take(*state_));
    return next_slowly(detail::stream_hold<T>(*state_));
  }
  /// All values that are there, at least one, at most buffered_max; none at the end.
  future<std::vector<T>> next_batch() { return take_batch(detail::stream_hold<T>(*state_)); }

  /// Ends the producer: its waits, and its next co_yield, fail with this. What it had yielded can still be read.
  void cancel(const error& why) noexcept {
    if (state_->finished || state_->ended_by_consumer) return;
    state_->ended_by_consumer = why;
    state_->context->cancel(why);
    if (state_->begun || state_->paused == nullptr) return state_->wake_producer();
    state_->failure = why;  // it never begins
    destroy_paused();
  }

 private:
  friend promise_type;
  explicit stream(detail::stream_state<T>& s) noexcept : state_(&s) { ++s.references; }

  /// REQUIRES: the producer is paused: nothing else refers to its frame.
  void destroy_paused() noexcept {
    const detail::context_scope back_to_ours(this_shard().context);
    static_cast<promise_type&>(static_cast<detail::coroutine_base&>(*std::exchange(state_->paused, nullptr))).destroy();
  }
  static T take(detail::stream_state<T>& s) {
    T value = std::move(s.values.front());
    s.values.pop_front();
    // Half empty: the producer fills it while we use the rest.
    if (s.values.size() <= buffered_max / 2) s.wake_producer();
    return value;
  }
  static future<std::optional<T>> next_slowly(detail::stream_hold<T> held) {
    auto& s = *held.state;
    while (s.values.empty() && !s.finished) {
      s.wake_producer();
      co_await or_fail(s.wait());
    }
    if (!s.values.empty()) co_return take(s);
    if (s.failure) co_return *std::exchange(s.failure, std::nullopt);
    co_return std::nullopt;
  }

  static future<std::vector<T>> take_batch(detail::stream_hold<T> held) {
    auto& s = *held.state;
    std::vector<T> batch;
    if (s.values.empty()) {
      detail::stream_hold<T> also(s);
      auto first = co_await or_fail(next_slowly(std::move(also)));
      if (!first) co_return batch;
      batch.reserve(1 + s.values.size());
      batch.push_back(std::move(*first));
    }
    batch.reserve(batch.size() + s.values.size());
    while (!s.values.empty()) batch.push_back(take(s));
    co_return batch;
  }

  detail::stream_state<T>* state_;
};

}  // namespace atoll_root::atoll

template <class T, class... A>
struct std::coroutine_traits<atoll::stream<T>, A...> {
  static_assert((!std::is_rvalue_reference_v<A> && ...),
                "an atoll coroutine takes its parameters by value: an rvalue reference would dangle "
                "after the first co_await");
  using promise_type = atoll::detail::stream_promise<T>;
};
