// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/cluster.hh>

#include <algorithm>
#include <charconv>

#include <atoll/actors/base/log.hh>
#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/sharding/submit.hh>

namespace atoll_root::atoll {
namespace {

error not_running() { return {status_code::unavailable, "the cluster is not started, or stopped"}; }

std::optional<error> check(const cluster_options& options) {
  const auto refuse = [](std::string why) { return error(status_code::invalid_argument, "cluster: " + why); };
  std::vector<node_id> ids;
  for (const peer& p : options.peers) ids.push_back(p.id);
  std::sort(ids.begin(), ids.end());
  const auto twice = std::adjacent_find(ids.begin(), ids.end());
  if (twice != ids.end()) return refuse("two peers are node " + std::to_string(*twice));
  for (auto p = options.peers.begin(); p != options.peers.end(); ++p) {
    const auto same = [p](const peer& other) { return other.address == p->address && p->address.port != 0; };
    if (std::find_if(std::next(p), options.peers.end(), same) != options.peers.end()) {
      return refuse("two peers have the address " + p->address.to_string());
    }
  }
  if (!std::binary_search(ids.begin(), ids.end(), options.self)) {
    return refuse("node " + std::to_string(options.self) + " is not among the peers");
  }
  return std::nullopt;
}

}  // namespace

namespace detail {

result<remote_route> find_route(service_core& cluster, const remote_target& target, std::string_view service,
                                duration timeout) {
  auto* here = static_cast<rpc::node*>(cluster.instance());
  if (here == nullptr) return not_running();
  const member* m = target.keyed ? &here->owner_of(target.hash) : here->find(target.node);
  if (m == nullptr) {
    return error(status_code::not_found, "the cluster has no node " + std::to_string(target.node));
  }
  if (target.keyed && m->shards == 0) {
    return error(status_code::unavailable,
                 "node " + std::to_string(m->id) + " (" + m->address + ") has not been reached yet");
  }
  remote_route route;
  route.shard = target.keyed ? shard_of_hash(target.hash, m->shards) : target.shard;
  const duration longest = timeout != no_timeout ? timeout : here->options().call_timeout;
  // A deadline of the context comes instead of the default, not on top of it.
  const bool inherited = timeout == no_timeout && current_deadline() != never;
  route.deadline = inherited ? current_deadline() : std::min(current_deadline(), saturating_add(mono_now(), longest));
  if (m->id != here->options().self) {
    auto found = here->link_to(m->id, route.shard);
    if (!found) return std::move(found).error();
    route.link = *found;
    return route;
  }
  route.local = here->local(service);
  if (route.local == nullptr) {
    return error(status_code::unimplemented, "no method of " + std::string(service) + ": this node does not serve it");
  }
  if (route.shard >= shard_count()) {
    return error(status_code::out_of_range,
                 "this node has " + std::to_string(shard_count()) + " shards, none is " + std::to_string(route.shard));
  }
  return route;
}

}  // namespace detail

rpc::node* cluster_ref::local() const noexcept {
  return core_ == nullptr ? nullptr : static_cast<rpc::node*>(core_->instance());
}

std::vector<member> cluster_ref::members() const {
  const auto* here = local();
  return here == nullptr ? std::vector<member>() : here->members();
}

result<std::pair<node_id, shard_id>> cluster_ref::owner_of(std::uint64_t key_hash) const {
  const auto* here = local();
  if (here == nullptr) return not_running();
  const member& m = here->owner_of(key_hash);
  if (m.shards == 0) {
    return error(status_code::unavailable, "node " + std::to_string(m.id) + " has not been reached yet");
  }
  return std::pair(m.id, shard_of_hash(key_hash, m.shards));
}

future<> cluster_ref::all_up() const {
  auto* here = local();
  return here == nullptr ? make_failed_future(not_running()) : here->all_up();
}

service_core& cluster::core_or_new() {
  if (owned_ == nullptr || owned_.use_count() == 1) {
    owned_ = service_core::make({.name = "cluster"});
    core_ = owned_.get();
  }
  return *core_;
}

cluster::~cluster() {
  if (on_shard() && runs()) log_warning("cluster dropped without stop()");
}

class cluster::running_cluster final : public stoppable, public std::enable_shared_from_this<running_cluster> {
 public:
  explicit running_cluster(service_core& core) : core_(core) {}
  future<> stop_everywhere() override {
    return with_context({}, [self = shared_from_this()] { return stop_once(self); });
  }
  [[nodiscard]] bool has_stopped() const noexcept { return stopped_.is_set(); }

