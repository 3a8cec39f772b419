// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/server.hh>

#include <algorithm>
#include <array>
#include <limits>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/reactor/points.hh>
#include <atoll/actors/sync/condition_variable.hh>

namespace atoll_root::atoll::rpc {
namespace {

/// Ends a stream when its time is over.
class handshake_timer final : timer_node {
 public:
  handshake_timer(tcp_stream& stream, duration longest) : timer_node(&fire), stream_(stream) {
    this_shard().timers->arm(*this, saturating_add(mono_now(), longest));
  }

 private:
  static void fire(timer_node* t) noexcept { static_cast<handshake_timer*>(t)->stream_.shutdown(); }
  tcp_stream& stream_;
};

error malformed(const char* what) { return {status_code::invalid_argument, what}; }

}  // namespace

/// One connection on its shard.
class server::session : public std::enable_shared_from_this<session> {
 public:
  explicit session(server& owner)
      : owner_(owner),
        counts_(owner.options_.counts),
        connection_(std::make_shared<connection>(connection::role::serves, owner.options_.frame_timeout,
                                                 owner.options_.counts)) {}

  [[nodiscard]] connection& link() noexcept { return *connection_; }

  std::optional<error> on_frame(const frame& f) {
    switch (f.kind) {
      case frame_kind::call:
        on_call(f);
        return std::nullopt;
      case frame_kind::ping:
        put_frame(link().out(), frame_kind::pong, f.call_id, std::string_view());
        link().flush_soon();
        return std::nullopt;
      case frame_kind::pong:
      case frame_kind::goaway:
        return std::nullopt;
      case frame_kind::failure:
        return error(status_code::unavailable, "the peer ended the connection: " + parse_failure(f.body).to_string());
      default:
        return malformed("a frame that a server does not expect");
    }
  }

  void say_goaway() {
    put_frame(link().out(), frame_kind::goaway, 0, std::string_view());
    link().flush_soon();
  }

  /// Waits until no call is being served and all replies are sent, at most until then; and closes.
  future<> drain(time_point until) {
    while (in_flight_ > (ATOLL_MUTANT(6) ? 1U : 0U) && !link().closed() && mono_now() < until) {
      static_cast<void>(co_await idle_.wait_for(until - mono_now()));
    }
    while (link().unsent_bytes() > 0 && !link().closed() && mono_now() < until) {
      co_await sleep(std::min<duration>(std::chrono::milliseconds(1), until - mono_now()));
    }
    link().close(error(status_code::unavailable, "the node stopped"));
  }

  /// The connection has ended: whoever waits for its calls need not.
  void ended() noexcept { idle_.notify_all(); }

 private:
  /// A method as this connection numbers it; looked up again while it is unknown.
  struct known_method {
    std::string service;
    std::string name;
    std::shared_ptr<const service_binding> binding;
    const method_binding* method = nullptr;
  };

  static constexpr std::size_t methods_max = 4'096;
  static constexpr std::size_t name_bytes_max = 512;

  void on_call(const frame& f) {
    call_body call;
    if (auto bad = decode_message(f.body, call)) return fail(f.call_id, *bad);
    auto method = find(call);
    if (!method) return fail(f.call_id, method.error());
    if (in_flight_ >= calls_in_flight_max || request_bytes_ + f.body.size() > request_bytes_max) {
      return fail(f.call_id, error(status_code::resource_exhausted, "too many calls under way on this connection"));
    }
    if (owner_.stopping_) {
      ATOLL_SOMETIMES("rpc: a call came to a node that stops");
      return fail(f.call_id, error(status_code::unavailable, "the node is stopping"));
    }
    call_values values;
    values.depth = call.depth;
    values.trace_id = call.trace_id;
    if (call.timeout_us != 0) {
      // What doesn't fit a duration is some 292 years away.
      constexpr std::uint64_t longest_us = std::numeric_limits<std::int64_t>::max() / 1000;
      values.deadline = saturating_add(mono_now(), std::chrono::microseconds(std::min(call.timeout_us, longest_us)));
    }
    if (ATOLL_MUTANT(1) && f.call_id % 32 == 0) {
      static_cast<void>(serve_call(f.call_id, **method, call, values, f.body.size()));
    }
    static_cast<void>(serve_call(f.call_id, **method, call, values, f.body.size()));
  }

