// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The gateway, called by grpc++'s own client.
#include <atoll/services/gateway/gateway.hh>

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <thread>

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>

#include <atoll/sharding/diagnostics.hh>
#include <atoll/testing/atoll_test.hh>

#include "counter.hh"
#include "documented_metrics.hh"

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using demo::counter;
using grpc::StatusCode;

/// Runs blocking client code on a thread of its own.
template <class F>
future<> on_thread(F client) {
  std::atomic<bool> done{false};
  std::thread thread([&] {
    client();
    done = true;
  });
  while (!done) co_await atoll::sleep(1ms);
  thread.join();
}

struct reply {
  grpc::Status status;
  std::string bytes;
};

class client {
 public:
  explicit client(const atoll::socket_address& address)
      : channel_(grpc::CreateChannel(address.to_string(), grpc::InsecureChannelCredentials())) {}

  [[nodiscard]] reply call(const std::string& path, const std::string& request,
                           std::chrono::milliseconds timeout = 10s) const {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + timeout);
    const grpc::Slice slice(request);
    const grpc::ByteBuffer sent(&slice, 1);
    grpc::ByteBuffer received;
    const grpc::internal::RpcMethod method(path.c_str(), grpc::internal::RpcMethod::NORMAL_RPC);
    reply r;
    r.status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(channel_.get(), method, &context,
                                                                                     sent, &received);
    std::vector<grpc::Slice> slices;
    if (r.status.ok() && received.Dump(&slices).ok()) {
      for (const auto& s : slices) r.bytes.append(reinterpret_cast<const char*>(s.begin()), s.size());
    }
    return r;
  }

 private:
  std::shared_ptr<grpc::Channel> channel_;
};

template <class Tag, class... A>
std::string request_of(A&&... arguments) {
  std::string out;
  EXPECT_FALSE(atoll::detail::encode_arguments<Tag>(out, {std::forward<A>(arguments)...}));
  return out;
}
using methods = atoll::service_description<counter>;

struct served {
  explicit served(atoll::services::gateway_options options = {}) : gateway(std::move(options)) {}
  future<> start() {
    co_await counters.start();
    gateway.expose(counters.ref()).value();
    co_await gateway.start();
  }
  future<> stop() {
    co_await gateway.stop();
    co_await counters.stop();
  }
  atoll::sharded<counter> counters;
  atoll::services::gateway gateway;
};

ATOLL_TEST(gateway, calls_the_shard_that_owns_the_key) {
  served s;
  co_await s.start();
  const auto talk = [address = s.gateway.address()] {
    const client c(address);
    for (int i = 0; i < 20; ++i) {
      const auto r = c.call("/demo.v1.Counter/Add", request_of<methods::method_add>("k" + std::to_string(i), 5));
      ASSERT_TRUE(r.status.ok()) << r.status.error_message();
      EXPECT_EQ(r.bytes, "\x08\x05");
    }
  };
  co_await on_thread(talk);
  for (int i = 0; i < 20; ++i) EXPECT_EQ((co_await s.counters.read("k" + std::to_string(i))).total, 5);
  co_await s.stop();
}

ATOLL_TEST(gateway, spreads_calls_without_a_key_over_the_shards) {
  served s;
  co_await s.start();
  const auto talk = [address = s.gateway.address()] {
    const client c(address);
    std::set<std::string> replies;
    for (int i = 0; i < 10; ++i) replies.insert(c.call("/demo.v1.Counter/Where", "").bytes);
    EXPECT_EQ(replies, (std::set<std::string>{"", "\x08\x01"}));
  };
  co_await on_thread(talk);
  co_await s.stop();
}

