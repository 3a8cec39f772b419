// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// What the RPC port does with peers that are broken or hostile.
#include <atoll/rpc/server.hh>

#include <atoll/rpc/cluster.hh>
#include <atoll/testing/atoll_test.hh>

#include "counter.hh"

namespace {

using namespace std::chrono_literals;
using namespace atoll::rpc;  // NOLINT: the whole vocabulary
using atoll::as_result;
using atoll::future;
using atoll::status_code;
using demo::counter;

struct victim {
  victim() : node({.self = 1, .peers = {{1, {"127.0.0.1", 0}}}, .hello_timeout = 50ms, .frame_timeout = 50ms}) {}
  future<> start() {
    co_await counters.start();
    co_await node.start();
    co_await node.serve(counters.ref());
  }
  /// Stops, after a look whether everybody else is still served.
  future<> stop() {
    EXPECT_EQ(co_await node.ref<counter>(1, 1).where(), 1U);
    co_await node.stop();
    co_await counters.stop();
  }
  future<std::unique_ptr<atoll::tcp_stream>> connect() const { return atoll::this_shard().io->connect(node.address()); }
  atoll::cluster node;
  atoll::sharded<counter> counters;
};

/// Everything the server says until it closes.
future<std::string> read_to_end(atoll::tcp_stream& s) {
  std::string all;
  std::string chunk(4096, '\0');
  while (true) {
    const auto n = co_await as_result(s.read_some(chunk));
    if (!n || *n == 0) co_return all;
    all.append(chunk, 0, *n);
  }
}

std::string hello(std::uint32_t to_node = 1, std::uint32_t to_shard = 1, std::string cluster = "atoll") {
  std::string out(preface);
  put_frame(out, frame_kind::hello, 0, hello_body{std::move(cluster), 2, to_node, to_shard});
  return out;
}

std::string call_frame(std::uint64_t id, const call_body& body) {
  std::string out;
  put_frame(out, frame_kind::call, id, body);
  return out;
}

/// The frames in some bytes; the bodies are views of them.
std::vector<frame> frames_of(std::string_view bytes) {
  std::vector<frame> frames;
  while (bytes.size() >= header_bytes) {
    const auto h = parse_header(bytes).value();
    if (bytes.size() < header_bytes + h.body_bytes) break;
    frames.push_back({h.kind, h.call_id, bytes.substr(header_bytes, h.body_bytes)});
    bytes.remove_prefix(header_bytes + h.body_bytes);
  }
  return frames;
}

ATOLL_TEST(server, closes_on_bytes_that_are_not_its_protocol) {
  victim v;
  co_await v.start();
  for (const auto& garbage : {std::string("GET / HTTP/1.1\r\n\r\n"), std::string(100'000, '\xff'), std::string("ATOLX"),
                              std::string(preface) + std::string(100, '\0')}) {
    auto s = co_await v.connect();
    static_cast<void>(co_await as_result(s->write_all(garbage)));
    EXPECT_EQ(co_await read_to_end(*s), "");
  }
  co_await v.stop();
}

ATOLL_TEST(server, closes_on_a_hello_that_does_not_come_or_not_whole) {
  victim v;
  co_await v.start();
  for (const std::size_t sent : {std::size_t{0}, std::size_t{5}, std::size_t{20}, hello().size() - 1}) {
    auto s = co_await v.connect();
    co_await s->write_all(hello().substr(0, sent));
    EXPECT_EQ(co_await read_to_end(*s), "") << sent;
  }
  co_await v.stop();
}

ATOLL_TEST(server, tells_a_peer_that_wants_somebody_else) {
  victim v;
  co_await v.start();
  for (const auto& wrong : {hello(2, 0), hello(1, 99), hello(1, 0, "other")}) {
    auto s = co_await v.connect();
    co_await s->write_all(wrong);
    const auto said = co_await read_to_end(*s);
    const auto frames = frames_of(said);
    ATOLL_REQUIRE(frames.size() == 1);
    EXPECT_EQ(frames[0].kind, frame_kind::failure);
    EXPECT_EQ(frames[0].call_id, 0U);
  }
  co_await v.stop();
}

ATOLL_TEST(server, closes_on_an_oversized_length_without_waiting_for_it) {
  victim v;
  co_await v.start();
  auto s = co_await v.connect();
  std::string header;
  put_header(header, {0xffffffff, frame_kind::call, 1});
  co_await s->write_all(hello() + header);
  const auto said = co_await read_to_end(*s);
  const auto frames = frames_of(said);
  ATOLL_REQUIRE(frames.size() == 2);
  EXPECT_EQ(frames[0].kind, frame_kind::welcome);
  EXPECT_EQ(parse_failure(frames[1].body).code(), status_code::resource_exhausted);
  co_await v.stop();
}

ATOLL_TEST(server, closes_on_a_half_frame_that_is_not_continued) {
  victim v;
  co_await v.start();
  auto s = co_await v.connect();
  std::string header;
  put_header(header, {1'000'000, frame_kind::call, 1});
  co_await s->write_all(hello() + header + "half");
  const auto said = co_await read_to_end(*s);
  EXPECT_EQ(frames_of(said).size(), 1U);
  co_await v.stop();
}

ATOLL_TEST(server, closes_on_frames_that_only_a_server_sends) {
  victim v;
  co_await v.start();
  for (const auto kind : {frame_kind::hello, frame_kind::welcome, frame_kind::reply, frame_kind::failure}) {
    auto s = co_await v.connect();
    std::string bad;
    put_frame(bad, kind, 1, std::string_view());
    co_await s->write_all(hello() + bad);
    const auto said = co_await read_to_end(*s);
    const auto frames = frames_of(said);
    ATOLL_REQUIRE(frames.size() == 2);
    EXPECT_EQ(frames[1].kind, frame_kind::failure);
    EXPECT_EQ(frames[1].call_id, 0U);
  }
  co_await v.stop();
}

/// Sends frames after a hello and gives the frames that answer, once so many have come.
future<std::string> converse(victim& v, std::string sent, std::size_t answers) {
  auto s = co_await v.connect();
  co_await s->write_all(hello() + sent);
  std::string said;
  std::string chunk(4096, '\0');
  while (frames_of(said).size() < answers + 1) {
    const auto n = co_await s->read_some(chunk);
    if (n == 0) break;
    said.append(chunk, 0, n);
  }
  co_return said;
}

ATOLL_TEST(server, answers_each_bad_call_with_its_own_error_and_serves_on) {
  victim v;
  co_await v.start();
  std::string sent;
  sent += call_frame(1, {.method_id = 1, .service = "no.Such", .method = "Thing"});
  sent += call_frame(2, {.method_id = 2, .service = "demo.v1.Counter", .method = "Nope"});
  sent += call_frame(3, {.method_id = 3, .service = "demo.v1.Counter", .method = "Echo", .request = "\x0a\xff"});
  sent += call_frame(4, {.method_id = 77, .service = "demo.v1.Counter", .method = "Echo"});
  sent += call_frame(5, {.method_id = 0});
  put_frame(sent, frame_kind::call, 6, std::string_view("\xff\xff\xff"));
  sent += call_frame(7, {.method_id = 3, .timeout_us = ~std::uint64_t{0}, .request = "\x0a\x02hi"});
  put_frame(sent, frame_kind::ping, 8, std::string_view());
  const auto said = co_await converse(v, sent, 8);
  std::map<std::uint64_t, frame> by_call;
  for (const auto& f : frames_of(said)) by_call[f.call_id] = f;
  const auto code = [&by_call](std::uint64_t id) { return parse_failure(by_call[id].body).code(); };
  EXPECT_EQ(code(1), status_code::unimplemented);
  EXPECT_EQ(code(2), status_code::unimplemented);
  EXPECT_EQ(code(3), status_code::invalid_argument);
  EXPECT_EQ(code(4), status_code::invalid_argument);
  EXPECT_EQ(code(5), status_code::invalid_argument);
  EXPECT_EQ(code(6), status_code::invalid_argument);
  EXPECT_EQ(by_call[7].kind, frame_kind::reply);
  EXPECT_EQ(by_call[7].body, "\x0a\x02hi");
  EXPECT_EQ(by_call[8].kind, frame_kind::pong);
  co_await v.stop();
}

ATOLL_TEST(server, refuses_calls_beyond_what_a_connection_may_have_under_way) {
  victim v;
  co_await v.start();
  constexpr auto most = server::calls_in_flight_max;
  std::string sent =
      call_frame(1, {.method_id = 1, .service = "demo.v1.Counter", .method = "Nap", .request = "\x08\x32"});
  for (std::uint32_t i = 2; i <= most + 1; ++i) sent += call_frame(i, {.method_id = 1, .request = "\x08\x32"});
  const auto said = co_await converse(v, sent, most + 1);
  std::uint32_t served = 0;
  std::uint32_t refused = 0;
  for (const auto& f : frames_of(said)) {
    served += f.kind == frame_kind::reply ? 1 : 0;
    if (f.kind != frame_kind::failure) continue;
    EXPECT_EQ(parse_failure(f.body).code(), status_code::resource_exhausted);
    ++refused;
  }
  EXPECT_EQ(served, most);
  EXPECT_EQ(refused, 1U);
  co_await v.stop();
}

ATOLL_TEST(server, stops_reading_from_a_peer_that_does_not_read) {
  victim v;
  co_await v.start();
  // Each ping is answered; nobody takes the answers. The server may hold some, then it has to push back.
  std::string pings;
  for (int i = 0; i < 100'000; ++i) put_frame(pings, frame_kind::ping, 1, std::string_view());
  auto s = co_await v.connect();
  co_await s->write_all(hello());
  std::size_t sent = 0;
  constexpr std::size_t far_too_much = 512U << 20;
  while (sent < far_too_much) {
    auto written = s->write_all(pings);
    for (int i = 0; i < 2'000 && !written.available(); ++i) co_await atoll::sleep(100us);
    if (!written.available()) {
      s->shutdown();
      static_cast<void>(co_await as_result(std::move(written)));
      break;
    }
    const auto outcome = co_await as_result(std::move(written));
    if (!outcome) break;  // where this machine is slow, half a frame stays for too long
    sent += pings.size();
  }
  EXPECT_LT(sent, far_too_much) << "the server took everything and buffered the answers";
  s.reset();
  co_await v.stop();
}

ATOLL_TEST(server, refuses_method_names_that_are_too_long) {
  victim v;
  co_await v.start();
  const std::string name(513, 'x');
  const auto said = co_await converse(v, call_frame(1, {.method_id = 1, .service = name, .method = "M"}), 1);
  const auto frames = frames_of(said);
  ATOLL_REQUIRE(frames.size() == 2);
  EXPECT_EQ(parse_failure(frames[1].body).code(), status_code::invalid_argument);
  co_await v.stop();
}

ATOLL_TEST(server, takes_frames_in_any_pieces) {
  victim v;
  co_await v.start();
  auto s = co_await v.connect();
  const auto sent =
      hello() +
      call_frame(9, {.method_id = 1, .service = "demo.v1.Counter", .method = "Echo", .request = "\x0a\x02hi"});
  for (const char c : sent) {
    co_await s->write_all(std::string_view(&c, 1));
    co_await atoll::yield();
  }
  std::string said;
  std::string chunk(4096, '\0');
  while (frames_of(said).size() < 2) said.append(chunk, 0, co_await s->read_some(chunk));
  EXPECT_EQ(frames_of(said)[1].body, "\x0a\x02hi");
  s.reset();
  co_await v.stop();
}

ATOLL_TEST(server, a_port_in_use_is_an_error_of_start) {
  victim v;
  co_await v.start();
  atoll::cluster second({.self = 1, .peers = {{1, v.node.address()}}});
  const auto r = co_await as_result(second.start());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::already_exists);
  co_await v.stop();
}

}  // namespace
