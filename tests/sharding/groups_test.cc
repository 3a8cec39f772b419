// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/sharding/groups.hh>

#include <set>
#include <string>
#include <vector>

#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using atoll::as_result;
using atoll::create_scheduling_group;
using atoll::future;
using atoll::scheduling_group;
using atoll::shard_count;
using atoll::status_code;
using atoll::submit_to;
using atoll::this_shard;

std::string name_here(scheduling_group g) {
  const auto stats = this_shard().tasks.stats(g);
  return stats ? stats->name + " " + std::to_string(stats->shares) : "unknown";
}

ATOLL_TEST_ON(scheduling_groups, have_one_id_on_all_shards, 3) {
  // A group that only shard 1 has stands in the way of no other.
  co_await submit_to(1, [] { static_cast<void>(this_shard().tasks.create_group("own", 5).value()); });
  const auto parent = co_await create_scheduling_group("parent", 100);
  ATOLL_REQUIRE(parent.has_value());
  const auto child = co_await create_scheduling_group("child", 50, *parent);
  ATOLL_REQUIRE(child.has_value());
  for (atoll::shard_id s = 0; s < shard_count(); ++s) {
    EXPECT_EQ(co_await submit_to(s, [g = *parent] { return name_here(g); }), "parent 100");
    EXPECT_EQ(co_await submit_to(s, [g = *child] { return name_here(g); }), "child 50");
  }
  ATOLL_REQUIRE((co_await atoll::set_group_shares(*child, 70)).has_value());
  for (atoll::shard_id s = 0; s < shard_count(); ++s) {
    EXPECT_EQ(co_await submit_to(s, [g = *child] { return name_here(g); }), "child 70");
  }
}

ATOLL_TEST_ON(scheduling_groups, follow_the_work_to_other_shards_and_back, 3) {
  const auto batch = (co_await create_scheduling_group("batch", 100)).value();
  struct there {
    static future<std::vector<scheduling_group>> look() {
      std::vector<scheduling_group> seen{atoll::current_group()};
      const auto from_1 = [] { return submit_to(2, [] { return atoll::current_group(); }); };
      seen.push_back(co_await submit_to(1, [] { return atoll::current_group(); }));
      seen.push_back(co_await submit_to(1, from_1));
      seen.push_back(atoll::current_group());
      co_return seen;
    }
  };
  EXPECT_EQ(co_await atoll::with_group(batch, &there::look), std::vector(4, batch));
  EXPECT_EQ(co_await submit_to(1, [] { return atoll::current_group(); }), scheduling_group{});
}

ATOLL_TEST(scheduling_groups, of_one_shard_become_the_default_group_elsewhere) {
  const auto own = this_shard().tasks.create_group("own", 100).value();
  const auto call = [] { return submit_to(1, [] { return atoll::current_group(); }); };
  EXPECT_EQ(co_await atoll::with_group(own, call), scheduling_group{});
}

ATOLL_TEST(scheduling_groups, refuse_what_any_shard_refuses_and_make_nothing) {
  co_await submit_to(1, [] { static_cast<void>(this_shard().tasks.create_group("taken", 5).value()); });
  const auto taken = co_await create_scheduling_group("taken", 100);
  ATOLL_REQUIRE(!taken);
  EXPECT_EQ(taken.error().code(), status_code::already_exists);
  EXPECT_EQ(this_shard().tasks.groups(), 1U);
  for (const std::uint32_t shares : {0U, 10'001U}) {
    const auto bad = co_await create_scheduling_group("bad", shares);
    ATOLL_REQUIRE(!bad);
    EXPECT_EQ(bad.error().code(), status_code::out_of_range);
  }
  const auto orphan = co_await create_scheduling_group("orphan", 100, scheduling_group{40});
  ATOLL_REQUIRE(!orphan);
  EXPECT_EQ(orphan.error().code(), status_code::not_found);
  const auto nobody = co_await atoll::set_group_shares(scheduling_group{40}, 10);
  ATOLL_REQUIRE(!nobody);
  EXPECT_EQ(nobody.error().code(), status_code::not_found);
}

ATOLL_TEST(scheduling_groups, are_at_most_64_a_process) {
  std::set<int> ids;
  for (int i = 1; i < 64; ++i) {
    std::string name = "g" + std::to_string(i);
    const auto made = co_await create_scheduling_group(std::move(name), 1);
    ATOLL_REQUIRE(made.has_value());
    ids.insert(made->id);
  }
  EXPECT_EQ(ids.size(), 63U);
  const auto more = co_await create_scheduling_group("one more", 1);
  ATOLL_REQUIRE(!more);
  EXPECT_EQ(more.error().code(), status_code::resource_exhausted);
}

ATOLL_TEST_ON(scheduling_groups, made_by_all_shards_at_once_stay_apart, 4) {
  struct maker {
    static future<int> make(int of, bool same_name) {
      int made = 0;
      for (int i = 0; i < 5; ++i) {
        std::string name = std::to_string(i);
        if (!same_name) name += "/" + std::to_string(of);
        const auto g = co_await create_scheduling_group(std::move(name), 1);
        made += g.has_value();
      }
      co_return made;
    }
  };
  for (const bool same_name : {false, true}) {
    std::vector<future<int>> making;
    for (atoll::shard_id s = 0; s < 4; ++s) {
      making.push_back(submit_to(s, [s, same_name] { return maker::make(static_cast<int>(s), same_name); }));
    }
    int made = 0;
    for (auto& m : making) made += co_await std::move(m);
    EXPECT_EQ(made, same_name ? 5 : 20);
  }
  for (atoll::shard_id s = 0; s < 4; ++s) {
    EXPECT_EQ(co_await submit_to(s, [] { return this_shard().tasks.groups(); }), 26U);
  }
}

}  // namespace
