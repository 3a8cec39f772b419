// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/services/gateway/reflection.hh>

#include <google/protobuf/descriptor.pb.h>

#include <atoll/testing/atoll_test.hh>

#include "counter.hh"

namespace {

using atoll::services::reflection;
namespace wire = atoll::wire;

/// A request with one string field, as its number says: 3 file, 4 symbol, 7 list.
std::string ask(std::uint32_t field, std::string_view what) {
  std::string out;
  wire::put_tag(out, field, wire::wire_type::length);
  wire::put_bytes(out, what);
  return out;
}

/// The content of a field of a reply; "none" where it is not there.
std::string field_of(const std::string& message, std::uint32_t number) {
  wire::reader in(message);
  while (in.next()) {
    std::string_view content;
    if (in.field() == number && in.type() == wire::wire_type::length && in.bytes(content)) return std::string(content);
    if (in.field() != number) in.skip();
  }
  return "none";
}

ATOLL_TEST(reflection, lists_services_and_gives_their_files) {
  atoll::sharded<demo::counter> counters;
  atoll::services::dispatcher exposed;
  exposed.add(atoll::bind(counters.ref())).value();
  const reflection r(exposed);

  const auto listed = r.answer(ask(7, "*")).value();
  EXPECT_EQ(field_of(field_of(field_of(listed, 6), 1), 1), "demo.v1.Counter");
  EXPECT_EQ(field_of(listed, 2), ask(7, "*")) << "the request goes back with the answer";

  for (const char* symbol : {"demo.v1.Counter", "demo.v1.Counter.Add", "demo.v1.Hit", "demo.v1.CounterAddRequest"}) {
    google::protobuf::FileDescriptorProto file;
    EXPECT_TRUE(file.ParseFromString(field_of(field_of(r.answer(ask(4, symbol)).value(), 4), 1))) << symbol;
    EXPECT_EQ(file.package(), "demo.v1");
  }
  EXPECT_NE(field_of(r.answer(ask(3, "demo/v1.proto")).value(), 4), "none");
  co_return;
}

ATOLL_TEST(reflection, answers_what_it_does_not_have_with_not_found) {
  const atoll::services::dispatcher exposed;
  const reflection r(exposed);
  for (const std::uint32_t field : {3U, 4U, 6U}) {
    EXPECT_EQ(field_of(r.answer(ask(field, "no.such")).value(), 7).substr(0, 2), "\x08\x05") << field;
  }
  EXPECT_EQ(field_of(r.answer("").value(), 7).substr(0, 2), "\x08\x03");
  const auto malformed = r.answer("\xff");
  ATOLL_REQUIRE(!malformed);
  EXPECT_EQ(malformed.error().code(), atoll::status_code::invalid_argument);
  co_return;
}

TEST(reflection, serves_both_versions_of_the_protocol) {
  EXPECT_TRUE(reflection::serves("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"));
  EXPECT_TRUE(reflection::serves("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"));
  EXPECT_FALSE(reflection::serves("/grpc.reflection.v2.ServerReflection/ServerReflectionInfo"));
}

}  // namespace
