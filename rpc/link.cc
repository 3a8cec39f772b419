// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/link.hh>

#include <algorithm>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/reactor/points.hh>

namespace atoll_root::atoll::rpc {

/// Where a call stands in a list.
struct link::turn : list_hook {};

/// A call whose reply is awaited: the producer of the caller's future and the timer of its deadline.
struct link::pending_call final : detail::producer<std::string>, timer_node, cancel_hook, turn {
  pending_call(link& l, const remote_method& m, std::uint64_t hash, std::string&& its_request) noexcept
      : timer_node(&expire),
        cancel_hook(&cancelled),
        owner(l),
        method(m),
        key_hash(hash),
        request(std::move(its_request)) {
    const auto values = current_call();
    depth = values.depth;
    trace_id = values.trace_id;
  }

  static void expire(timer_node* t) noexcept {
    auto* self = static_cast<pending_call*>(t);
    self->owner.forget(*self);
    self->finish(error(status_code::deadline_exceeded, "deadline exceeded in a remote call"));
  }

  static void cancelled(cancel_hook* hook, const error& reason) noexcept {
    auto* self = static_cast<pending_call*>(hook);
    self->owner.forget(*self);
    self->finish(detail::wait_failed(reason, "a remote call"));
  }

  /// The last that is done with it.
  void finish(result<std::string> outcome) {
    owner.options_.counts->called.add(outcome ? status_code::ok : outcome.error().code());
    set_result(std::move(outcome));
    wake();
    this->~pending_call();
    pool_free(this, sizeof(pending_call));
  }

  link& owner;
  const remote_method& method;
  const std::uint64_t key_hash;
  std::string request;  // until it is sent
  std::uint64_t id = 0;
  std::uint32_t depth = 0;
  std::uint64_t trace_id = 0;
  bool has_place = false;
  bool sent = false;
};

link::link(link_options options) : options_(std::move(options)) {}
link::~link() = default;

duration link::backoff_left() const noexcept { return std::max(retry_at_ - mono_now(), duration::zero()); }

std::optional<error> link::refusal() const {
  const bool waiting = state_ == state::idle && mono_now() < retry_at_;
  if (state_ != state::stopped && !waiting && !goaway_) return std::nullopt;
  return error(status_code::unavailable, "node " + std::to_string(options_.to_node) + " (" +
                                             options_.address.to_string() +
                                             ") is down: " + std::string(last_failure_.message()));
}

future<std::string> link::call(const remote_method& method, std::uint64_t key_hash, std::string request,
                               time_point deadline) {
  if (request.size() + 1024 > frame_bytes_max) {
    return make_failed_future<std::string>(
        error(status_code::resource_exhausted, "a request of " + std::to_string(request.size()) +
                                                   " bytes; a frame has room for " + std::to_string(frame_bytes_max)));
  }
  if (auto refused = refusal()) return make_failed_future<std::string>(std::move(*refused));
  if (const error* reason = cancellation()) {
    return make_failed_future<std::string>(detail::wait_failed(*reason, "a remote call"));
  }
  if (deadline <= mono_now()) {
    return make_failed_future<std::string>(
        error(status_code::deadline_exceeded, "deadline exceeded before the call was sent"));
  }
  connect_if_idle();
  if (auto refused = refusal()) return make_failed_future<std::string>(std::move(*refused));  // it failed at once

  if (free_slots_.empty()) {
    // Room for all, so that giving a slot back needs no memory.
    free_slots_.reserve(calls_.size() + 1);
    calls_.push_back(nullptr);
    free_slots_.push_back(static_cast<std::uint32_t>(calls_.size() - 1));
  }
  auto* pending = ::new (pool_allocate(sizeof(pending_call))) pending_call(*this, method, key_hash, std::move(request));
  future<std::string> reply(*pending);
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  calls_[slot] = pending;
  if (!ATOLL_MUTANT(7) || generation_ == 0) ++generation_;
  if (generation_ == 0) ++generation_;  // call id 0 is the connection's own
  pending->id = (std::uint64_t{generation_} << 32) | slot;
  this_shard().timers->arm(*pending, deadline);
  if (call_context* context = this_shard().context) context->add(*pending);
  if (pending->depth == 0 && (in_flight_ >= in_flight_max() || !waiting_.empty())) {
    ATOLL_SOMETIMES("rpc: a call waited for a place on its link");
    waiting_.push_back(*pending);
  } else if (auto failed = place(*pending)) {
    drop(*pending);
    pending->finish(std::move(*failed));
  }
  return reply;
}

std::optional<error> link::place(pending_call& call) noexcept {
  ++in_flight_;
  call.has_place = true;
  if (state_ == state::up) return put_call(call);
  unsent_.push_back(call);
  return std::nullopt;
}

void link::place_waiting() noexcept {
  while (in_flight_ < in_flight_max() && !waiting_.empty()) {
    auto& next = static_cast<pending_call&>(*waiting_.pop_front());
    if (auto failed = place(next)) {
      drop(next);
      next.finish(std::move(*failed));
    }
  }
}

std::uint32_t link::in_flight_max() noexcept {
  return ATOLL_KNOB(link_calls, calls_in_flight_max, 1, calls_in_flight_max);
}

std::optional<error> link::put_call(pending_call& call) noexcept {
  if (ATOLL_BUGGIFY(0.002)) connection_->close(error(status_code::unavailable, "the connection broke"));
  std::string& out = connection_->out();
  const std::size_t before = out.size();
  try {
    if (goaway_) return refusal();
    if (connection_->unsent_bytes() > connection::unsent_bytes_max / 2) {
      return error(status_code::resource_exhausted,
                   "node " + std::to_string(options_.to_node) + " does not read fast enough");
    }
    write_call(call);
    return std::nullopt;
  } catch (const std::bad_alloc&) {
    // No half frame, and no number for a method that the peer was not told of.
    out.resize(std::min(before, out.size()));
    if (const auto known = method_ids_.find(&call.method);
        known != method_ids_.end() && known->second > method_ids_told_) {
      method_ids_.erase(known);
    }
    return error(status_code::resource_exhausted);
  }
}

void link::write_call(pending_call& call) {
  const duration left = time_point(duration(call.at)) - mono_now();
  call_body body;
  const auto [known, first] = method_ids_.try_emplace(&call.method, static_cast<std::uint32_t>(method_ids_.size() + 1));
  body.method_id = known->second;
  if (first) {
    body.service = call.method.service;
    body.method = call.method.name;
    body.fingerprint = call.method.fingerprint;
  }
  body.timeout_us = static_cast<std::uint64_t>(
      std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::microseconds>(left).count()));
  body.depth = call.depth;
  body.trace_id = call.trace_id;
  body.request = call.request;
  body.key_hash = call.key_hash;
  put_frame(connection_->out(), frame_kind::call, call.id, body);
  call.sent = true;
  method_ids_told_ = static_cast<std::uint32_t>(method_ids_.size());
  connection_->flush_soon();
  if (!ATOLL_MUTANT(5)) call.request = std::string();
}

