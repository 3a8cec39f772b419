// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/simulation/network.hh>

#include <algorithm>
#include <cerrno>

namespace atoll_root::atoll::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr duration resend_after_max = seconds(1);     // of what was on its way when a way was cut, since it was mended
constexpr duration probe_after_max = seconds(5);      // until an idle side of half a connection sees that it is one
constexpr duration first_connect_retry = seconds(1);  // and twice as long each time
constexpr duration resend_soon = milliseconds(1);
constexpr duration kept_after = std::chrono::minutes(1);  // a connection that is over, for what still travels
constexpr std::uint16_t first_free_port = 32768;

bool is_loopback(const std::string& host) { return host.starts_with("127.") || host == "::1"; }
bool is_any(const std::string& host) { return host == "0.0.0.0" || host == "::"; }

}  // namespace

network::network(engine& world, const network_options& options)
    : world_(world),
      options_(options),
      draws_(world.stream(purpose::network)),
      ways_(std::size_t{hosts_max} * hosts_max) {
  ATOLL_ASSERT(options.window_min > 0, "a window has room for something");
  ATOLL_ASSERT(options.window_min <= options.window_max, "windows from the least to the most");
}

host_id network::add_host(const std::string& address) {
  ATOLL_ASSERT(hosts_.size() < hosts_max, "a world has 64 nodes at most");
  const auto id = static_cast<host_id>(hosts_.size());
  hosts_.push_back({.address = address, .ports = {}});
  for (host_id other = 0; other < id; ++other) {
    way(id, other).latency = draws_.between(duration(0), options_.pair_latency_max);
    way(other, id).latency = way(id, other).latency;
  }
  return id;
}

std::optional<host_id> network::find(host_id from, const std::string& address) const {
  if (is_loopback(address) || is_any(address)) return from;
  for (host_id h = 0; h < hosts_.size(); ++h) {
    if (hosts_[h].address == address) return h;
  }
  return std::nullopt;
}

duration network::latency(host_id from, host_id to) {
  if (from == to) return draws_.between(duration(1'000), duration(30'000));
  if (draws_.happens(options_.slow_probability)) {
    return draws_.between(options_.latency_max, std::max(options_.latency_max, options_.slow_max));
  }
  return way(from, to).latency + draws_.between(options_.latency_min, options_.latency_max);
}

time_point network::arrival(endpoint& from, host_id to) {
  return from.last_arrival = std::max(world_.now() + latency(from.host, to), from.last_arrival + duration(1));
}

void network::tell(const std::shared_ptr<endpoint>& e) {
  if (e->owner == nullptr || e->dead || e->listed) return;
  e->listed = true;
  e->owner->has_ready(e);
}

template <class F>
void network::for_each_between(host_id a, host_id b, F f) {
  std::vector<std::shared_ptr<endpoint>> found;
  for (const auto& e : endpoints_) {
    if (!e->forgotten && e->host == a && e->peer_host == b) found.push_back(e);
  }
  for (auto& e : found) f(e);
}

// --- What goes over a connection.

std::size_t network::send(const std::shared_ptr<endpoint>& e, std::string_view bytes) {
  const std::uint64_t room = e->window - (e->bytes_sent - e->bytes_peer_took);
  std::uint64_t n = std::min<std::uint64_t>(room, bytes.size());
  if (n > 1 && draws_.happens(0.2)) n = draws_.between(1, n);
  e->bytes_sent += n;
  travel(e, std::string(bytes.substr(0, n)), false);
  return n;
}

void network::send_end(const std::shared_ptr<endpoint>& e) {
  if (std::exchange(e->end_sent, true)) return;
  travel(e, {}, true);
}

void network::travel(const std::shared_ptr<endpoint>& from, std::string piece, bool end) {
  const auto come = [this, from, piece = std::move(piece), end] { arrive(from, piece, end); };
  world_.at(arrival(*from, from->peer_host), come);
}