  result<const known_method*> find(const call_body& call) {
    if (call.method_id == 0 || call.method_id > methods_max || call.method_id > methods_.size() + 1) {
      return malformed("a call with a method number out of turn");
    }
    if (call.service.size() > name_bytes_max || call.method.size() > name_bytes_max) {
      return malformed("a call with a method's name too long");
    }
    if (call.method_id > methods_.size()) {
      methods_.push_back({std::string(call.service), std::string(call.method), nullptr, nullptr});
    }
    known_method& known = methods_[call.method_id - 1];
    if (known.method == nullptr) look_up(known, call.fingerprint);
    if (known.method != nullptr) return &known;
    return error(status_code::unimplemented,
                 wire::to_utf8("no method " + known.service + "/" + known.name +
                               (known.binding == nullptr ? ": no such service on this node" : "")));
  }

  void look_up(known_method& known, std::uint64_t fingerprint) {
    const auto service = owner_.services_.find(known.service);
    if (service == owner_.services_.end()) return;
    known.binding = service->second;
    known.method = known.binding->find(known.name);
    if (known.method != nullptr && fingerprint != 0 && known.method->fingerprint != fingerprint) {
      log_warning("a peer describes {}/{} differently: another version of the service runs there", known.service,
                  known.name);
    }
  }

  void fail(std::uint64_t call_id, const error& e) {
    counts_->served.add(e.code());
    put_failure(link().out(), call_id, e);
    link().flush_soon();
  }

