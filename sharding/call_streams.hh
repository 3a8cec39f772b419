// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The streams of a call between two shards: its results, an argument, or both. Internal to atoll.
//
//   auto totals = counters.at(1).watch("hits");          // a stream<hit>: the method runs there, the values come here
//   while (auto t = co_await totals.next()) show(*t);
//
// A streaming call is a call like others, whose record stays with the callee until the streams have ended: so bounds,
// deadlines, cancellation and stop() are those of calls. Beside it, values travel in blocks: each stream has `blocks_max` of
// them, which go to the consumer's shard with up to stream<T>::buffered_max values, and back when those have been
// taken. So a slow consumer stops its producer, and nothing is allocated for a block of values.
// A call with streams has its place among the calls under way (outbox.hh) only until it is opened; how many may be open
// at an instance, service_options says.
// Who owns what: the object belongs to the caller's shard. The ends there (`near`) and those of the callee (`far`) are
// touched by their shards alone, a block by the shard that has it. A block that comes to where nobody reads or writes any
// more goes back, `refused`; so the object knows when all are home, and goes then.
#pragma once

#include <array>
#include <optional>
#include <utility>
#include <vector>

#include <atoll/actors/future/stream.hh>
#include <atoll/actors/memory/prefetch.hh>
#include <atoll/actors/sync/wait_queue.hh>
#include <atoll/sharding/call.hh>
#include <atoll/sharding/service_core.hh>

namespace atoll_root::atoll {

class call_streams_base;
struct sharding_local;

/// In a list of its shard.
struct call_streams_hook : list_hook {};

namespace detail {

class stream_way;

struct stream_block : task {
  stream_block() noexcept : task(&arrive) { at_once = true; }

  stream_way* way = nullptr;
  std::optional<error> failure;  // the producer's; with `last`
  bool to_callee = false;        // where it is, or is going to
  bool rests_there = false;      // at the callee, until the record goes back; written there
  bool last = false;             // nothing comes after it
  bool refused = false;          // nobody reads any more

 private:
  static void arrive(task* t) noexcept;
};

/// What is at an end of a way; all is called on its own shard.
class stream_end {
 public:
  virtual void arrived(stream_block& block) noexcept = 0;
  /// The caller's: the callee is ready for values.
  virtual void opened() noexcept {}
  /// The caller's: the callee reads no more.
  virtual void nobody_reads() noexcept {}
  /// The callee's: the call's outcome is there.
  virtual void call_ended() noexcept {}

 protected:
  ~stream_end() = default;
};

/// One direction.
class stream_way {
 public:
  static constexpr std::size_t blocks_max = 4;

  stream_way() = default;
  stream_way(const stream_way&) = delete;
  stream_way& operator=(const stream_way&) = delete;

  call_streams_base* call = nullptr;
  std::array<stream_block*, blocks_max> blocks{};
  // The caller's.
  stream_end* near = nullptr;
  std::size_t away = 0;  // blocks that are not here
  bool refused = false;  // nobody reads any more
  // The callee's.
  alignas(64) stream_end* far = nullptr;

 protected:
  ~stream_way() = default;
};

}  // namespace detail

class call_streams_base : public call_streams_hook {
 public:
  call_streams_base(const call_streams_base&) = delete;
  call_streams_base& operator=(const call_streams_base&) = delete;
  virtual ~call_streams_base() = default;

  // The caller's.
  void belongs_to(call_caller& caller) noexcept { caller_ = &caller; }
  /// The call goes to another shard than it was made for. REQUIRES: nothing of it was sent.
  void set_to(shard_id to) noexcept { to_ = to; }
  [[nodiscard]] bool is_open() const noexcept { return is_open_; }
  void attach_near(detail::stream_way& way, detail::stream_end& end) noexcept { way.near = &end; }
  void detach_near(detail::stream_way& way) noexcept;
  /// It stays until unpin(): an end may be about to be attached. Once at a time.
  void pin() noexcept { pinned_ = true; }
  void unpin() noexcept {
    pinned_ = false;
    free_if_done();
  }
  /// Of the record: it is back, or was never sent.
  void record_gone() noexcept;
  /// For the end of the shard: frees it where nothing is awaited but blocks under way.
  static void free_rest(sharding_local& shard) noexcept;