void network::arrive(const std::shared_ptr<endpoint>& from, std::string piece, bool end) {
  if (from->broken != 0) return;
  // In order: behind what waits for the way, everything does.
  if (!from->held.empty() || is_blocked(from->host, from->peer_host) || is_silent(from->peer_host)) {
    if (!from->forgotten) from->held.emplace_back(std::move(piece), end);
    return;
  }
  const auto peer = from->peer.lock();
  if (peer == nullptr || peer->forgotten || peer->broken != 0) return send_reset(from->peer_host, from);
  if (peer->dead || peer->closed || peer->shut) {  // its kernel takes the end, but no bytes
    if (!piece.empty()) send_reset(from->peer_host, from);
    return;
  }
  if (!piece.empty() && draws_.happens(options_.reset_probability)) return break_by_chance(peer);
  world_.note(happening::bytes, peer->host, peer->connection, history::hash_of(piece) + (end ? 1 : 0));
  peer->arrived += piece;
  peer->ended = peer->ended || end;
  tell(peer);
}

void network::took(const std::shared_ptr<endpoint>& e, std::size_t bytes) {
  e->taken += bytes;
  e->bytes_taken += bytes;
  if (e->taken == e->arrived.size()) {
    e->arrived.clear();
    e->taken = 0;
  }
  // While half of the window is free the writer does not have to know.
  const auto peer = e->peer.lock();
  if (peer != nullptr && !peer->dead && peer->bytes_sent - peer->bytes_peer_took > peer->window / 2) answer(e);
}

void network::answer(const std::shared_ptr<endpoint>& reader) {
  const auto come = [this, reader, taken = reader->bytes_taken] {
    if (is_blocked(reader->host, reader->peer_host)) {
      reader->answer_lost = true;
      return;
    }
    const auto writer = reader->peer.lock();
    if (writer == nullptr || writer->dead) return;
    writer->bytes_peer_took = std::max(writer->bytes_peer_took, taken);
    tell(writer);
  };
  world_.after(latency(reader->host, reader->peer_host), come);
}

void network::reset_peer(const std::shared_ptr<endpoint>& e) {
  if (const auto peer = e->peer.lock()) send_reset(e->host, peer);
}

/// One that does not arrive is not sent again: whoever has half a connection finds out in another way.
void network::send_reset(host_id from, const std::shared_ptr<endpoint>& to) {
  world_.after(latency(from, to->host), [this, from, to] {
    if (!is_blocked(from, to->host)) break_here(to, ECONNRESET);
  });
}

void network::break_here(const std::shared_ptr<endpoint>& e, int why) {
  if (e->broken != 0) return;
  e->broken = why;
  e->held.clear();
  if (e->dead || e->closed) return;
  world_.note(happening::connection, e->host, e->connection, static_cast<std::uint64_t>(why));
  tell(e);
}

void network::close(const std::shared_ptr<endpoint>& e) {
  if (std::exchange(e->closed, true) || e->dead) return;
  e->owner = nullptr;
  world_.note(happening::connection, e->host, e->connection, 1000);
  if (e->broken != 0) return;
  if (e->taken == e->arrived.size()) return send_end(e);
  break_here(e, ECONNRESET);
  reset_peer(e);
}

void network::shut(const std::shared_ptr<endpoint>& e) {
  if (e->closed || e->broken != 0) return;
  e->ended = true;
  e->shut = true;
  send_end(e);
  tell(e);
}

int network::park(std::shared_ptr<endpoint> e) {
  e->owner = nullptr;
  const int number = next_number_++;
  parked_[number] = std::move(e);
  return number;
}

std::shared_ptr<endpoint> network::unpark(int number) {
  auto e = parked_.extract(number);
  return e.empty() ? nullptr : std::move(e.mapped());
}

// --- How connections begin.

