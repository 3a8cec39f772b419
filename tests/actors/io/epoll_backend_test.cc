// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/io/io_backend.hh>

#include <algorithm>

#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::status_code;
using atoll::this_shard;

struct connected {
  std::unique_ptr<atoll::tcp_stream> a;
  std::unique_ptr<atoll::tcp_stream> b;
};

future<connected> connect_pair() {
  auto listener = this_shard().io->listen({"127.0.0.1", 0}, {}).value();
  auto incoming = listener->accept();
  auto a = co_await this_shard().io->connect(listener->address());
  auto b = co_await std::move(incoming);
  connected both{std::move(a), std::move(b)};
  co_return both;
}

future<std::string> read_all(atoll::tcp_stream& s) {
  std::string all;
  std::string chunk(10'000, '\0');
  while (const auto n = co_await s.read_some(chunk)) all.append(chunk, 0, n);
  co_return all;
}

ATOLL_TEST(tcp, carries_bytes_both_ways) {
  auto c = co_await connect_pair();
  std::string buffer(16, '\0');
  co_await c.a->write_all("ping");
  EXPECT_EQ(co_await c.b->read_some(buffer), 4U);
  co_await c.b->write_all("pong!");
  EXPECT_EQ(co_await c.a->read_some(buffer), 5U);
  EXPECT_EQ(buffer.substr(0, 5), "pong!");
}

ATOLL_TEST(tcp, waits_for_a_reader_that_is_slow) {
  auto c = co_await connect_pair();
  const std::string much(20'000'000, 'x');
  auto written = c.a->write_all(much);
  EXPECT_FALSE(written.available()) << "20 MB can't fit the socket's buffers";
  auto all = read_all(*c.b);
  co_await std::move(written);
  c.a->shutdown();
  EXPECT_EQ((co_await std::move(all)).size(), much.size());
}

ATOLL_TEST(tcp, shows_the_end_of_the_stream_as_zero_bytes) {
  auto c = co_await connect_pair();
  c.a.reset();
  std::string buffer(16, '\0');
  EXPECT_EQ(co_await c.b->read_some(buffer), 0U);
}

ATOLL_TEST(tcp, shutdown_ends_a_read_that_waits) {
  auto c = co_await connect_pair();
  std::string buffer(16, '\0');
  auto waiting = c.a->read_some(buffer);
  EXPECT_FALSE(waiting.available());
  c.a->shutdown();
  EXPECT_EQ(co_await std::move(waiting), 0U);
}

ATOLL_TEST(tcp, destroying_a_stream_fails_the_read_that_waits) {
  auto c = co_await connect_pair();
  std::string buffer(16, '\0');
  auto waiting = c.a->read_some(buffer);
  c.a.reset();
  const auto r = co_await as_result(std::move(waiting));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::unavailable);
}

ATOLL_TEST(tcp, destroying_a_stream_whose_reader_was_woken_already_fails_the_read) {
  auto c = co_await connect_pair();
  std::string buffer(16, '\0');
  auto waiting = c.a->read_some(buffer);
  // Not awaited: a tick might let the loop poll before us.
  auto written = c.b->write_all("x");
  // The edge has woken the read once poll() has seen it; the read itself runs in a later turn.
  while (!this_shard().io->poll()) continue;
  EXPECT_FALSE(waiting.available());
  c.a.reset();
  const auto r = co_await as_result(std::move(waiting));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::unavailable);
  co_await std::move(written);
}

ATOLL_TEST(tcp, writing_to_a_peer_that_left_fails_as_unavailable) {
  auto c = co_await connect_pair();
  c.b.reset();
  const std::string much(10'000'000, 'x');
  const auto r = co_await as_result(c.a->write_all(much));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::unavailable);
}

ATOLL_TEST(tcp, connecting_to_nobody_is_refused_at_once) {
  auto listener = this_shard().io->listen({"127.0.0.1", 0}, {}).value();
  const auto address = listener->address();
  listener.reset();
  const auto r = co_await as_result(this_shard().io->connect(address));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::unavailable);
  EXPECT_NE(r.error().message().find(address.to_string()), std::string::npos);
}

ATOLL_TEST(tcp, a_port_in_use_is_an_error_that_names_it) {
  auto listener = this_shard().io->listen({"127.0.0.1", 0}, {}).value();
  const auto second = this_shard().io->listen(listener->address(), {});
  ATOLL_REQUIRE(!second);
  EXPECT_EQ(second.error().code(), status_code::already_exists);
  EXPECT_NE(second.error().message().find(listener->address().to_string()), std::string::npos);
  co_return;
}

ATOLL_TEST(tcp, closing_a_listener_cancels_its_accept) {
  auto listener = this_shard().io->listen({"127.0.0.1", 0}, {}).value();
  auto waiting = listener->accept();
  listener->close();
  const auto r = co_await as_result(std::move(waiting));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::cancelled);
}

ATOLL_TEST(tcp, a_connection_moves_to_another_backend_user) {
  auto c = co_await connect_pair();
  co_await c.a->write_all("before");
  auto moved = this_shard().io->attach(c.b->detach());
  std::string buffer(16, '\0');
  EXPECT_EQ(co_await moved->read_some(buffer), 6U);
}

}  // namespace