  // The callee's.
  [[nodiscard]] open_streams& place() noexcept { return place_; }
  /// The method has been called: the caller is told.
  void opened() noexcept;
  /// The argument's reader has left, or will: the caller is told.
  void nobody_reads(detail::stream_way& way) noexcept;
  /// The record goes back.
  void call_ended() noexcept;

  /// Sends a block to the other side.
  void send(detail::stream_block& block) noexcept;
  /// A block has come to this shard.
  void arrived(detail::stream_block& block) noexcept;

 protected:
  explicit call_streams_base(shard_id to);
  /// `with_record`: the blocks go to the callee with the record, as it is the one who fills them.
  void add(detail::stream_way& way, bool with_record) noexcept;

 private:
  struct open_note final : task {
    explicit open_note(call_streams_base& s) noexcept : task(&arrive), streams(s) { at_once = true; }
    static void arrive(task* t) noexcept;
    call_streams_base& streams;
  };

  struct refusal_note final : task {
    refusal_note() noexcept : task(&arrive) { at_once = true; }
    static void arrive(task* t) noexcept;
    detail::stream_way* way = nullptr;  // set where it was sent
  };

  [[nodiscard]] bool is_local() const noexcept { return from_ == to_; }
  void free_if_done() noexcept;

  shard_id from_;
  shard_id to_;
  std::array<detail::stream_way*, 2> ways_{};
  // The caller's.
  call_caller* caller_ = nullptr;
  bool is_open_ = false;
  bool record_gone_ = false;
  bool pinned_ = false;
  // The callee's. Both notes are home before the record, which goes the same way after them.
  alignas(64) open_note note_{*this};
  refusal_note refusal_;
  open_streams place_;
};

namespace detail {

template <class T>
struct values_block final : stream_block {
  std::vector<T> values;

  /// It has come from the other side: its memory has not yet.
  template <bool ToWrite>
  void fetch() const noexcept {
    if constexpr (!std::is_same_v<T, bool>)
      fetch_all<ToWrite>(values.data(), (ToWrite ? values.capacity() : values.size()) * sizeof(T));
  }
};

template <class T>
struct way_of final : stream_way {
  using value_type = T;
  std::array<values_block<T>, blocks_max> values;
};

/// Puts the values of a stream into blocks. Lives in the frame of pump().
template <class T>
class stream_writer final : stream_end {
 public:
  /// Sends what the source gives, until its end. The source's failure goes to the reader from the caller's side, and is the
  /// result on the callee's. Ends early where nobody reads any more.
  static future<> pump(way_of<T>& way, bool near, stream<T>& source) {
    stream_writer self(way, near, source);
    while (true) {
      while (self.empty_.empty() && !self.refused_) co_await or_fail(self.waits_.wait());
      if (self.refused_) co_return;
      auto& block = static_cast<values_block<T>&>(static_cast<stream_block&>(self.empty_.pop()));
      auto filled = co_await as_result(source.next_batch_into(block.values));
      if (near && self.refused_) co_return;
      if constexpr (must_depart<T>) {
        if (filled) filled = all_depart(block.values);
      }
      block.last = !filled || block.values.empty();
      if (block.last && !near) co_await or_fail(future<>::from_result(std::move(filled)));
      if (block.last && !near) co_return;
      if (!filled) block.failure = std::move(filled).error();
      if (block.failure) block.failure->drop_exception();
      const bool last = block.last;
      way.call->send(block);
      if (last) co_return;
    }
  }

 private:
  stream_writer(way_of<T>& way, bool near, stream<T>& source) noexcept : way_(way), source_(source), near_(near) {
    if (near_) {
      way_.call->attach_near(way_, *this);
      refused_ = way_.refused;
      if (way_.call->is_open()) opened();
    } else {
      way_.far = this;
      take_blocks();
    }
  }
  stream_writer(const stream_writer&) = delete;
  ~stream_writer() {
    if (near_) {
      way_.call->detach_near(way_);
    } else {
      way_.far = nullptr;
    }
  }