result<std::shared_ptr<acceptor>> network::listen(host_id on, socket_owner& owner, const socket_address& address,
                                                  std::size_t backlog) {
  host& h = hosts_[on];
  const auto what = "listen on " + address.to_string();
  if (!is_any(address.host) && find(on, address.host) != on) return error::from_errno(EADDRNOTAVAIL, what);
  const auto taken = [&h, &address](std::uint16_t port) {
    const auto [begin, end] = h.ports.equal_range(port);
    return std::any_of(begin, end, [&address](const auto& each) {
      const auto other = each.second.lock();
      return other != nullptr && !other->closed &&
             (is_any(address.host) || is_any(other->address.host) || address.host == other->address.host);
    });
  };
  std::uint16_t port = address.port;
  while (port == 0) {
    const std::uint16_t candidate = h.next_port++;
    if (h.next_port < first_free_port) h.next_port = first_free_port;
    if (!taken(candidate)) port = candidate;
  }
  if (taken(port)) return error::from_errno(EADDRINUSE, what);
  auto a = std::make_shared<acceptor>();
  a->host = on;
  a->owner = &owner;
  a->address = {address.host, port};
  a->backlog = std::max<std::size_t>(backlog, 1);
  h.ports.emplace(port, a);
  return a;
}

/// Who takes a connection to this address of the host; null: nobody does.
std::shared_ptr<acceptor> network::listening(host_id from, host_id to, const socket_address& address) {
  const auto [begin, end] = hosts_[to].ports.equal_range(address.port);
  for (auto at = begin; at != end; ++at) {
    auto a = at->second.lock();
    if (a == nullptr || a->closed) continue;
    if (is_any(a->address.host) || a->address.host == address.host) return a;
    // 127.0.0.1 and ::1 are one place here.
    if (from == to && is_loopback(a->address.host) && (is_loopback(address.host) || is_any(address.host))) return a;
  }
  return nullptr;
}

void network::close(acceptor& a) {
  if (std::exchange(a.closed, true)) return;
  a.owner = nullptr;
  std::erase_if(hosts_[a.host].ports, [&a](const auto& each) { return each.second.lock().get() == &a; });
  for (auto& e : std::exchange(a.come, {})) {
    break_here(e, ECONNRESET);
    reset_peer(e);
  }
}

std::shared_ptr<pending_connection> network::connect(host_id from, socket_owner& owner, const socket_address& to) {
  auto p = std::make_shared<pending_connection>();
  p->host = from;
  p->owner = &owner;
  std::erase_if(pending_, [](const auto& each) { return each.expired(); });
  pending_.push_back(p);
  if (const auto target = find(from, to.host)) {
    begin_connection(p, from, *target, to, duration(0));
  } else {
    world_.after(options_.latency_max, [this, p, from] { answer_connection(p, from, from, EHOSTUNREACH, {}); });
  }
  return p;
}

void network::begin_connection(const std::shared_ptr<pending_connection>& p, host_id from, host_id to,
                               const socket_address& address, duration waited) {
  const auto try_again = [this, p, from, to, address, waited] {
    const duration wait = waited + first_connect_retry;  // 1, 2, 4... s after the first
    if (waited + wait > connect_gives_up_after) {
      world_.after(connect_gives_up_after - waited,
                   [this, p, from] { answer_connection(p, from, from, ETIMEDOUT, {}); });
    } else {
      world_.after(wait, [this, p, from, to, address, waited, wait] {
        if (p->owner != nullptr) begin_connection(p, from, to, address, waited + wait);
      });
    }
  };
  const auto there = [this, p, from, to, address, try_again] {
    if (p->owner == nullptr) return;
    if (is_blocked(from, to) || unreachable(from, to)) return try_again();
    const auto a = listening(from, to, address);
    const duration back = latency(to, from);
    if (a == nullptr) {
      world_.note(happening::connection, from, to, ECONNREFUSED);
      return world_.after(back, [this, p, from, to] { answer_connection(p, from, to, ECONNREFUSED, {}); });
    }
    if (a->come.size() >= a->backlog) return try_again();
    const std::uint64_t number = ++connections_;
    auto near = std::make_shared<endpoint>(from, to, number);
    auto far = std::make_shared<endpoint>(to, from, number);
    near->peer = far;
    far->peer = near;
    near->peer_address = {address.host, a->address.port};
    far->peer_address = {hosts_[from].address, hosts_[from].next_port};
    hosts_[from].next_port = std::max<std::uint16_t>(hosts_[from].next_port + 1, first_free_port);
    near->window = draws_.between(options_.window_min, options_.window_max);
    far->window = draws_.between(options_.window_min, options_.window_max);
    sweep();
    endpoints_.push_back(near);
    endpoints_.push_back(far);
    a->come.push_back(far);
    world_.note(happening::connection, from, to, number << 16U);
    if (!a->listed) {
      a->listed = true;
      a->owner->has_ready(a);
    }
    p->made = near;
    world_.after(back, [this, p, from, to] { answer_connection(p, from, to, 0, {}); });
  };
  world_.after(latency(from, to), there);
}

