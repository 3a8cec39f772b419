// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Messages that protoc made, as arguments and results between shards.
#include <google/protobuf/arena.h>

#include <atoll/sharding/sharded.hh>
#include <atoll/testing/atoll_test.hh>

#include "sample.pb.h"

namespace protoc_messages {

class echo {
 public:
  atoll::future<test::Sample> send_back(test::Sample sample, std::vector<test::Inner> more) {
    for (auto& each : more) *sample.mutable_inner() = std::move(each);
    sample.set_i32(static_cast<int>(atoll::this_shard_id()));
    return atoll::make_ready_future<test::Sample>(std::move(sample));
  }
};
ATOLL_SERVICE(echo, "test.v1.Echo", ATOLL_METHOD(send_back, sample, more));

}  // namespace protoc_messages

namespace {

static_assert(atoll::sendable<test::Sample> && atoll::sendable<std::optional<test::Inner>>);

ATOLL_TEST(protoc_messages, go_to_other_shards_and_back) {
  atoll::sharded<protoc_messages::echo> echoes;
  co_await echoes.start();
  for (const atoll::shard_id at : {0U, 1U}) {
    google::protobuf::Arena arena;
    auto* sample = google::protobuf::Arena::CreateMessage<test::Sample>(&arena);
    sample->set_text("a text that is longer than what lies in a string itself");
    sample->mutable_inner()->set_text("inner");
    std::vector<test::Inner> more(1);
    more[0].set_text("another text that is longer than what lies in a string itself");
    const auto back = co_await echoes.at(at).send_back(std::move(*sample), std::move(more));
    EXPECT_EQ(back.GetArena(), nullptr);
    EXPECT_EQ(back.text(), "a text that is longer than what lies in a string itself");
    EXPECT_EQ(back.inner().text(), "another text that is longer than what lies in a string itself");
    EXPECT_EQ(back.i32(), static_cast<int>(at));
  }
  co_await echoes.stop();
}

}  // namespace
