// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/rpc/schema.hh>

#include <gtest/gtest.h>

#include "counter.hh"

namespace {

struct v1 {
  atoll::future<> put(std::string, std::int64_t) { return atoll::make_ready_future(); }
};
ATOLL_SERVICE(v1, "test.Store", ATOLL_METHOD(put, key(key), value));

struct v2 {
  atoll::future<> put(std::string, std::int64_t, bool) { return atoll::make_ready_future(); }
};
ATOLL_SERVICE(v2, "test.Store", ATOLL_METHOD(put, key(key), value, sync));

TEST(schema, names_things_as_protobuf_does) {
  EXPECT_EQ(atoll::camel_case("top_words"), "TopWords");
  EXPECT_EQ(atoll::camel_case("add"), "Add");
  EXPECT_EQ(atoll::camel_case("_x__y"), "XY");
}

TEST(schema, has_requests_with_the_parameters_and_replies_with_the_result) {
  const auto s = atoll::schema_of<demo::counter>();
  EXPECT_EQ(s.full_name(), "demo.v1.Counter");
  EXPECT_EQ(s.methods[0].name, "Add");
  EXPECT_EQ(s.methods[0].request, "CounterAddRequest");
  EXPECT_EQ(s.methods[0].reply, "CounterAddReply");
  EXPECT_EQ(s.methods[1].reply, "Hit") << "a described struct is the reply itself";
  for (const auto& m : s.messages) {
    if (m.name != "CounterAddRequest") continue;
    ASSERT_EQ(m.fields.size(), 2U);
    EXPECT_EQ(m.fields[0].name, "name");
    EXPECT_EQ(m.fields[1].number, 2U);
    EXPECT_EQ(m.fields[1].kind, atoll::wire::field_kind::int64);
  }
}

TEST(schema, fingerprints_tell_two_shapes_of_a_method_apart) {
  const auto a = atoll::schema_of<v1>();
  const auto b = atoll::schema_of<v2>();
  EXPECT_EQ(atoll::fingerprint(a, a.methods[0]), atoll::fingerprint(a, a.methods[0]));
  EXPECT_NE(atoll::fingerprint(a, a.methods[0]), atoll::fingerprint(b, b.methods[0]));
}

}  // namespace