/// The outcome comes to who connects, when the way back is there.
void network::answer_connection(const std::shared_ptr<pending_connection>& p, host_id from, host_id to, int failed,
                                duration waited) {
  const bool lost = from != to && (is_blocked(to, from) || is_silent(to));
  if (p->owner != nullptr && lost && waited < connect_gives_up_after) {
    world_.after(first_connect_retry, [this, p, from, to, failed, waited] {
      answer_connection(p, from, to, failed, waited + first_connect_retry);
    });
    return;
  }
  p->failed = lost ? ETIMEDOUT : failed;
  p->done = true;
  if (p->owner != nullptr) p->owner->has_ready(p);
  // Nobody waits for it any more, or nobody may have it.
  if (p->made != nullptr && (p->owner == nullptr || p->failed != 0)) close(p->made);
}

/// Forgets connections that both sides are done with.
void network::sweep() {
  if (endpoints_.size() < endpoints_swept_at_) return;
  const auto done = [this](const endpoint& e) {
    return (e.closed || e.dead || e.broken != 0) && e.held.empty() && e.last_arrival + kept_after < world_.now();
  };
  std::erase_if(endpoints_, [&done](const auto& e) {
    const auto peer = e->peer.lock();
    return done(*e) && (peer == nullptr || done(*peer));
  });
  endpoints_swept_at_ = 2 * endpoints_.size() + 64;
}

// --- What breaks.

void network::down(host_id h, host_end how) {
  for (const auto& e : endpoints_) {
    if (e->dead || e->host != h) continue;
    const bool was_open = !e->closed && e->broken == 0;
    e->dead = true;
    e->owner = nullptr;
    if (how == host_end::silent) {
      e->forgotten = true;
      e->held.clear();
    } else if (was_open &&
               e->taken == e->arrived.size()) {  // what a kernel does with the sockets of a process that is gone
      send_end(e);
    } else if (was_open) {
      break_here(e, ECONNRESET);
      reset_peer(e);
    }
  }
  for (const auto& each : pending_) {
    if (const auto p = each.lock(); p != nullptr && p->host == h) p->owner = nullptr;
  }
  for (auto& [port, a] : hosts_[h].ports) {
    if (const auto listening_one = a.lock()) {
      listening_one->closed = true;
      listening_one->owner = nullptr;
    }
  }
  hosts_[h].ports.clear();
  hosts_[h].state = how == host_end::silent ? host::state::silent : host::state::no_process;
  for (host_id other = 0; other < hosts_.size(); ++other) reachability_changed(h, other);
}

void network::is_back(host_id h) {
  if (hosts_[h].state != host::state::silent) return;
  hosts_[h].state = host::state::no_process;
  for (host_id other = 0; other < hosts_.size(); ++other) {
    reachability_changed(h, other);
    if (!unreachable(h, other)) {
      resend(other, h, resend_after_max);
      find_half_open(other, h);
    }
  }
}