void link::drop(pending_call& call) noexcept {
  const auto slot = static_cast<std::uint32_t>(call.id);
  calls_[slot] = nullptr;
  free_slots_.push_back(slot);
  call.turn::unlink();
  if (call.has_place) --in_flight_;
}

void link::forget(pending_call& call) noexcept {
  drop(call);
  place_waiting();
}

void link::finish(std::uint64_t call_id, result<std::string> outcome) {
  const auto slot = static_cast<std::uint32_t>(call_id);
  if (slot >= calls_.size() || calls_[slot] == nullptr || calls_[slot]->id != call_id) {
    ATOLL_SOMETIMES("rpc: a reply came after its call's end");
    return;  // the call's deadline came first
  }
  pending_call& call = *calls_[slot];
  forget(call);
  call.finish(std::move(outcome));
}

void link::connect_if_idle() {
  if (state_ != state::idle) return;
  state_ = state::connecting;
  goaway_ = false;
  method_ids_.clear();
  method_ids_told_ = 0;
  connection_ = std::make_shared<connection>(connection::role::calls, options_.frame_timeout, options_.counts);
  connection_->out().append(preface);
  put_frame(connection_->out(), frame_kind::hello, 0,
            hello_body{options_.cluster, options_.from_node, options_.to_node, options_.to_shard});
  if (!background_.spawn([this] { return run(); })) {
    connection_ended(error(status_code::unavailable, "no connection can be started"));
  }
}

/// Ends a connection whose peer doesn't welcome us in time.
class link::welcome_timer final : timer_node {
 public:
  welcome_timer(link& l, time_point until) : timer_node(&fire), link_(l) { this_shard().timers->arm(*this, until); }

 private:
  static void fire(timer_node* t) noexcept {
    auto& l = static_cast<welcome_timer*>(t)->link_;
    if (l.state_ == state::connecting) {
      l.connection_->close(error(status_code::deadline_exceeded, "it took the connection but did not answer"));
    }
  }
  link& link_;
};

