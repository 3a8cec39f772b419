// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/services/gateway/proto_file.hh>

#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <gtest/gtest.h>

#include "counter.hh"

namespace {

namespace pb = google::protobuf;

struct leaf {
  std::string text;
};
ATOLL_MESSAGE(leaf, text);
struct everything {
  bool flag = false;
  std::optional<std::int32_t> maybe;
  std::vector<leaf> leaves;
  std::map<std::string, leaf> by_name;
  std::map<std::int32_t, double> by_number;
  atoll::bytes raw;
  float small = 0;
};
ATOLL_MESSAGE(everything, flag, maybe, leaves, by_name, by_number, raw, small);
class sampler {
 public:
  atoll::future<everything> sample(everything like) { co_return like; }
};
ATOLL_SERVICE(sampler, "Sampler", ATOLL_METHOD(sample, like));  // no package

void expect_compiles(const std::string& text, const std::string& service) {
  pb::io::ArrayInputStream in(text.data(), static_cast<int>(text.size()));
  pb::io::Tokenizer tokens(&in, nullptr);
  pb::compiler::Parser parser;
  pb::FileDescriptorProto file;
  ASSERT_TRUE(parser.Parse(&tokens, &file)) << text;
  file.set_name("printed.proto");
  pb::DescriptorPool pool;
  const auto* built = pool.BuildFile(file);
  ASSERT_NE(built, nullptr) << text;
  EXPECT_NE(pool.FindServiceByName(service), nullptr);
}

class asker {
 public:
  atoll::future<int> ask(int n) { return atoll::make_ready_future<int>(n); }
  atoll::future<int> add(int n) { return atoll::make_ready_future<int>(n); }
};
ATOLL_SERVICE(asker, "test.Asker", ATOLL_METHOD_WITH((.idempotent = true), ask, n), ATOLL_METHOD(add, n));

TEST(proto_file, says_what_may_be_asked_twice) {
  const auto text = atoll::services::proto_text(atoll::schema_of<asker>());
  expect_compiles(text, "test.Asker");
  const auto at = text.find("option idempotency_level = IDEMPOTENT;");
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_EQ(text.find("IDEMPOTENT", at + 40), std::string::npos) << text;
  EXPECT_LT(text.find("rpc Ask"), at) << text;
  EXPECT_GT(text.find("rpc Add"), at) << text;
}

TEST(proto_file, is_a_file_that_protoc_takes) {
  expect_compiles(atoll::services::proto_text(atoll::schema_of<demo::counter>()), "demo.v1.Counter");
  expect_compiles(atoll::services::proto_text(atoll::schema_of<sampler>()), "Sampler");
}

TEST(proto_file, says_what_the_class_says) {
  const auto text = atoll::services::proto_text(atoll::schema_of<demo::counter>());
  for (const char* line :
       {"syntax = \"proto3\";", "package demo.v1;", "service Counter {",
        "rpc Add(.demo.v1.CounterAddRequest) returns (.demo.v1.CounterAddReply);",
        "rpc Read(.demo.v1.CounterReadRequest) returns (.demo.v1.Hit);", "string name = 1;", "int64 by = 2;"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << " is not in\n" << text;
  }
  const auto all_kinds = atoll::services::proto_text(atoll::schema_of<sampler>());
  for (const char* line :
       {"bool flag = 1;", "optional int32 maybe = 2;", "repeated .Leaf leaves = 3;", "map<string, .Leaf> by_name = 4;",
        "map<int32, double> by_number = 5;", "bytes raw = 6;", "float small = 7;"}) {
    EXPECT_NE(all_kinds.find(line), std::string::npos) << line << " is not in\n" << all_kinds;
  }
}

TEST(proto_file, of_a_package_has_each_message_once) {
  const auto a = atoll::schema_of<demo::counter>();
  pb::FileDescriptorProto file;
  ASSERT_TRUE(file.ParseFromString(atoll::services::proto_descriptor({&a, &a})));
  EXPECT_EQ(file.message_type_size(), static_cast<int>(a.messages.size()));
  EXPECT_EQ(file.name(), "demo/v1.proto");
}

}  // namespace