void network::reachability_changed(host_id a, host_id b) {
  if (a == b) return;
  time_point& since = way(a, b).unreachable_since;
  if (!unreachable(a, b)) {
    since = never;
    way(b, a).unreachable_since = never;
    return;
  }
  if (since != never) return;
  since = world_.now();
  way(b, a).unreachable_since = since;
  for (const auto& [x, y] : {std::pair(a, b), std::pair(b, a)}) {
    for_each_between(x, y, [this, when = since](const std::shared_ptr<endpoint>& e) {
      world_.after(draws_.between(gone_after_min, gone_after_max), [this, e, when] {
        if (way(e->host, e->peer_host).unreachable_since == when) break_here(e, ETIMEDOUT);
      });
    });
  }
}

void network::cut(host_id from, host_id to) {
  if (std::exchange(way(from, to).cut, true)) return;
  world_.note(happening::fault, 0, from, to);
  reachability_changed(from, to);
}

void network::mend(host_id from, host_id to) {
  if (!std::exchange(way(from, to).cut, false)) return;
  world_.note(happening::fault, 1, from, to);
  reachability_changed(from, to);
  resend(from, to, resend_after_max);
  if (unreachable(from, to)) return;
  find_half_open(from, to);
  find_half_open(to, from);
}

void network::resend(host_id a, host_id b, duration within) {
  for_each_between(a, b, [this, within](const std::shared_ptr<endpoint>& e) {
    if (e->held.empty() && !e->answer_lost) return;
    world_.after(draws_.between(duration(0), within), [this, e] {
      if (e->forgotten || is_blocked(e->host, e->peer_host) || is_silent(e->peer_host)) return;
      if (std::exchange(e->answer_lost, false)) answer(e);
      for (auto& [piece, end] : std::exchange(e->held, {})) arrive(e, std::move(piece), end);
    });
  });
}

void network::find_half_open(host_id a, host_id b) {
  for_each_between(a, b, [this](const std::shared_ptr<endpoint>& e) {
    const auto peer = e->peer.lock();
    const bool half = peer == nullptr || peer->forgotten || peer->broken != 0;
    if (half && e->broken == 0) probe(e);
  });
}

void network::probe(const std::shared_ptr<endpoint>& e) {
  world_.after(draws_.between(duration(0), probe_after_max), [this, e] {
    if (!unreachable(e->host, e->peer_host)) break_here(e, ECONNRESET);
  });
}

void network::clog(host_id from, host_id to, time_point until) {
  world_.note(happening::fault, 2, from, to);
  way(from, to).clogged_until = std::max(way(from, to).clogged_until, until);
  world_.at(until, [this, from, to] {
    if (!is_blocked(from, to)) resend(from, to, resend_soon);
  });
}

std::shared_ptr<endpoint> network::some_open_side(host_id a, host_id b) {
  std::vector<std::shared_ptr<endpoint>> open;
  for_each_between(a, b, [&open](const std::shared_ptr<endpoint>& e) {
    if (!e->closed && e->broken == 0) open.push_back(e);
  });
  return open.empty() ? nullptr : open[draws_.between(0, open.size() - 1)];
}

bool network::break_one(host_id a, host_id b) {
  const auto e = some_open_side(a, b);
  if (e == nullptr) return false;
  break_here(e, ECONNRESET);
  reset_peer(e);
  return true;
}

void network::break_some(host_id a, host_id b) {
  if (const auto e = some_open_side(a, b)) break_by_chance(e);
}

void network::break_by_chance(const std::shared_ptr<endpoint>& side) {
  const bool other_first = draws_.happens(0.5);
  const auto peer = side->peer.lock();
  const auto first = other_first && peer != nullptr ? peer : side;
  break_here(first, ECONNRESET);
  if (draws_.happens(0.5)) reset_peer(first);
  if (const auto half = first->peer.lock()) probe(half);  // what it was told may be lost
}

void network::heal() {
  options_.reset_probability = 0;
  for (host_id a = 0; a < hosts_.size(); ++a) {
    for (host_id b = 0; b < hosts_.size(); ++b) {
      const bool was_clogged = std::exchange(way(a, b).clogged_until, time_point{}) > world_.now();
      mend(a, b);
      if (was_clogged) resend(a, b, resend_soon);
    }
  }
}

}  // namespace atoll_root::atoll::sim