future<> link::run() {
  const auto keep = shared_from_this();
  const auto current = connection_;
  ++options_.counts->connects;
  const time_point until = saturating_add(mono_now(), options_.connect_timeout);
  auto stream = co_await as_result(with_deadline(until, [this] { return this_shard().io->connect(options_.address); }));
  if (!stream) {
    connection_ended(stream.error());
    co_return;
  }
  const welcome_timer limit(*this, until);
  const auto ended = co_await as_result(
      current->run(*std::move(stream), std::string(), [this](const frame& f) { return on_frame(f); }));
  if (!ended) current->close(ended.error());
  connection_ended(current->reason());
}

std::optional<error> link::on_frame(const frame& f) {
  switch (f.kind) {
    case frame_kind::welcome: {
      welcome_body welcome;
      if (auto bad = decode_message(f.body, welcome)) return bad;
      peer_shards_ = welcome.shards;
      if (state_ != state::connecting) return std::nullopt;
      state_ = state::up;
      backoff_ = {};
      while (turn* next = unsent_.pop_front()) {
        auto& call = static_cast<pending_call&>(*next);
        if (auto failed = put_call(call)) {
          drop(call);
          call.finish(std::move(*failed));
        }
      }
      changed_.notify_all();
      return std::nullopt;
    }
    case frame_kind::reply:
      finish(f.call_id, std::string(f.body));
      return std::nullopt;
    case frame_kind::failure:
      if (f.call_id == 0) return parse_failure(f.body);
      finish(f.call_id, parse_failure(f.body));
      return std::nullopt;
    case frame_kind::ping:
      put_frame(connection_->out(), frame_kind::pong, f.call_id, std::string_view());
      connection_->flush_soon();
      return std::nullopt;
    case frame_kind::pong:
      return std::nullopt;
    case frame_kind::goaway:
      ATOLL_SOMETIMES("rpc: a peer said that it stops");
      goaway_ = true;
      last_failure_ = error(status_code::unavailable, "it is stopping");
      return std::nullopt;
    default:
      return error(status_code::invalid_argument, "a frame that a client does not expect");
  }
}

void link::connection_ended(const error& why) {
  const bool was_up = state_ == state::up;
  if (state_ != state::stopped) state_ = state::idle;
  last_failure_ = why;
  goaway_ = false;
  if (!was_up) {
    ++options_.counts->connects_failed;
    // The attempt failed, or the peer took the connection and refused it.
    backoff_ = std::clamp(backoff_ * 2, options_.backoff_least, options_.backoff_most);
    const auto half = static_cast<std::uint64_t>(backoff_.count() / 2);
    retry_at_ = mono_now() + duration(static_cast<std::int64_t>(half + this_shard().random.below(half)));
  }
  const std::string what = "node " + std::to_string(options_.to_node) + " (" + options_.address.to_string() +
                           "): " + std::string(why.message());
  const error unsent(status_code::unavailable, what);
  const error broken(status_code::unavailable, what + "; whether the call was carried out is unknown");
  if (was_up) ATOLL_SOMETIMES("rpc: a connection was lost");
  if (ATOLL_MUTANT(5) && was_up && state_ == state::idle) {
    for (auto* each : calls_) {
      if (each != nullptr && each->sent && !each->turn::linked()) unsent_.push_back(*each);
    }
    return connect_if_idle();
  }
  for (std::size_t slot = 0; slot < calls_.size(); ++slot) {
    if (calls_[slot] != nullptr) finish(calls_[slot]->id, calls_[slot]->sent ? broken : unsent);
  }
  changed_.notify_all();
}

future<shard_id> link::connected() {
  const auto keep = shared_from_this();
  if (auto refused = refusal()) co_return std::move(*refused);
  connect_if_idle();
  while (state_ == state::connecting) co_await changed_.wait();
  if (state_ != state::up) co_return last_failure_;
  co_return peer_shards_;
}

future<> link::lost() {
  const auto keep = shared_from_this();
  while (state_ == state::up) co_await changed_.wait();
}

future<> link::stop() {
  const auto keep = shared_from_this();
  state_ = state::stopped;
  last_failure_ = error(status_code::unavailable, "this node is stopping");
  changed_.notify_all();
  if (connection_) connection_->close(last_failure_);
  co_await background_.close();
}

}  // namespace atoll_root::atoll::rpc
