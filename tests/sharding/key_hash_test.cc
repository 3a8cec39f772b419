// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/key_hash.hh>

#include <array>
#include <string>
#include <vector>

#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/testing/atoll_test.hh>

namespace places {

enum class zone : std::int8_t { west = -1, east = 1 };
struct place {
  zone where;
  std::string name;
  bool operator==(const place&) const = default;
  friend std::string_view atoll_key(const place& p) noexcept { return p.name; }
};
ATOLL_MESSAGE(place, where, name);

class lamp : public atoll::actor<lamp, place> {
 public:
  atoll::future<std::string> name() { return atoll::make_ready_future<std::string>(key().name); }
};
ATOLL_SERVICE(lamp, "test.v1.Lamp", ATOLL_METHOD(name));

class map {
 public:
  atoll::future<atoll::shard_id> shard_of(zone /*where*/) {
    return atoll::make_ready_future<atoll::shard_id>(atoll::this_shard_id());
  }
};
ATOLL_SERVICE(map, "test.v1.Map", ATOLL_METHOD(shard_of, key(where)));

}  // namespace places

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

ATOLL_TEST(key_hash, enums_and_types_that_give_a_key_are_keys) {
  using places::place;
  using places::zone;
  static_assert(atoll::routing_key<zone> && atoll::routing_key<place> && atoll::routing_key<std::string>);
  static_assert(!atoll::routing_key<double> && !atoll::routing_key<std::vector<int>>);
  EXPECT_EQ(atoll::key_hash(zone::west), atoll::key_hash(-1));
  EXPECT_EQ(atoll::key_hash(place{zone::west, "quay"}), atoll::key_hash("quay"));
  atoll::sharded<places::map> maps;
  co_await maps.start();
  for (const auto where : {zone::west, zone::east}) {
    EXPECT_EQ(co_await maps.shard_of(where), atoll::shard_of_hash(atoll::key_hash(where), atoll::shard_count()));
  }
  co_await maps.stop();
  atoll::keyed<places::lamp> lamps;
  co_await lamps.start();
  for (const char* name : {"quay", "mole", "pier", "reef"}) {
    const place at{.where = zone::east, .name = name};
    EXPECT_EQ(co_await lamps.at(at).name(), name);
  }
  co_await lamps.stop();
}

}  // namespace
