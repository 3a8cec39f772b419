// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/key_hash.hh>

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace {

TEST(key_hash, never_changes) {
  // Nodes of different builds have to agree where a key lives: these numbers are part of the protocol.
  EXPECT_EQ(atoll::key_hash(""), 0xefd01f60ba992926U);
  EXPECT_EQ(atoll::key_hash("hits"), atoll::key_hash(std::string("hits")));
  EXPECT_EQ(atoll::key_hash("hits"), atoll::key_hash(atoll::bytes("hits")));
  EXPECT_EQ(atoll::key_hash(0), 0x9ca066f1a4ab2eeaU);
  EXPECT_EQ(atoll::key_hash(1), 0xe5fdc025e13eeed5U);
  EXPECT_EQ(atoll::key_hash(std::int8_t{-1}), 0x25b775faeca8f520U);
  EXPECT_EQ(atoll::key_hash(std::int8_t{-1}), atoll::key_hash(std::int64_t{-1}));
}

TEST(key_hash, spreads_keys_evenly) {
  constexpr int keys = 80'000;
  std::array<int, 8> owned{};
  for (int i = 0; i < keys; ++i) ++owned[atoll::shard_of_hash(atoll::key_hash("key" + std::to_string(i)), 8)];
  for (const int n : owned) EXPECT_NEAR(n, keys / 8, keys / 80);
}

TEST(key_hash, spreads_numbers_evenly) {
  constexpr int keys = 80'000;
  for (const int step : {1, 8, 1024, 1 << 14}) {
    std::array<int, 8> owned{};
    for (int i = 0; i < keys; ++i) ++owned[atoll::shard_of_hash(atoll::key_hash(i * step), 8)];
    for (const int n : owned) EXPECT_NEAR(n, keys / 8, keys / 80) << step;
  }
}

TEST(key_hash, names_a_shard_that_exists) {
  EXPECT_EQ(atoll::shard_of_hash(~std::uint64_t{0}, 1), 0U);
  EXPECT_EQ(atoll::shard_of_hash(~std::uint64_t{0}, 3), 2U);
  EXPECT_EQ(atoll::shard_of_hash(0, 3), 0U);
}

}  // namespace
