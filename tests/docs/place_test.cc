// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The code of docs/place.md, and that it does what is said there.
#include <map>
#include <string>

#include <atoll/sharding/sharded.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;

using rows = std::map<std::string, std::string>;

class store {
 public:
  static constexpr atoll::service_options options{.slots = 1024};

  atoll::future<> put(std::string key, std::string value) {
    rows_[key] = std::move(value);
    return atoll::make_ready_future();
  }
  atoll::future<std::string> get(std::string key) const {
    const auto found = rows_.find(key);
    if (found == rows_.end()) co_await atoll::fail(atoll::status_code::not_found, "no " + key);
    co_return found->second;
  }

  /// What it has of a slot, which is another shard's from now on.
  atoll::future<rows> export_slot(atoll::slot_id slot) {
    rows gone;
    for (auto at = rows_.begin(); at != rows_.end();) {
      const auto row = at++;
      if (atoll::slot_of<store>(row->first) == slot) gone.insert(rows_.extract(row));
    }
    return atoll::make_ready_future<rows>(std::move(gone));
  }
  atoll::future<> import_slot(atoll::slot_id /*slot*/, rows what) {
    rows_.merge(what);
    return atoll::make_ready_future();
  }

 private:
  rows rows_;
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, key(name), value), ATOLL_METHOD(get, key(name)));

ATOLL_TEST(docs_place, a_slot_moves) {
  atoll::sharded<store> stores;
  co_await stores.start();
  co_await stores.put("alice", "here");

  const auto slots = stores.slots();
  const atoll::slot_id slot = slots.of(std::string("alice"));
  const atoll::shard_id other = 1 - slots.owner(slot);
  co_await slots.move(slot, other);
  EXPECT_EQ(co_await stores.get("alice"), "here");            // as before, from there
  EXPECT_EQ(co_await stores.at(other).get("alice"), "here");  // that instance itself
  co_await stores.stop();
}

/// Gives the last shard's slots to the others, one after the other.
atoll::future<> drain_last_shard(atoll::slot_table<store> slots) {
  const atoll::shard_id last = atoll::shard_count() - 1;
  for (atoll::slot_id s = 0; s < slots.count(); ++s) {
    if (slots.owner(s) == last) co_await slots.move(s, s % last);
  }
}

ATOLL_TEST(docs_place, a_shard_is_emptied) {
  atoll::sharded<store> stores;
  co_await stores.start();
  for (int i = 0; i < 100; ++i) co_await stores.put(std::to_string(i), "x");
  co_await drain_last_shard(stores.slots());
  for (int i = 0; i < 100; ++i) EXPECT_EQ(co_await stores.at(0).get(std::to_string(i)), "x");
  co_await stores.stop();
}

}  // namespace