 private:
  /// Who comes later waits until it has ended.
  static future<> stop_once(std::shared_ptr<running_cluster> self) {
    if (std::exchange(self->stopping_, true)) {
      while (!self->stopped_.is_set()) {
        if (!co_await as_result(self->stopped_.wait())) co_await yield();  // no memory to wait with
      }
      co_return;
    }
    const auto stop = [&self] { return stop_in_phases(self->core_); };
    auto ended = co_await as_result(detail::invoke_safely(stop));
    self->stopped_.set();
    if (!ended) co_await fail(std::move(ended).error());
  }

  service_core& core_;
  bool stopping_ = false;
  event stopped_{"stop of a cluster"};
};

future<> cluster::start() {
  if (auto wrong = check(options_)) co_await fail(std::move(*wrong));
  ATOLL_ASSERT(!runs(), "start() of a started cluster");
  service_core& core = core_or_new();
  const auto self = std::find_if(options_.peers.begin(), options_.peers.end(),
                                 [this](const peer& p) { return p.id == options_.self; });
  auto listener = this_shard().io->listen(self->address, {});
  if (!listener) co_await fail(std::move(listener).error());
  address_ = (*listener)->address();
  core.running = running_ = std::make_shared<running_cluster>(core);
  const auto make = [&core, options = options_] {
    core.prepare();
    core.open(std::make_unique<rpc::node>(options, core).release());
  };
  co_await with_context({}, [&make] { return on_all_shards(make); });
  {
    const detail::context_scope in_no_context(nullptr);  // what start() spawns outlives the caller
    local()->start(*std::move(listener));
  }
  log_info("node {} of cluster '{}' listens on {}", options_.self, options_.name, address_.to_string());
}

future<> cluster::serve(std::shared_ptr<const service_binding> service) {
  if (local() == nullptr) return make_failed_future(not_running());
  return on_all_shards([&core = *core_, service] {
    auto& here = *static_cast<rpc::node*>(core.instance());
    auto added = here.server().add(service);
    if (added) here.add_local(service->schema.full_name(), *service->core);
    return future<>::from_result(std::move(added));
  });
}

future<> cluster::stop() {
  // Also where the runtime has begun with it.
  if (running_ == nullptr || (running_->has_stopped() && !runs())) return make_ready_future();
  return stop_and_forget(owned_, running_);
}

future<> cluster::stop_and_forget(std::shared_ptr<service_core> core, std::shared_ptr<running_cluster> running) {
  auto stopped = co_await as_result(running->stop_everywhere());
  if (running->has_stopped() && core->running == running) core->running = nullptr;
  if (!stopped) co_await fail(std::move(stopped).error());
}

future<> cluster::stop_in_phases(service_core& core) {
  // First every shard stops serving and calling, then the parts go: a shard may still hand a connection over.
  co_await on_all_shards([&core] {
    auto* here = static_cast<rpc::node*>(core.instance());
    return here == nullptr ? make_ready_future() : here->stop();
  });
  co_await on_all_shards([&core] { return destroy_here(core); });
}

future<> cluster::destroy_here(service_core& core) {
  const std::unique_ptr<rpc::node> last(static_cast<rpc::node*>(co_await core.close(no_timeout)));
}

result<std::vector<peer>> static_peers(std::string_view text) {
  std::vector<peer> peers;
  while (!text.empty()) {
    const auto comma = text.find(',');
    const auto one = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const auto equals = one.find('=');
    peer p;
    const auto id = one.substr(0, equals);
    const auto [end, failed] = std::from_chars(id.data(), id.data() + id.size(), p.id);
    if (equals == std::string_view::npos || id.empty() || failed != std::errc() || end != id.data() + id.size()) {
      return error(status_code::invalid_argument,
                   "peer '" + std::string(one) + "': wants ID=HOST:PORT with a number as ID");
    }
    auto address = socket_address::parse(one.substr(equals + 1));
    if (!address) return std::move(address).error();
    p.address = *std::move(address);
    peers.push_back(std::move(p));
  }
  return peers;
}

}  // namespace atoll_root::atoll
