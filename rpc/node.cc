// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/node.hh>

#include <algorithm>

#include <atoll/actors/base/log.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll::rpc {

node::node(cluster_options options, service_core& self)
    : options_(std::move(options)),
      self_(self),
      server_({.cluster = options_.name,
               .node = options_.self,
               .hello_timeout = options_.hello_timeout,
               .frame_timeout = options_.frame_timeout,
               .drain_timeout = options_.drain_timeout,
               .counts = counts_},
              [&self](shard_id to, native_socket socket, std::string received) {
                return submit_to(to, [&self, s = std::move(socket), r = std::move(received)]() mutable {
                  auto* there = static_cast<node*>(self.instance());
                  if (there != nullptr) there->server().adopt(std::move(s), std::move(r));
                });
              }),
      metrics_(
          {.cluster = options_.name, .node = options_.self}, counts_,
          [this] {
            return static_cast<std::size_t>(
                std::count_if(links_.begin(), links_.end(), [](const auto& each) { return each.second->up(); }));
          },
          [this] { return server_.connections(); }) {
  for (const peer& p : options_.peers) {
    const bool own = p.id == options_.self;
    members_.push_back({p.id, p.address.to_string(), own ? shard_count() : 0, own});
  }
  std::sort(members_.begin(), members_.end(), [](auto& a, auto& b) { return a.id < b.id; });
}

node::~node() = default;

void node::start(std::unique_ptr<tcp_listener> listener) {
  server_.listen(std::move(listener));
  for (const peer& p : options_.peers) {
    if (p.id != options_.self) background_.spawn(&node::keep_in_touch, this, p);
  }
}

future<> node::stop() {
  stopping_ = true;
  stop_requested_.notify_all();
  // The server first: what it still serves may need the links.
  co_await server_.stop();
  for (const auto& [to, l] : links_) co_await l->stop();
  co_await background_.close();
}

service_core* node::local(std::string_view service) const noexcept {
  const auto found = local_.find(service);
  return found == local_.end() ? nullptr : found->second;
}

const member* node::find(node_id id) const noexcept {
  const auto found = std::find_if(members_.begin(), members_.end(), [id](const member& m) { return m.id == id; });
  return found == members_.end() ? nullptr : &*found;
}

result<link*> node::link_to(node_id id, shard_id shard) {
  auto known = links_.find({id, shard});
  if (known == links_.end()) {
    const auto p =
        std::find_if(options_.peers.begin(), options_.peers.end(), [id](const peer& each) { return each.id == id; });
    if (p == options_.peers.end()) {
      return error(status_code::not_found, "the cluster has no node " + std::to_string(id));
    }
    if (stopping_) return error(status_code::unavailable, "this node is stopping");
    // The link serves many callers: its scope lives in no caller's context.
    const detail::context_scope in_no_context(nullptr);
    auto made = std::make_shared<link>(link_options{.cluster = options_.name,
                                                    .from_node = options_.self,
                                                    .to_node = id,
                                                    .to_shard = shard,
                                                    .address = p->address,
                                                    .connect_timeout = options_.connect_timeout,
                                                    .frame_timeout = options_.frame_timeout,
                                                    .counts = counts_});
    known = links_.emplace(std::pair(id, shard), std::move(made)).first;
  }
  return known->second.get();
}

const member& node::owner_of(std::uint64_t key_hash) const noexcept {
  const auto score = [key_hash](const member& m) { return mix_hash(key_hash ^ mix_hash(std::uint64_t{m.id} + 1)); };
  return *std::max_element(members_.begin(), members_.end(),
                           [&score](const member& a, const member& b) { return score(a) < score(b); });
}

void node::set_member(node_id id, shard_id shards, bool up) {
  for (auto& m : members_) {
    if (m.id != id) continue;
    if (shards != 0) m.shards = shards;
    m.up = up;
  }
  members_changed_.notify_all();
}

future<> node::tell_all_shards(node_id id, shard_id shards, bool up) {
  return on_all_shards([&self = self_, id, shards, up] {
    if (auto* there = static_cast<node*>(self.instance())) there->set_member(id, shards, up);
  });
}

future<> node::all_up() {
  while (!std::all_of(members_.begin(), members_.end(), [](const member& m) { return m.up; })) {
    co_await members_changed_.wait();
  }
}

future<> node::keep_in_touch(peer p) {
  const auto name = "node " + std::to_string(p.id) + " (" + p.address.to_string() + ")";
  std::string reported;  // the last failure that was logged: a peer that stays down is one line
  while (!stopping_) {
    auto made = link_to(p.id, 0);
    if (!made) co_return;
    const auto connection = (*made)->shared_from_this();
    const auto shards = co_await as_result(connection->connected());
    if (shards) {
      log_info("{} is up: {} shards", name, *shards);
      reported.clear();
      co_await tell_all_shards(p.id, *shards, true);
      co_await connection->lost();
      if (stopping_) co_return;
      log_warning("{} is down: {}", name, connection->last_failure().message());
      reported = connection->last_failure().message();
      co_await tell_all_shards(p.id, 0, false);
    } else if (!stopping_) {
      const std::string why(shards.error().message());
      if (why != reported && reported.empty()) {
        log_warning("{} is not reachable: {}; trying on", name, why);
        reported = why;
      }
      const auto pause = std::max<duration>(connection->backoff_left(), std::chrono::milliseconds(10));
      static_cast<void>(co_await stop_requested_.wait_for(pause));
    }
  }
}

}  // namespace atoll_root::atoll::rpc