  static result<> all_depart(std::vector<T>& values) noexcept {
    try {
      detail::depart(values);
      return {};
    } catch (...) {
      values.clear();  // those that have not departed belong to this shard
      return error::from_exception(std::current_exception());
    }
  }
  void take_blocks() noexcept {
    for (stream_block* block : way_.blocks) empty_.push(*block);
  }
  void arrived(stream_block& block) noexcept override {
    refused_ = refused_ || block.refused;
    static_cast<const values_block<T>&>(block).template fetch<true>();
    empty_.push(block);
    wake();
  }
  void opened() noexcept override {
    take_blocks();
    wake();
  }
  void nobody_reads() noexcept override {
    refused_ = true;
    source_.cancel(
        error(status_code::cancelled, "nobody reads the stream any more"));  // it may wait for its next value
    wake();
  }
  void wake() noexcept {
    if (!waits_.empty()) waits_.complete_first();
  }

  way_of<T>& way_;
  stream<T>& source_;
  const bool near_;
  bool refused_ = false;
  run_queue empty_;
  wait_queue<void> waits_{"a stream's reader", {}};
};

/// A stream whose values come from the other shard.
template <class T>
class stream_reader final : public stream_state<T>, stream_end {
 public:
  /// Of the callee, or of the caller: then cancelling `call` ends the call.
  static stream<T> at_callee(way_of<T>& way) {
    auto* reader = new stream_reader(way, std::nullopt);
    way.far = reader;
    return stream<T>(*reader);
  }
  static stream_reader& at_caller(way_of<T>& way, cancel_source call) {
    auto* reader = new stream_reader(way, std::move(call));
    way.call->attach_near(way, *reader);
    return *reader;
  }

  /// The caller's: the call's outcome is there, and nothing comes after what has come.
  void ends_with(result<> outcome) noexcept {
    if (way_ == nullptr) return;
    if (!outcome) failure_ = std::move(outcome).error();
    ended_ = true;
    refill();
  }

 private:
  stream_reader(way_of<T>& way, std::optional<cancel_source> call)
      : stream_state<T>(0), way_(&way), call_(std::move(call)) {}
  ~stream_reader() override = default;

  void arrived(stream_block& block) noexcept override {
    if (block.refused) return;  // it was on its way to a producer that had ended
    static_cast<const values_block<T>&>(block).template fetch<!std::is_trivially_copyable_v<T>>();
    blocks_.push(block);
    if (this->values.empty()) refill();
  }
  void call_ended() noexcept override {
    failure_ = error(status_code::cancelled, "the call that this stream was an argument of has ended");
    ended_ = true;
    while (!blocks_.empty()) blocks_.pop();  // they are counted where the record goes
    leave_and_finish();
  }

  void go_on() noexcept override {
    if (this->values.empty()) refill();
  }
  void end(const error& why) noexcept override {
    if (call_) return call_->cancel(why);
    if (!failure_) failure_ = why;
    if (!std::exchange(ended_, true)) way_->call->nobody_reads(*way_);
    if (this->values.empty()) leave_and_finish();
  }
  void abandon() noexcept override {
    if (call_) call_->cancel(error(status_code::cancelled, "nobody reads the stream any more"));
    if (!call_ && way_ != nullptr && !ended_) way_->call->nobody_reads(*way_);
    this->finished = true;  // for who waits for that: nobody else says so now
    leave();
  }

  void refill() noexcept {
    while (this->values.empty() && !blocks_.empty()) {
      auto& block = static_cast<values_block<T>&>(static_cast<stream_block&>(blocks_.pop()));
      this->values.receive(block.values);
      if (block.last) {
        if (!ended_) failure_ = std::move(block.failure);  // else the reader ended it before
        ended_ = true;
      } else if (!ended_) {
        way_->call->send(block);
      }
    }
    if (!this->values.empty()) return this->wake_consumer();
    if (ended_) leave_and_finish();
  }
  void leave_and_finish() noexcept {
    if (this->finished) return;
    this->finished = true;
    this->failure = std::exchange(failure_, std::nullopt);
    this->wake_consumer();
    leave();
  }
  /// Lets go of the way; the last thing that is done with it.
  void leave() noexcept {
    way_of<T>* way = std::exchange(way_, nullptr);
    if (way == nullptr) return;
    if (!call_) way->far = nullptr;
    while (!blocks_.empty()) {
      auto& block = static_cast<stream_block&>(blocks_.pop());
      block.refused = true;
      if (!call_) way->call->send(block);  // the producer learns that nobody reads any more
    }
    if (call_) way->call->detach_near(*way);
    this->drop();
  }

