// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The code of docs/compose.md, and that it does what is said there.
#include <string>
#include <vector>

#include <atoll/actors/sync/channel.hh>
#include <atoll/sharding/application.hh>
#include <atoll/sharding/service_life.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;

class store {
 public:
  explicit store(std::string path) : path_(std::move(path)) {}
  atoll::future<> ready() { return atoll::make_ready_future(); }  // e.g. reads what is at path_
  atoll::future<> put(std::string key, std::int64_t value) {
    last_ = key + "=" + std::to_string(value) + " in " + path_;
    return atoll::make_ready_future();
  }
  atoll::future<std::string> last() const { return atoll::make_ready_future<std::string>(last_); }

 private:
  std::string path_;
  std::string last_;
};
ATOLL_SERVICE(store, "demo.v1.Store", ATOLL_METHOD(put, key(key), value), ATOLL_METHOD(last));

class ids {
 public:
  atoll::future<std::int64_t> next() { return atoll::make_ready_future<std::int64_t>(next_++); }

 private:
  std::int64_t next_ = 1;
};
ATOLL_SERVICE(ids, "demo.v1.Ids", ATOLL_METHOD(next));

class shop {
 public:
  using depends_on = atoll::dependencies<store, ids>;
  shop(atoll::sharded_ref<store> rows, atoll::shard_ref<ids> numbers, int limit)
      : rows_(rows), numbers_(numbers), limit_(limit) {}

  atoll::future<std::int64_t> sell(std::string what) {
    if (sold_ == limit_) co_await atoll::fail(atoll::status_code::resource_exhausted, "sold out");
    ++sold_;
    const auto id = co_await numbers_.next();
    co_await rows_.put(what, id);
    co_return id;
  }
  atoll::future<> drain() {  // before anybody stops: no more sales
    limit_ = sold_;
    return atoll::make_ready_future();
  }

 private:
  atoll::sharded_ref<store> rows_;
  atoll::shard_ref<ids> numbers_;
  int limit_;
  int sold_ = 0;
};
ATOLL_SERVICE(shop, "demo.v1.Shop", ATOLL_METHOD(sell, key(what)));

ATOLL_TEST(docs_compose, services_start_after_what_they_need) {
  atoll::application app(atoll::part<shop>(100),  // the order doesn't matter
                         atoll::part<atoll::singleton<ids>>(), atoll::part<store>(std::string("/data")));
  co_await app.start({.ready_within = 30s, .drain_within = 5s, .stop_within = 5s});
  const auto id = co_await app.get<shop>().sell("tea");
  EXPECT_EQ(id, 1);
  const auto owner = atoll::shard_of_hash(atoll::key_hash(std::string_view("tea")), atoll::shard_count());
  EXPECT_EQ(co_await app.get<store>().at(owner).last(), "tea=1 in /data");
  co_await app.stop();
}

/// Reads lines somebody sends, in the background.
class follower : public atoll::supervised {
 public:
  static constexpr atoll::supervision supervision{.restarts_max = 3, .first_pause = 1ms};

  atoll::future<> ready() {
    background().spawn([this] { return follow(); });
    return atoll::make_ready_future();
  }
  atoll::future<> send(std::string line) { return lines_.push(std::move(line)); }
  atoll::future<int> seen() const { return atoll::make_ready_future<int>(seen_); }

 private:
  atoll::future<> follow() {
    while (const auto line = co_await lines_.pop()) {
      if (*line == "garbled") co_await atoll::fail(atoll::status_code::data_loss, "a line that can't be read");
      ++seen_;
    }
  }

  atoll::channel<std::string> lines_{"lines", 16};
  int seen_ = 0;
};
ATOLL_SERVICE(follower, "demo.v1.Follower", ATOLL_METHOD(send, line), ATOLL_METHOD(seen));

ATOLL_TEST(docs_compose, an_instance_that_fails_is_made_anew) {
  std::vector<std::string> told;
  const auto tell = [&told](const atoll::service_event& e) { told.emplace_back(to_string(e.what)); };
  atoll::application app(atoll::part<follower>());
  co_await app.start({.on_event = tell});
  const auto one = app.get<follower>().at(1);
  co_await one.send("a line");
  while (co_await one.seen() < 1) co_await atoll::yield();
  co_await one.send("garbled");
  while (told.size() < 3) co_await atoll::sleep(1ms);
  const std::vector<std::string> expected{"started", "failed", "restarted"};
  EXPECT_EQ(told, expected);
  EXPECT_EQ(co_await one.seen(), 0);  // a new instance, at the same place
  co_await app.stop();
}

}  // namespace