  future<> serve_call(std::uint64_t call_id, const known_method& known, call_body call, call_values values,
                      std::size_t bytes) {
    const auto keep = shared_from_this();
    const auto binding = known.binding;
    const auto* method = known.method;
    ++in_flight_;
    request_bytes_ += bytes;
    // The request lies in the input buffer: it is decoded before the first suspension.
    auto outcome = co_await as_result(with_context(values, [&binding, method, &call] {
      return method->call(*binding->core, this_shard_id(), call.key_hash, call.request);
    }));
    if (ATOLL_BUGGIFY()) co_await sleep(std::chrono::microseconds(this_shard().random.below(2'000)));
    --in_flight_;
    request_bytes_ -= bytes;
    if (!outcome) {
      fail(call_id, outcome.error());
    } else if (outcome->size() > frame_bytes_max) {
      fail(call_id,
           error(status_code::resource_exhausted, "a reply of " + std::to_string(outcome->size()) + " bytes; at most " +
                                                      std::to_string(frame_bytes_max) + " are allowed"));
    } else {
      counts_->served.add(status_code::ok);
      put_frame(link().out(), frame_kind::reply, call_id, *outcome);
      link().flush_soon();
    }
    if (in_flight_ == 0) idle_.notify_all();
  }

  server& owner_;  // not for calls that are being served: who stops does not wait for those whose connection is gone
  const std::shared_ptr<rpc_counts> counts_;
  std::shared_ptr<connection> connection_;
  std::vector<known_method> methods_;  // number n at n - 1
  std::uint32_t in_flight_ = 0;
  std::size_t request_bytes_ = 0;
  condition_variable idle_;
};

server::server(server_options options, hand_over_function hand_over)
    : options_(std::move(options)), hand_over_(std::move(hand_over)) {}
server::~server() = default;

result<void> server::add(std::shared_ptr<const service_binding> service) {
  const auto name = service->schema.full_name();
  if (services_.contains(name)) {
    return error(status_code::already_exists, "this node serves a " + name + " already");
  }
  services_.emplace(name, std::move(service));
  return {};
}

void server::listen(std::unique_ptr<tcp_listener> listener) {
  listener_ = std::move(listener);
  background_.spawn([this] { return accept_connections(); });
}

future<> server::accept_connections() {
  while (!stopping_) {
    auto stream = co_await as_result(listener_->accept());
    if (!stream && stopping_) co_return;  // the listener was closed
    if (!stream) co_await fail(std::move(stream).error());
    if (handshakes_.size() >= handshakes_max) continue;  // closes it
    background_.spawn(&server::shake_hands, this, *std::move(stream));
  }
}

void server::log_refusal(const std::string& peer, const error& why) {
  ++refusals_unlogged_;
  if (mono_now() < next_refusal_logged_) return;
  log_warning("rpc: refused a connection from {}: {} ({} since the last such line)", peer, why.to_string(),
              refusals_unlogged_);
  refusals_unlogged_ = 0;
  next_refusal_logged_ = mono_now() + std::chrono::seconds(1);
}

namespace {

/// What has come so far of a handshake; nothing while more is needed.
result<std::optional<hello_body>> parse_hello(std::string_view received, std::size_t& consumed) {
  const auto expected = preface.substr(0, std::min(preface.size(), received.size()));
  if (!received.starts_with(expected)) return malformed("this is not atoll's protocol");
  received.remove_prefix(expected.size());
  if (received.size() < header_bytes) return std::optional<hello_body>();
  const auto header = parse_header(received);
  if (!header) return header.error();
  if (header->kind != frame_kind::hello || header->body_bytes > server::hello_bytes_max) {
    return malformed("the first frame is not a hello");
  }
  if (received.size() < header_bytes + header->body_bytes) return std::optional<hello_body>();
  hello_body hello;
  if (auto bad = decode_message(received.substr(header_bytes, header->body_bytes), hello)) {
    return std::move(*bad);
  }
  consumed = preface.size() + header_bytes + header->body_bytes;
  return std::optional<hello_body>(std::move(hello));
}

std::optional<error> check_hello(const hello_body& hello, const server_options& here) {
  if (hello.cluster != here.cluster) {
    return error(status_code::failed_precondition,
                 "this is cluster '" + here.cluster + "', not '" + hello.cluster + "'");
  }
  if (hello.to_node != here.node) {
    return error(status_code::failed_precondition,
                 "this is node " + std::to_string(here.node) + ", not " + std::to_string(hello.to_node));
  }
  if (hello.to_shard >= shard_count()) {
    return error(status_code::out_of_range, "node " + std::to_string(here.node) + " has " +
                                                std::to_string(shard_count()) + " shards, none is " +
                                                std::to_string(hello.to_shard));
  }
  return std::nullopt;
}

}  // namespace

future<> server::shake_hands(std::unique_ptr<tcp_stream> stream) {
  struct listed {
    std::list<tcp_stream*>& list;
    std::list<tcp_stream*>::iterator place;
    listed(std::list<tcp_stream*>& all, tcp_stream& one) : list(all), place(all.insert(all.end(), &one)) {}
    listed(const listed&) = delete;
    listed& operator=(const listed&) = delete;
    ~listed() { list.erase(place); }
  } const in_handshake(handshakes_, *stream);
  const auto peer = stream->peer();
  std::optional<handshake_timer> limit(std::in_place, *stream, options_.hello_timeout);
  std::string received;
  std::size_t consumed = 0;
  result<std::optional<hello_body>> hello(std::optional<hello_body>{});
  while (hello && !*hello && !stopping_) {
    std::array<char, hello_bytes_max> chunk;  // NOLINT: read into
    const auto n = co_await as_result(stream->read_some(chunk));
    if (!n || *n == 0) {
      // Whoever says nothing at all and leaves (a port check) is nothing to report.
      if (!received.empty()) log_refusal(peer, malformed("closed or timed out within the hello"));
      co_return;
    }
    received.append(chunk.data(), *n);
    hello = parse_hello(received, consumed);
  }
  if (stopping_) co_return;
  if (!hello) {
    log_refusal(peer, hello.error());
    co_return;
  }
  if (auto refused = check_hello(**hello, options_)) {
    log_refusal(peer, *refused);
    std::string answer;
    put_failure(answer, 0, *refused);
    static_cast<void>(co_await as_result(stream->write_all(answer)));
    co_return;
  }
  limit.reset();
  options_.counts->bytes_received += consumed;  // the rest is counted by who serves it
  const shard_id target = (*hello)->to_shard;
  co_await hand_over_(target, stream->detach(), received.substr(consumed));
}

void server::adopt(native_socket socket, std::string received) {
  if (stopping_ || sessions_.size() >= sessions_max) return;  // closes it
  auto s = std::make_shared<session>(*this);
  put_frame(s->link().out(), frame_kind::welcome, 0, welcome_body{options_.node, shard_count()});
  background_.spawn(&server::serve, this, std::move(s), this_shard().io->attach(std::move(socket)),
                    std::move(received));
}

future<> server::serve(std::shared_ptr<session> s, std::unique_ptr<tcp_stream> stream, std::string received) {
  const auto peer = stream->peer();
  const auto place = sessions_.insert(sessions_.end(), s);
  co_await s->link().run(std::move(stream), std::move(received), [&s](const frame& f) { return s->on_frame(f); });
  sessions_.erase(place);
  s->ended();
  const error& ended = s->link().reason();
  if (ended.code() == status_code::invalid_argument || ended.code() == status_code::resource_exhausted) {
    log_refusal(peer, ended);
  } else {
    log_debug("rpc: connection from {} ended: {}", peer, ended.to_string());
  }
}

future<> server::stop() {
  stopping_ = true;
  if (listener_) listener_->close();
  for (auto* stream : handshakes_) stream->shutdown();
  const auto served = sessions_;  // each may end and leave the list meanwhile
  const time_point until = saturating_add(mono_now(), options_.drain_timeout);
  for (const auto& s : served) s->say_goaway();
  for (const auto& s : served) co_await s->drain(until);
  co_await background_.close();
}

}  // namespace atoll_root::atoll::rpc