ATOLL_TEST(gateway, metrics_count_calls_by_code) {
  served s;
  co_await s.start();
  const auto talk = [address = s.gateway.address()] {
    const client c(address);
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(c.call("/demo.v1.Counter/Where", "").status.ok());
    EXPECT_FALSE(c.call("/demo.v1.Counter/Refuse", request_of<methods::method_refuse>(5U, "because")).status.ok());
    EXPECT_FALSE(c.call("/demo.v1.Counter/None", "").status.ok());
  };
  co_await on_thread(talk);
  const auto all = co_await atoll::collect_metrics();
  EXPECT_EQ(demo::exported_metrics(all),
            demo::documented_metrics({"A shard", "Shards of a process", "Lanes", "Services", "Gateway"}));
  const auto page = atoll::render_prometheus(all, {.sum_shards = true});
  const auto line = [port = s.gateway.address().port](const std::string& code, int count) {
    return "\natoll_gateway_calls_total{code=\"" + code + "\",port=\"" + std::to_string(port) + "\"} " +
           std::to_string(count) + "\n";
  };
  EXPECT_NE(page.find(line("ok", 3)), std::string::npos) << page;
  EXPECT_NE(page.find(line("not_found", 1)), std::string::npos) << page;
  EXPECT_NE(page.find(line("unimplemented", 1)), std::string::npos) << page;
  co_await s.stop();
  const auto after = co_await atoll::render_metrics();
  EXPECT_EQ(after.find("atoll_gateway_"), std::string::npos) << "a gateway that stopped exports nothing";
}

