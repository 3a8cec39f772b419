// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// A service tested in a simulated world, which finds what is wrong with it. docs/simulation.md goes through it.
//
//   07_world                                                       the till that is right: passes
//   ATOLL_SIM_SEEDS=200 07_world --gtest_also_run_disabled_tests   and the one that is not: fails, and says how to replay that
#include <set>

#include <atoll/actors/future/sleep.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/rpc/cluster.hh>
#include <atoll/sharding/app.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/simulation/testing/sim_test.hh>

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::result;
namespace sim = atoll::sim;

namespace {

class till {
 public:
  future<> pay(std::int64_t amount) {
    total_ += amount;
    return atoll::make_ready_future();
  }
  /// A payment that comes again counts once.
  future<> pay_once(std::string payment, std::int64_t amount) {
    if (payments_.insert(payment).second) total_ += amount;
    return atoll::make_ready_future();
  }
  future<std::int64_t> total() const { return atoll::make_ready_future<std::int64_t>(total_); }

 private:
  std::int64_t total_ = 0;
  std::set<std::string> payments_;
};
ATOLL_SERVICE(till, "shop.v1.Till", ATOLL_METHOD(pay, amount), ATOLL_METHOD(pay_once, payment, amount),
              ATOLL_METHOD(total));

// --- Two nodes, written as for real machines.

atoll::cluster_options cluster_of(std::uint32_t self, std::string shop, std::string customer) {
  return {.self = self, .peers = {{0, {std::move(shop), 7000}}, {1, {std::move(customer), 7000}}}};
}

future<int> run_shop(atoll::cluster_options options) {
  atoll::cluster cluster(std::move(options));
  atoll::sharded<till> tills;
  co_await tills.start();
  co_await cluster.start();
  co_await cluster.serve(tills.ref());
  co_await atoll::stop_signal();
  co_await cluster.stop();
  co_await tills.stop();
  co_return 0;
}

/// Pays 1 thirty times, and tries again where a payment fails. Gives what the till has then.
future<int> run_customer(atoll::cluster_options options, bool by_name) {
  atoll::cluster cluster(std::move(options));
  co_await cluster.start();
  co_await cluster.all_up();
  const auto shop = cluster.ref<till>(0, 0).within(300ms);
  for (int i = 0; i < 30; ++i) {
    const std::string payment = "payment " + std::to_string(i);
    while (true) {
      auto paying = by_name ? shop.pay_once(payment, 1) : shop.pay(1);
      const auto paid = co_await as_result(std::move(paying));
      if (paid) break;
      co_await atoll::sleep(100ms);  // unavailable: once more
    }
    co_await atoll::sleep(50ms);
  }
  std::int64_t total = -1;
  while (total < 0) {
    const auto got = co_await as_result(shop.total());
    if (got) total = *got;
    if (!got) co_await atoll::sleep(100ms);
  }
  co_await cluster.stop();
  co_return static_cast<int>(total);
}

// --- The world they are put into.

void pay_while_connections_break(sim::world& world, bool by_name) {
  const auto shop =
      world.add_node({.shards = 2}, [&] { return run_shop(cluster_of(0, world.address(0), world.address(1))); });
  const auto customer = world.add_node(
      {.shards = 1}, [&, by_name] { return run_customer(cluster_of(1, world.address(0), world.address(1)), by_name); });
  world.run_for(500ms);
  world.begin_chaos({.cuts = 2s, .breaks = 1s});
  world.run_for(10s);
  world.heal();
  world.run_until_ended({customer}, 5min);
  EXPECT_EQ(*world.outcome(customer).value(), 30);
  world.stop(shop);
  world.run_until_ended({shop}, 1min);
}

// A connection that breaks leaves it open whether the payment was made.
ATOLL_SIM_TEST(till, DISABLED_takes_payments_that_come_again) { pay_while_connections_break(world, false); }

ATOLL_SIM_TEST(till, takes_each_payment_once) { pay_while_connections_break(world, true); }

}  // namespace