  way_of<T>* way_;  // null where it has left
  std::optional<cancel_source> call_;
  std::optional<error> failure_;  // behind what can still be read
  bool ended_ = false;
  run_queue blocks_;
};

struct no_stream {};
template <class T>
using way_or_none =
    std::conditional_t<std::is_void_v<T>, no_stream, way_of<std::conditional_t<std::is_void_v<T>, unit, T>>>;

}  // namespace detail

/// The streams of one call. In: of its argument, Out: of its result; void: none.
template <class In, class Out>
class call_streams final : public call_streams_base {
 public:
  explicit call_streams(shard_id to) : call_streams_base(to) {
    if constexpr (!std::is_void_v<In>) lay_out(in, false);
    if constexpr (!std::is_void_v<Out>) lay_out(out, true);
  }

  detail::way_or_none<In> in;
  detail::way_or_none<Out> out;

 private:
  template <class T>
  void lay_out(detail::way_of<T>& way, bool with_record) noexcept {
    for (std::size_t i = 0; i < way.blocks.size(); ++i) way.blocks[i] = &way.values[i];
    add(way, with_record);
  }
};

/// Held by the record.
template <class In, class Out>
class call_streams_hold {
 public:
  explicit call_streams_hold(shard_id to) : streams_(new call_streams<In, Out>(to)) {}
  call_streams_hold(call_streams_hold&& other) noexcept : streams_(std::exchange(other.streams_, nullptr)) {}
  call_streams_hold& operator=(call_streams_hold&&) = delete;
  ~call_streams_hold() {
    if (streams_ != nullptr) streams_->record_gone();
  }
  call_streams<In, Out>* operator->() const noexcept { return streams_; }
  call_streams<In, Out>& operator*() const noexcept { return *streams_; }

 private:
  call_streams<In, Out>* streams_;
};

namespace detail {

/// The callee's side of a call that gives a stream.
template <class T>
future<> serve_stream(way_of<T>& way, stream<T> source) {
  auto outcome = co_await as_result(stream_writer<T>::pump(way, false, source));
  while (true) {  // what the producer refers to may go with the call
    const auto closed = co_await as_result(source.close());
    if (closed) break;
    co_await yield();  // no memory to wait with
  }
  co_await or_fail(future<>::from_result(std::move(outcome)));
}

/// Keeps the streams of a call for a coroutine that may begin after the call has ended.
class streams_pin {
 public:
  explicit streams_pin(call_streams_base& of) noexcept : of_(&of) { of.pin(); }
  streams_pin(streams_pin&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
  streams_pin& operator=(streams_pin&&) = delete;
  ~streams_pin() {
    if (of_ != nullptr) of_->unpin();
  }

 private:
  call_streams_base* of_;
};

/// The caller's side of a call that takes a stream. Ends the call where it can't send the stream's end.
template <class T>
future<> send_stream(way_of<T>& way, streams_pin /*kept*/, stream<T> source, cancel_source call) {
  const auto outcome = co_await as_result(stream_writer<T>::pump(way, true, source));
  if (!outcome) call.cancel(outcome.error());
  while (true) {
    const auto closed = co_await as_result(source.close());
    if (closed) break;
    co_await yield();  // no memory to wait with
  }
}

/// The outcome of a call that takes a stream, when that has ended, too.
template <class R>
future<R> end_sending(future<R> call, future<> sending, cancel_source sender) {
  auto outcome = co_await as_result(std::move(call));
  sender.cancel();
  static_cast<void>(co_await as_result(std::move(sending)));
  co_return co_await or_fail(future<R>::from_result(std::move(outcome)));
}

/// Ends the reader with the call's outcome.
template <class T>
future<> end_reading(future<> call, stream_hold<T> held) {
  auto outcome = co_await as_result(std::move(call));
  static_cast<stream_reader<T>*>(held.state)->ends_with(std::move(outcome));
}

}  // namespace detail
}  // namespace atoll_root::atoll
