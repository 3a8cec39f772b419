// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The code of docs/define.md and docs/call.md, and that it does what is said there.
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <atoll/actors/future/group.hh>
#include <atoll/actors/future/sleep.hh>
#include <atoll/sharding/foreign_object.hh>
#include <atoll/sharding/groups.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/singleton.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;

struct entry {
  std::string key;
  std::int64_t value = 0;
};
ATOLL_MESSAGE(entry, key, value);

class table {
 public:
  atoll::future<std::int64_t> add(std::string key, std::int64_t by) {
    return atoll::make_ready_future<std::int64_t>(rows_[key] += by);
  }
  atoll::future<entry> read(std::string key) const {
    const auto found = rows_.find(key);
    if (found == rows_.end()) co_await atoll::fail(atoll::status_code::not_found, "no row " + key);
    co_return entry{key, found->second};
  }
  void clear() { rows_.clear(); }
  std::size_t size() const { return rows_.size(); }

 private:
  std::unordered_map<std::string, std::int64_t> rows_;  // no lock: one shard owns it
};
ATOLL_SERVICE(table, "demo.v1.Table", ATOLL_METHOD(add, key(name), by), ATOLL_METHOD(read, key(name)));

ATOLL_TEST(docs_services, are_started_called_and_stopped) {
  atoll::sharded<table> tables;
  co_await tables.start();         // a table on each shard
  co_await tables.add("hits", 5);  // on the shard that owns the key "hits"
  const entry row = co_await tables.read("hits");
  const auto n = co_await tables.at(1).add("x", 2);  // on shard 1
  EXPECT_EQ(row.value, 5);
  EXPECT_EQ(n, 2);
  const auto sizes = co_await tables.map(&table::size);  // by shard
  const auto total = co_await tables.map_reduce(&table::size, std::plus<>{}, std::size_t{0});
  co_await tables.on_all(&table::clear);
  co_await tables.on_others([](table& t, std::string key) { return t.add(key, 1).discard_value(); }, std::string("y"));
  const auto there = co_await tables.invoke_on(1, &table::size);  // of one, described or not
  EXPECT_EQ(sizes.size(), atoll::shard_count());
  EXPECT_EQ(total, 2U);
  EXPECT_EQ(there, 1U);
  co_await tables.stop();
}

/// A handle that only its own shard may use.
struct file {
  explicit file(const std::string& directory) : path(directory + "/" + std::to_string(atoll::this_shard_id())) {}
  std::string path;
};

std::unique_ptr<file> open_file(const std::string& directory) { return std::make_unique<file>(directory); }

class journal {
 public:
  journal(std::unique_ptr<file> out, table& rows) : out_(std::move(out)), rows_(rows) {}
  atoll::future<std::string> write(std::string key) {
    co_await rows_.add(key, 1);  // a plain call: the table of this shard
    co_return out_->path + ": " + key;
  }

 private:
  std::unique_ptr<file> out_;
  table& rows_;
};
ATOLL_SERVICE(journal, "demo.v1.Journal", ATOLL_METHOD(write, key));

ATOLL_TEST(docs_services, get_what_belongs_to_their_shard) {
  atoll::sharded<table> tables;
  atoll::sharded<journal> journals;
  co_await tables.start();
  co_await journals.start(atoll::per_shard(&open_file, std::string("/data")), tables.ref());
  EXPECT_EQ(co_await journals.at(1).write("x"), "/data/1: x");
  co_await journals.stop();  // before what it refers to
  co_await tables.stop();
}

class ids {
 public:
  atoll::future<std::int64_t> next() { return atoll::make_ready_future<std::int64_t>(next_++); }

 private:
  std::int64_t next_ = 1;
};
ATOLL_SERVICE(ids, "demo.v1.Ids", ATOLL_METHOD(next));

ATOLL_TEST(docs_services, may_have_one_instance) {
  atoll::singleton<ids> source;
  co_await source.start();
  const atoll::shard_ref<ids> handle = source.ref();  // for every shard
  EXPECT_EQ(co_await handle.next(), 1);
  co_await source.stop();
}

class account {
 public:
  static constexpr atoll::service_options options{.concurrency = 1, .queue = 100};

  atoll::future<std::int64_t> withdraw(std::int64_t amount) {
    if (amount > balance_) co_await atoll::fail(atoll::status_code::failed_precondition, "not that much there");
    co_await atoll::sleep(1ms);  // nobody else is served meanwhile
    co_return balance_ -= amount;
  }

 private:
  std::int64_t balance_ = 100;
};
ATOLL_SERVICE(account, "demo.v1.Account", ATOLL_METHOD(withdraw, amount));

class bank {
 public:
  atoll::future<std::int64_t> withdraw(std::string name, std::int64_t amount) {
    std::int64_t& balance = balances_.try_emplace(name, 100).first->second;
    if (amount > balance) co_await atoll::fail(atoll::status_code::failed_precondition, "not that much there");
    co_await atoll::sleep(1ms);  // others are served meanwhile, but nobody with this name
    co_return balance -= amount;
  }
  atoll::future<std::string> report() const { co_return std::to_string(balances_.size()) + " accounts"; }

