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
// destroyed. What the producer refers to must live until then: give it values, or co_await close().
// Shard rules: one shard's; one consumer, one next() at a time: another fails with `failed_precondition`. next() ends where
// the consumer's context ends, and may be called again. One that still waits when its stream is dropped fails with `cancelled`.
// Cost: a pooled frame and state for the stream; a value buffered some ns, a change-over two tasks.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <atoll/actors/future/cancel.hh>

namespace atoll_root::atoll {

template <class T>
class stream;

namespace detail {

/// Values in the order they came, taken from the front; a whole batch changes hands without a look at its values.
template <class T>
class stream_values {
 public:
  [[nodiscard]] bool empty() const noexcept { return taken_ == items_.size(); }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size() - taken_; }

  void push(T&& value) {
    if (taken_ >= compact_at) {
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(taken_));
      taken_ = 0;
    }
    items_.push_back(std::move(value));
  }
  /// REQUIRES: !empty().
  T take() {
    T value = std::move(items_[taken_]);
    if (++taken_ == items_.size()) clear();
    return value;
  }
  /// Gives all to a vector, which is empty, and takes over its memory.
  void give(std::vector<T>& to) {
    if (taken_ > 0) items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(taken_));
    items_.swap(to);
    taken_ = 0;
  }
  /// Takes the values of a vector over, and gives it its memory. REQUIRES: empty().
  void receive(std::vector<T>& from) noexcept {
    items_.swap(from);
    from.clear();
  }
  void clear() noexcept {
    items_.clear();
    taken_ = 0;
  }

 private:
  static constexpr std::size_t compact_at = 64;

  std::vector<T> items_;
  std::size_t taken_ = 0;
};

/// A stream as its consumer sees it; what the producer is, the derived class knows.
template <class T>
class stream_state {
 public:
  static constexpr std::size_t buffered_max = 64;

  /// The one who waits in next(); ends by a value, the end, or its context.
  struct consumer_wait final : pooled_wait<void, consumer_wait> {
    explicit consumer_wait(stream_state& s) noexcept : pooled_wait<void, consumer_wait>(&cancelled), owner(s) {}
    static void cancelled(cancel_hook* hook, const error& reason) noexcept {
      auto* self = static_cast<consumer_wait*>(hook);
      self->owner.waiting = nullptr;
      self->end_with_error(wait_failed(reason, "a stream"));
    }
    stream_state& owner;
  };

  /// `low`: go_on() is called where no more values than this are left.
  explicit stream_state(std::size_t low) noexcept : low_water(low) {}
  stream_state(const stream_state&) = delete;
  stream_state& operator=(const stream_state&) = delete;

  /// More values are wanted: there is room, or somebody waits.
  virtual void go_on() noexcept = 0;
  /// The consumer ends the producer, whose values can be read still. REQUIRES: !finished.
  virtual void end(const error& why) noexcept = 0;
  /// Nobody reads any more.
  virtual void abandon() noexcept = 0;

  void drop() noexcept {
    if (--references == 0) delete this;
  }
  /// The consumer has to wait: there may come more, and nothing is there.
  [[nodiscard]] bool has_to_wait() const noexcept { return values.empty() && !finished && !abandoned; }
  void wake_consumer() noexcept {
    if (consumer_wait* w = std::exchange(waiting, nullptr)) w->end_with();
  }
  T take() {
    T value = values.take();
    if (values.size() <= low_water) go_on();
    return value;
  }
  future<> wait() {
    if (const error* reason = cancellation()) return make_failed_future(wait_failed(*reason, "a stream"));
    if (waiting != nullptr) {
      return make_failed_future(error(status_code::failed_precondition, "another next() of this stream is under way"));
    }
    void* block = pool_try_allocate(sizeof(consumer_wait));
    if (block == nullptr) return make_failed_future(error(status_code::resource_exhausted));
    waiting = ::new (block) consumer_wait(*this);
    future<> f(*waiting);
    waiting->watch_context();
    return f;
  }

  stream_values<T> values;
  std::optional<error> failure;  // of the producer, until the consumer took it
  consumer_wait* waiting = nullptr;
  std::size_t low_water;
  std::uint32_t references = 1;
  bool finished = false;  // no more values come
  bool abandoned = false;

