// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Nodes in processes of their own.
#include <atoll/rpc/cluster.hh>

#include <atoll/testing/atoll_test.hh>

#include "child_process.hh"
#include "counter.hh"

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::status_code;
using demo::child_process;
using demo::counter;

std::uint16_t free_port() { return atoll::this_shard().io->listen({"127.0.0.1", 0}, {}).value()->address().port; }

/// This process as node 1 and another as node 2.
struct pair_of_nodes {
  pair_of_nodes()
      : peers({{1, {"127.0.0.1", free_port()}}, {2, {"127.0.0.1", free_port()}}}), here({.self = 1, .peers = peers}) {
    start_other();
  }
  void start_other() {
    const auto text = "1=" + peers[0].address.to_string() + ",2=" + peers[1].address.to_string();
    other = std::make_unique<child_process>(
        std::vector<std::string>{ATOLL_TEST_NODE, "--shards", "2", "--node", "2", "--peers", text});
    EXPECT_EQ(other->read_line(), "ready");
  }
  std::vector<atoll::peer> peers;
  atoll::cluster here;
  std::unique_ptr<child_process> other;
};

ATOLL_TEST(processes, a_ref_calls_a_shard_of_another_process) {
  pair_of_nodes p;
  co_await p.here.start();
  for (const atoll::shard_id s : {0U, 1U}) {
    const auto remote = p.here.ref<counter>(2, s);
    EXPECT_EQ(co_await remote.where(), s);
    EXPECT_EQ(co_await remote.add("x", 5), 5);
  }
  p.other->signal(SIGTERM);
  EXPECT_EQ(p.other->wait(), 0) << "SIGTERM is an orderly end";
  co_await p.here.stop();
}

ATOLL_TEST(processes, a_peer_killed_within_a_call_fails_it_at_once_and_is_found_again) {
  pair_of_nodes p;
  co_await p.here.start();
  const auto remote = p.here.ref<counter>(2, 1);
  EXPECT_EQ(co_await remote.where(), 1U);
  std::vector<future<std::int64_t>> calls;
  for (int i = 0; i < 10; ++i) calls.push_back(remote.within(1h).nap(3'600'000));
  co_await remote.where();  // the naps were sent before
  p.other->signal(SIGKILL);
  p.other->wait();
  for (auto& c : calls) {
    const auto r = co_await as_result(std::move(c));  // within the test's time, not in an hour
    ATOLL_REQUIRE(!r);
    EXPECT_EQ(r.error().code(), status_code::unavailable);
    EXPECT_NE(r.error().message().find("unknown"), std::string::npos) << r.error().message();
  }
  while (p.here.members()[1].up) co_await atoll::sleep(1ms);
  p.start_other();
  co_await p.here.all_up();
  atoll::result<std::uint32_t> found = co_await as_result(remote.where());
  for (int i = 0; !found && i < 1'000; ++i) {
    co_await atoll::sleep(10ms);  // this shard's own link may still be in its back-off
    found = co_await as_result(remote.where());
  }
  EXPECT_TRUE(found);
  co_await p.here.stop();
}

}  // namespace