ATOLL_TEST(gateway, gives_errors_as_grpc_status_codes) {
  served s;
  co_await s.start();
  const auto talk = [address = s.gateway.address()] {
    const client c(address);
    for (std::uint32_t code = 1; code <= 16; ++code) {
      const auto r = c.call("/demo.v1.Counter/Refuse", request_of<methods::method_refuse>(code, "because"));
      EXPECT_EQ(r.status.error_code(), static_cast<StatusCode>(code));
      EXPECT_EQ(r.status.error_message(), "because");
    }
    EXPECT_EQ(c.call("/demo.v1.Counter/ThrowIt", "").status.error_code(), StatusCode::UNKNOWN);
    EXPECT_EQ(c.call("/demo.v1.Counter/MakeBadText", "").status.error_code(), StatusCode::INTERNAL);
    const std::string much(20'000, 'm');
    const auto r = c.call("/demo.v1.Counter/Refuse", request_of<methods::method_refuse>(5U, much));
    EXPECT_EQ(r.status.error_code(), StatusCode::NOT_FOUND) << "a long message cost the call its code";
  };
  co_await on_thread(talk);
  co_await s.stop();
}

ATOLL_TEST(gateway, refuses_what_it_can_not_serve_and_serves_on) {
  served s({.request_bytes_max = 100'000});
  co_await s.start();
  const auto talk = [address = s.gateway.address()] {
    const client c(address);
    const auto code = [&c](const std::string& path, const std::string& request) {
      return c.call(path, request).status.error_code();
    };
    EXPECT_EQ(code("/demo.v1.Counter/Nope", ""), StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(code("/no.Such/Thing", ""), StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(code("/", ""), StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(code("/demo.v1.Counter/Echo", "\xff\xff\xff"), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(code("/demo.v1.Counter/Add", "\x0a\x02\xff\xff"), StatusCode::INVALID_ARGUMENT) << "in the key";
    EXPECT_EQ(code("/demo.v1.Counter/Echo", request_of<methods::method_echo>(std::string(99'000, 'x'))),
              StatusCode::OK);
    EXPECT_EQ(code("/demo.v1.Counter/Echo", request_of<methods::method_echo>(std::string(100'001, 'x'))),
              StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_EQ(code("/demo.v1.Counter/Echo", ""), StatusCode::OK);
  };
  co_await on_thread(talk);
  co_await s.stop();
}

ATOLL_TEST(gateway, a_deadline_of_the_client_ends_the_wait_on_both_sides) {
  served s;
  co_await s.start();
  const auto talk = [address = s.gateway.address()] {
    const auto r = client(address).call("/demo.v1.Counter/Nap", request_of<methods::method_nap>(3'600'000), 100ms);
    EXPECT_EQ(r.status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  };
  co_await on_thread(talk);
  while (co_await s.counters.map_reduce(&counter::naps_cut_short, std::plus<>{}, std::int64_t{0}) == 0) {
    co_await atoll::sleep(1ms);
  }
  co_await s.stop();
}

ATOLL_TEST(gateway, refuses_calls_beyond_its_bound) {
  served s({.calls_in_flight_max = 1});
  co_await s.start();
  const auto talk = [address = s.gateway.address()] {
    const client c(address);
    std::thread first([&c] {
      // It may itself find the place taken, by an echo.
      StatusCode code = StatusCode::RESOURCE_EXHAUSTED;
      while (code == StatusCode::RESOURCE_EXHAUSTED) {
        code = c.call("/demo.v1.Counter/Nap", request_of<methods::method_nap>(3'600'000), 2s).status.error_code();
      }
      EXPECT_EQ(code, StatusCode::DEADLINE_EXCEEDED);
    });
    // Until the first is under way, the second is served; then it is refused.
    StatusCode code = StatusCode::OK;
    for (int i = 0; i < 10'000 && code == StatusCode::OK; ++i)
      code = c.call("/demo.v1.Counter/Echo", "").status.error_code();
    EXPECT_EQ(code, StatusCode::RESOURCE_EXHAUSTED);
    first.join();
  };
  co_await on_thread(talk);
  co_await s.stop();
}

ATOLL_TEST(gateway, serves_many_clients_at_once) {
  served s;
  co_await s.start();
  const auto talk = [address = s.gateway.address()] {
    std::vector<std::thread> clients;
    for (int t = 0; t < 4; ++t) {
      clients.emplace_back([&address] {
        const client c(address);
        for (int i = 0; i < 250; ++i) {
          ASSERT_TRUE(c.call("/demo.v1.Counter/Add", request_of<methods::method_add>("x", 1)).status.ok());
        }
      });
    }
    for (auto& t : clients) t.join();
  };
  co_await on_thread(talk);
  EXPECT_EQ((co_await s.counters.read("x")).total, 1'000);
  co_await s.stop();
}

ATOLL_TEST(gateway, stops_while_clients_hold_calls_open) {
  served s({.drain_timeout = 50ms});
  co_await s.start();
  std::atomic<bool> calling{false};
  std::thread holder([&calling, address = s.gateway.address()] {
    const client c(address);
    calling = true;
    static_cast<void>(c.call("/demo.v1.Counter/Nap", request_of<methods::method_nap>(300), 10s));
  });
  while (co_await s.counters.map_reduce(&counter::napping, std::plus<>{}, std::int64_t{0}) == 0) {
    co_await atoll::sleep(1ms);
  }
  co_await s.stop();
  holder.join();
}

TEST(gateway, that_is_dropped_while_started_is_stopped_by_the_runtime) {
  atoll::testing::run_test([]() -> future<> {
    auto s = std::make_unique<served>();
    co_await s->start();
    s.reset();
  });
}

ATOLL_TEST(gateway, a_port_in_use_is_an_error_of_start) {
  served s;
  co_await s.start();
  atoll::services::gateway second({.address = s.gateway.address()});
  const auto r = co_await as_result(second.start());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::already_exists);
  co_await s.stop();
}

class clash {
 public:
  atoll::future<std::int64_t> add(std::string name) { co_return static_cast<std::int64_t>(name.size()); }
};
ATOLL_SERVICE(clash, "demo.v1.Counter", ATOLL_METHOD(add, name));
class neighbour {
 public:
  atoll::future<std::int64_t> add(std::string name) { co_return static_cast<std::int64_t>(name.size()); }
};
ATOLL_SERVICE(neighbour, "demo.v1.Neighbour", ATOLL_METHOD(add, name));

ATOLL_TEST(gateway, exposes_a_name_once_and_packages_may_have_several_services) {
  atoll::sharded<counter> counters;
  atoll::sharded<clash> clashes;
  atoll::sharded<neighbour> neighbours;
  atoll::services::gateway g({});
  EXPECT_TRUE(g.expose(counters.ref()));
  const auto again = g.expose(clashes.ref());
  ATOLL_REQUIRE(!again);
  EXPECT_EQ(again.error().code(), atoll::status_code::already_exists);
  EXPECT_TRUE(g.expose(neighbours.ref())) << "the same method name in another service of the package";
  co_return;
}

}  // namespace