 protected:
  virtual ~stream_state() {
    if (failure && !abandoned) report_abandoned(*failure);
  }
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
class stream_promise;

/// The stream of a coroutine that yields.
template <class T>
class coroutine_stream final : public stream_state<T> {
  using base = stream_state<T>;

 public:
  coroutine_stream()
      : base(base::buffered_max / 2), context(context_ptr::below(this_shard().context, current_call())) {}

  /// Lets the producer go on where it waits in a co_yield, or hasn't begun.
  void go_on() noexcept override {
    if (task* t = std::exchange(paused, nullptr)) schedule(*t);
  }
  void end(const error& why) noexcept override {
    if (ended_by_consumer) return;
    ended_by_consumer = why;
    context->cancel(why);
    if (begun || paused == nullptr) return go_on();
    this->failure = why;  // it never begins
    destroy_paused();
  }
  void abandon() noexcept override {
    if (this->finished) return;
    if (paused != nullptr) return destroy_paused();
    context->cancel(error(status_code::cancelled, "nobody reads the stream any more"));
  }
  [[nodiscard]] bool takes_more() const noexcept {
    return !ended_by_consumer && this->values.size() < base::buffered_max;
  }

  std::optional<error> ended_by_consumer;
  context_ptr context;     // the producer's
  task* paused = nullptr;  // the producer, where it hasn't begun or waits in a co_yield
  bool begun = false;

 private:
  /// REQUIRES: the producer is paused: nothing else refers to its frame.
  void destroy_paused() noexcept {
    const context_scope back_to_ours(this_shard().context);
    static_cast<stream_promise<T>&>(static_cast<coroutine_base&>(*std::exchange(paused, nullptr))).destroy();
  }
};

template <class T>
class stream_promise final : public coroutine_base {
 public:
  stream_promise() : coroutine_base(this_shard(), nullptr, {}), state_(new coroutine_stream<T>()) {
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

  stream<T> get_return_object() noexcept {
#if defined(__GNUC__) && !defined(__clang__)
    refuse_misplaced(static_cast<coroutine_base*>(this));
#endif
    return stream<T>(*state_);
  }
  struct begin {
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> /*handle*/) const noexcept {}
    void await_resume() const noexcept { state.begun = true; }
    coroutine_stream<T>& state;
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
    if (current_shard->running == this) current_shard->running = nullptr;
    std::coroutine_handle<stream_promise>::from_promise(*this).destroy();
    current_shard->context = nullptr;
  }
  void return_void() const noexcept {}
  void unhandled_exception(std::source_location at = std::source_location::current()) noexcept {
    state_->failure = error::from_exception(std::current_exception(), at);
  }

  class yield_awaiter {
   public:
    explicit yield_awaiter(coroutine_stream<T>& s) noexcept : state_(s) {}
    bool await_ready() const noexcept { return !state_.abandoned && state_.takes_more() && !should_give_way(); }
    void await_suspend(std::coroutine_handle<stream_promise> handle,
                       std::source_location site = std::source_location::current()) noexcept {
      if (state_.abandoned) return handle.promise().destroy();
      coroutine_base& self = suspended(handle, site);
      if (state_.ended_by_consumer || state_.takes_more()) {
        schedule(self);
      } else {
        state_.paused = &self;
      }
    }
    void await_resume() const {
      if (state_.ended_by_consumer) state_.ended_by_consumer->raise();
    }

   private:
    coroutine_stream<T>& state_;
  };

  yield_awaiter yield_value(T value) {
    if (!state_->abandoned && !state_->ended_by_consumer) {
      state_->values.push(std::move(value));
      state_->wake_consumer();
    }
    return yield_awaiter(*state_);
  }

  // For fail and or_fail.
  template <class P>
  coroutine_base& suspended_base(std::coroutine_handle<P> /*handle*/, std::source_location site) noexcept {
    waits_at(site);
    return *this;
  }
  std::coroutine_handle<> fail_frame(error&& e) noexcept {
    state_->failure = std::move(e);
    destroy();
    return std::noop_coroutine();
  }
  static task* fail_suspended(coroutine_base& c, error&& e) noexcept {
    static_cast<stream_promise&>(c).fail_frame(std::move(e));
    return nullptr;
  }

