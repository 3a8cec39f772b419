// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/frame.hh>

#include <gtest/gtest.h>

#include "rpc.pb.h"

namespace {

using namespace atoll::rpc;  // NOLINT: the whole vocabulary
using atoll::error;
using atoll::status_code;

TEST(frame, header_survives) {
  std::string out;
  put_header(out, {77, frame_kind::reply, 0x1122334455667788});
  ASSERT_EQ(out.size(), header_bytes);
  const auto h = parse_header(out);
  ASSERT_TRUE(h);
  EXPECT_EQ(h->body_bytes, 77U);
  EXPECT_EQ(h->kind, frame_kind::reply);
  EXPECT_EQ(h->call_id, 0x1122334455667788U);
}

TEST(frame, a_body_may_be_as_long_as_the_bound_and_no_longer) {
  std::string out;
  put_header(out, {frame_bytes_max, frame_kind::call, 1});
  EXPECT_TRUE(parse_header(out));
  out.clear();
  put_header(out, {frame_bytes_max + 1, frame_kind::call, 1});
  const auto h = parse_header(out);
  ASSERT_FALSE(h);
  EXPECT_EQ(h.error().code(), status_code::resource_exhausted);
}

TEST(frame, kinds_and_bytes_that_no_node_sends_are_refused) {
  for (const std::size_t at : {4U, 5U, 6U, 7U}) {
    std::string out;
    put_header(out, {0, frame_kind::ping, 0});
    out[at] = static_cast<char>(0x40);
    EXPECT_FALSE(parse_header(out)) << at;
  }
  std::string out;
  put_header(out, {0, static_cast<frame_kind>(0), 0});
  EXPECT_FALSE(parse_header(out));
}

TEST(frame, bodies_are_the_messages_of_rpc_proto) {
  std::string out;
  atoll::wire::put_message(out, hello_body{"c", 1, 2, 3});
  atoll_rpc::v1::Hello hello;
  ASSERT_TRUE(hello.ParseFromString(out));
  EXPECT_EQ(hello.cluster() + std::to_string(hello.from_node() * 100 + hello.to_node() * 10 + hello.to_shard()),
            "c123");

  out.clear();
  atoll::wire::put_message(out, call_body{1, "s", "m", 4, 5, 6, 7, "r"});
  atoll_rpc::v1::Call call;
  ASSERT_TRUE(call.ParseFromString(out));
  EXPECT_EQ(call.method_id(), 1U);
  EXPECT_EQ(call.service() + call.method() + call.request(), "smr");
  EXPECT_EQ(call.fingerprint(), 4U);
  EXPECT_EQ(call.timeout_us(), 5U);
  EXPECT_EQ(call.depth(), 6U);
  EXPECT_EQ(call.trace_id(), 7U);

  out.clear();
  atoll::wire::put_message(out, welcome_body{8, 9});
  atoll_rpc::v1::Welcome welcome;
  ASSERT_TRUE(welcome.ParseFromString(out));
  EXPECT_EQ(welcome.node(), 8U);
  EXPECT_EQ(welcome.shards(), 9U);
}

TEST(frame, failures_keep_code_and_message) {
  std::string out;
  put_failure(out, 5, error(status_code::data_loss, "gone\xff"));
  const auto body = std::string_view(out).substr(header_bytes);
  EXPECT_EQ(parse_failure(body), error(status_code::data_loss, "gone\xef\xbf\xbd"));
  EXPECT_EQ(parse_failure("\x08\x63").code(), status_code::unknown);
  EXPECT_EQ(parse_failure("\xff").code(), status_code::invalid_argument);
}

}  // namespace