 private:
  std::map<std::string, std::int64_t> balances_;
};
ATOLL_SERVICE(bank, "demo.v1.Bank", ATOLL_METHOD_WITH((.concurrency = 1, .per_key = true), withdraw, key(name), amount),
              ATOLL_METHOD_WITH((.concurrency = 4, .queue = 16), report));

template <class Call>
atoll::future<int> how_many_succeed(Call call) {
  std::vector<atoll::future<std::int64_t>> calls;
  for (int i = 0; i < 3; ++i) calls.push_back(call());
  int succeeded = 0;
  for (auto& each : calls) succeeded += co_await atoll::as_result(std::move(each)) ? 1 : 0;
  co_return succeeded;
}

ATOLL_TEST(docs_services, may_serve_one_call_at_a_time) {
  atoll::sharded<account> accounts;
  atoll::sharded<bank> banks;
  co_await accounts.start();
  co_await banks.start();
  const auto of_account = [&accounts] { return accounts.at(1).withdraw(60); };
  const auto of_bank = [&banks] { return banks.withdraw("ann", 60); };
  EXPECT_EQ(co_await how_many_succeed(of_account), 1);
  EXPECT_EQ(co_await how_many_succeed(of_bank), 1);
  const auto reports = co_await banks.map(&bank::report);
  EXPECT_EQ(reports[atoll::shard_of_hash(atoll::key_hash("ann"), 2)], "1 accounts");
  co_await banks.stop();
  co_await accounts.stop();
}

class gauge {
 public:
  atoll::stream<int> readings(int how_many) {
    for (int i = 0; i < how_many; ++i) co_yield level_ += i;
  }
  atoll::future<int> fill(atoll::stream<int> amounts) {
    while (const auto amount = co_await amounts.next()) level_ += *amount;
    co_return level_;
  }
  atoll::stream<int> after_each(atoll::stream<int> amounts) {
    while (const auto amount = co_await amounts.next()) co_yield level_ += *amount;
  }

 private:
  int level_ = 0;
};
ATOLL_SERVICE(gauge, "demo.v1.Gauge", ATOLL_METHOD(readings, how_many), ATOLL_METHOD(fill, amounts),
              ATOLL_METHOD(after_each, amounts));

atoll::stream<int> count_to(int last) {
  for (int i = 1; i <= last; ++i) co_yield i;
}

ATOLL_TEST(docs_services, may_stream) {
  atoll::sharded<gauge> gauges;
  co_await gauges.start();
  auto readings = gauges.at(1).readings(100);  // its shard sends them in batches, ahead of the reader
  int sum = 0;
  while (const auto reading = co_await readings.next()) sum += *reading;
  const int level = co_await gauges.at(1).fill(count_to(10));  // this shard's stream, read over there
  EXPECT_EQ(sum, 166650);
  EXPECT_EQ(level, 4950 + 55);
  auto after = gauges.at(1).after_each(count_to(3));
  EXPECT_EQ(co_await after.next(), level + 1);
  EXPECT_EQ(co_await after.next(), level + 3);
  co_await gauges.stop();
}

class audit {
 public:
  atoll::future<> note(std::string line) {
    lines_.push_back(std::move(line));
    return atoll::make_ready_future();
  }
  atoll::future<std::size_t> digest() {
    group_ = atoll::current_group();
    return atoll::make_ready_future<std::size_t>(lines_.size());
  }

 private:
  std::vector<std::string> lines_;
  atoll::scheduling_group group_;
};
ATOLL_SERVICE(audit, "demo.v1.Audit", ATOLL_METHOD_WITH((.one_way = true), note, line),
              ATOLL_METHOD_WITH((.idempotent = true, .group = "batch"), digest));

ATOLL_TEST(docs_services, may_have_options) {
  atoll::sharded<audit> all;
  EXPECT_FALSE(co_await atoll::as_result(all.start()));
  EXPECT_TRUE(co_await atoll::create_scheduling_group("batch", 100));
  co_await all.start();
  auto left = all.at(1).note("one");
  EXPECT_TRUE(left.available());
  co_await std::move(left);
  EXPECT_EQ(co_await all.at(1).digest(), 1U);
  co_await all.stop();
}

atoll::future<std::size_t> count_there(atoll::shard_id shard) {
  // Made on that shard, where it stays; what comes here is the right to use it.
  auto words = co_await atoll::submit_to(shard, [] { return atoll::make_foreign<std::set<std::string>>(); });
  co_await words.call([](std::set<std::string>& all, std::string word) { all.insert(std::move(word)); },
                      std::string("reef"));
  co_return co_await words.call(&std::set<std::string>::size);
}

ATOLL_TEST(docs_services, may_use_objects_of_other_shards) { EXPECT_EQ(co_await count_there(1), 1U); }

}  // namespace