  static void* operator new(std::size_t bytes) { return pool_allocate(bytes); }
  static void operator delete(void* block, std::size_t bytes) noexcept { current_shard->blocks.free(block, bytes); }

 private:
  coroutine_stream<T>* state_;
};

}  // namespace detail

template <class T>
class [[nodiscard]] stream {
 public:
  using value_type = T;
  using promise_type = detail::stream_promise<T>;
  static constexpr std::size_t buffered_max = detail::stream_state<T>::buffered_max;

  /// The consumer's side of what is no coroutine: for the layers above.
  explicit stream(detail::stream_state<T>& s) noexcept : state_(&s) { ++s.references; }
  stream(stream&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  stream& operator=(stream&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~stream() {
    if (state_ == nullptr) return;
    state_->abandoned = true;
    state_->values.clear();
    state_->abandon();
    state_->wake_consumer();
    state_->drop();
  }

  /// The next value; nullopt at the end. After what the producer had yielded, its failure.
  future<std::optional<T>> next() {
    if (!state_->values.empty()) return make_ready_future<std::optional<T>>(state_->take());
    return next_slowly(detail::stream_hold<T>(*state_));
  }
  /// All values that are there, at least one, at most buffered_max; none at the end.
  future<std::vector<T>> next_batch() {
    std::vector<T> batch;
    if (!state_->values.empty()) {
      state_->values.give(batch);
      state_->go_on();
      return make_ready_future<std::vector<T>>(std::move(batch));
    }
    return next_batch_slowly(detail::stream_hold<T>(*state_));
  }
  /// The same, into a vector that is empty, whose memory the stream takes over.
  future<> next_batch_into(std::vector<T>& batch) {
    if (state_->values.empty()) return fill(detail::stream_hold<T>(*state_), batch);
    state_->values.give(batch);
    state_->go_on();
    return make_ready_future();
  }

  /// Ends the producer: its waits, and its next co_yield, fail with this. What it had yielded can still be read.
  void cancel(const error& why) noexcept {
    if (!state_->finished) state_->end(why);
  }
  /// Ends the producer, drops what it yielded, and waits until it is gone, with all that it refers to; a failure of its
  /// own is dropped, too. No deadline cuts this short. A producer on another shard is told, and not waited for: nothing of
  /// it refers to this one.
  future<> close() {
    cancel(error(status_code::cancelled, "the stream is closed"));
    state_->failure.reset();
    state_->values.clear();
    if (state_->finished) return make_ready_future();
    return wait_for_end(detail::stream_hold<T>(*state_));
  }

 private:
  static future<std::optional<T>> next_slowly(detail::stream_hold<T> held) {
    auto& s = *held.state;
    while (s.has_to_wait()) {
      s.go_on();
      if (s.has_to_wait()) co_await or_fail(s.wait());
    }
    if (!s.values.empty()) co_return s.take();
    if (s.abandoned) co_return dropped();
    if (s.failure) co_return *std::exchange(s.failure, std::nullopt);
    co_return std::nullopt;
  }
  static future<std::vector<T>> next_batch_slowly(detail::stream_hold<T> held) {
    auto& s = *held.state;
    std::vector<T> batch;
    detail::stream_hold<T> also(s);
    co_await or_fail(fill(std::move(also), batch));
    co_return batch;
  }
  static future<> fill(detail::stream_hold<T> held, std::vector<T>& batch) {
    auto& s = *held.state;
    while (s.has_to_wait()) {
      s.go_on();
      if (s.has_to_wait()) co_await or_fail(s.wait());
    }
    if (!s.values.empty()) {
      s.values.give(batch);
      s.go_on();
    } else if (s.abandoned) {
      co_await fail(dropped());
    } else if (s.failure) {
      co_await fail(*std::exchange(s.failure, std::nullopt));
    }
  }
  static error dropped() noexcept {
    return error(status_code::cancelled, "the stream was dropped while its next() waited");
  }
  static future<> wait_for_end(detail::stream_hold<T> held) {
    auto& s = *held.state;
    while (true) {
      s.values.clear();
      s.go_on();
      if (s.finished) break;
      if (!s.values.empty()) continue;
      const auto wait = [&s] { return s.wait(); };
      if (!co_await as_result(with_context({}, wait))) co_await yield();  // for want of memory
    }
    s.failure.reset();
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
