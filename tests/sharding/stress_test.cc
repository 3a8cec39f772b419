// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// Random calls, streams, cancels, moves and stops of several services from every shard at once; ATOLL_STRESS_SECONDS says for how
// long (2 by default). What was counted for each key is held against what its callers know: each call that succeeded was served
// once, each that failed at most once. And the calls that a shard makes for a key begin in the order made, wherever its slot goes.
#include <cstdlib>
#include <map>

#include <atoll/sharding/application.hh>
#include <atoll/sharding/service_life.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::result;
using atoll::status_code;
using atoll::stream;

constexpr int keys = 40;

/// Of each key, how many were added.
using counts = std::map<int, std::int64_t>;

/// A call for a key by a shard: that shard's nth.
struct stamp {
  atoll::shard_id caller = 0;
  std::uint64_t n = 0;
};
ATOLL_MESSAGE(stamp, caller, n);

/// The last that began, of each key and caller.
class last_begun {
 public:
  using map = std::map<std::pair<int, atoll::shard_id>, std::uint64_t>;
  void begins(int key, const stamp& now) {
    std::uint64_t& last = last_[{key, now.caller}];
    EXPECT_GT(now.n, last) << "key " << key << " caller " << now.caller;
    last = now.n;
  }
  [[nodiscard]] map& all() noexcept { return last_; }

 private:
  map last_;
};

/// What a table has of a slot.
struct rows {
  counts counted;
  last_begun::map begun;
};
ATOLL_MESSAGE(rows, counted, begun);

/// Takes what is of a slot out of a map by key.
template <class S, class Map, class KeyOf>
Map extract_slot(Map& from, atoll::slot_id slot, KeyOf key_of) {
  Map gone;
  for (auto at = from.begin(); at != from.end();) {
    const auto row = at++;
    if (atoll::slot_of<S>(key_of(row->first)) == slot) gone.insert(from.extract(row));
  }
  return gone;
}

class table : public atoll::peering<table> {
 public:
  static constexpr atoll::service_options options{.slots = 32};

  future<> add(int key, stamp now, std::int64_t by) {
    begun_.begins(key, now);
    counts_[key] += by;
    return atoll::make_ready_future();
  }
  future<> add_later(int key, stamp now, std::int64_t by) {
    begun_.begins(key, now);
    co_await atoll::sleep(std::chrono::microseconds(atoll::this_shard().random.below(300)));
    counts_[key] += by;
  }
  future<> add_unstamped(int key, std::int64_t by) {
    counts_[key] += by;
    return atoll::make_ready_future();
  }
  /// By calls to itself, for the same key.
  future<> add_by_call(int key, std::int64_t by);
  future<> add_all(int key, stream<std::int64_t> amounts) {
    std::int64_t sum = 0;
    while (const auto amount = co_await amounts.next()) sum += *amount;
    counts_[key] += sum;
  }
  stream<std::int64_t> watch(int key, int how_many) {
    for (int i = 0; i < how_many; ++i) {
      if (i % 8 == 0) co_await atoll::yield();
      co_yield counts_[key];
    }
  }
  future<> fail_somehow(int key) {
    switch (key % 3) {
      case 0:
        throw std::runtime_error("on purpose");
      case 1:
        throw key;
      default:
        return atoll::make_failed_future(atoll::error(status_code::aborted, "on purpose"));
    }
  }
  counts all() const { return counts_; }

  future<rows> export_slot(atoll::slot_id slot) {
    rows gone;
    gone.counted = extract_slot<table>(counts_, slot, [](int key) { return key; });
    gone.begun =
        extract_slot<table>(begun_.all(), slot, [](const auto& key_and_caller) { return key_and_caller.first; });
    return atoll::make_ready_future<rows>(std::move(gone));
  }
  future<> import_slot(atoll::slot_id /*slot*/, rows what) {
    for (const auto& [key, count] : what.counted) counts_[key] += count;
    begun_.all().merge(what.begun);
    return atoll::make_ready_future();
  }

 private:
  counts counts_;
  last_begun begun_;
};
ATOLL_SERVICE(table, "stress.Table", ATOLL_METHOD(add, key(key), now, by), ATOLL_METHOD(add_later, key(key), now, by),
              ATOLL_METHOD(add_unstamped, key(key), by), ATOLL_METHOD(add_by_call, key(key), by),
              ATOLL_METHOD(add_all, key(key), amounts), ATOLL_METHOD(watch, key(key), how_many),
              ATOLL_METHOD(fail_somehow, key(key)));

future<> table::add_by_call(int key, std::int64_t by) {
  co_await atoll::yield();
  co_await peers().add_unstamped(key, by);
}

/// One at a time.
class serial {
 public:
  static constexpr atoll::service_options options{.concurrency = 1, .queue = 20};
  future<> add(int key, stamp now, std::int64_t by) {
    begun_.begins(key, now);
    EXPECT_FALSE(busy_);
    busy_ = true;
    const auto outcome =
        co_await as_result(atoll::sleep(std::chrono::microseconds(atoll::this_shard().random.below(100))));
    busy_ = false;
    if (!outcome) co_await atoll::fail(outcome.error());
    counts_[key] += by;
  }
  counts all() const { return counts_; }

 private:
  bool busy_ = false;
  counts counts_;
  last_begun begun_;
};
ATOLL_SERVICE(serial, "stress.Serial", ATOLL_METHOD(add, key(key), now, by));

/// What actors that leave have counted.
class archive {
 public:
  future<> store(int key, std::int64_t count) {
    counts_[key] += count;
    return atoll::make_ready_future();
  }
  counts all() const { return counts_; }

 private:
  counts counts_;
};
ATOLL_SERVICE(archive, "stress.Archive", ATOLL_METHOD(store, key(key), count));

class tally : public atoll::actor<tally, int> {
 public:
  static constexpr atoll::service_options options{.slots = 16};
  using depends_on = atoll::dependencies<archive>;
  explicit tally(atoll::sharded_ref<archive> store) : store_(store) {}
  future<> on_deactivate() { return store_.store(key(), std::exchange(count_, 0)); }
  future<> add(stamp now, std::int64_t by) {
    begun_.begins(key(), now);
    count_ += by;
    return atoll::make_ready_future();
  }

 private:
  atoll::sharded_ref<archive> store_;
  std::int64_t count_ = 0;
  last_begun begun_;
};
ATOLL_SERVICE(tally, "stress.Tally", ATOLL_METHOD(add, now, by));

/// What callers know of what they added, by key, of each kind of counter.
struct known {
  counts served;
  counts maybe;
};
ATOLL_MESSAGE(known, served, maybe);
struct all_known {
  known in_table;
  known in_serial;
  known in_tally;
};
ATOLL_MESSAGE(all_known, in_table, in_serial, in_tally);

stream<std::int64_t> ones(int how_many) {
  for (int i = 0; i < how_many; ++i) {
    if (i % 5 == 0) co_await atoll::maybe_yield();
    co_yield 1;
  }
}

/// Gives each call a deadline or cancels it, now and then.
class caller {
 public:
  using depends_on = atoll::dependencies<table, serial, tally>;
  caller(atoll::sharded_ref<table> tables, atoll::sharded_ref<serial> serials, atoll::keyed_ref<tally> tallies)
      : tables_(tables), serials_(serials), tallies_(tallies) {}

  future<all_known> work(int calls) {
    std::vector<future<>> under_way;
    for (int i = 0; i < calls; ++i) {
      under_way.push_back(one_call());
      if (under_way.size() >= 64 || below(50) == 0) {
        for (auto& each : under_way) co_await std::move(each);
        under_way.clear();
      }
      if (below(4) == 0) co_await atoll::yield();
    }
    for (auto& each : under_way) co_await std::move(each);
    co_return known_;
  }

 private:
  static int below(std::uint64_t n) { return static_cast<int>(atoll::this_shard().random.below(n)); }

  future<> one_call() {
    const int key = below(keys);
    switch (below(9)) {
      case 0:
        return count(known_.in_table, key, 1, [this, key] { return tables_.add(key, next_stamp(), 1); });
      case 1:
        return count(known_.in_table, key, 1, [this, key] { return tables_.add_later(key, next_stamp(), 1); });
      case 2:
        return count(known_.in_table, key, 1, [this, key] { return tables_.add_by_call(key, 1); });
      case 3: {
        const int many = below(200);
        return count(known_.in_table, key, many, [this, key, many] { return tables_.add_all(key, ones(many)); });
      }
      case 4:
        return count(known_.in_serial, key, 1, [this, key] { return serials_.add(key, next_stamp(), 1); });
      case 5:
        return count(known_.in_tally, key, 1, [this, key] { return tallies_.at(key).add(next_stamp(), 1); });
      case 6:
        return read_some(tables_.watch(key, below(300)), below(300));
      case 7:
        return count(known_.in_table, key, 0, [this, key] { return tables_.fail_somehow(key); });
      default:
        return count(known_.in_table, key, 0, [this] {
          return tables_.slots().move(static_cast<atoll::slot_id>(below(32)),
                                      static_cast<atoll::shard_id>(below(atoll::shard_count())), 20ms);
        });
    }
  }
  stamp next_stamp() noexcept { return {atoll::this_shard_id(), ++stamps_}; }

  template <class F>
  static future<> count(known& of, int key, std::int64_t amount, F call) {
    atoll::cancel_source gives_up;
    auto outcome =
        below(6) == 0 ? atoll::with_timeout(std::chrono::microseconds(1 + below(400)), call) : gives_up.run(call);
    if (below(6) == 0) {
      static_cast<void>(co_await as_result(atoll::sleep(std::chrono::microseconds(below(200)))));
      gives_up.cancel();
    }
    const auto ended = co_await as_result(std::move(outcome));
    (ended ? of.served : of.maybe)[key] += amount;
  }

  static future<> read_some(stream<std::int64_t> values, int how_many) {
    for (int i = 0; i < how_many; ++i) {
      const auto next = co_await as_result(values.next());
      if (!next || !*next) co_return;
    }
  }

  atoll::sharded_ref<table> tables_;
  atoll::sharded_ref<serial> serials_;
  atoll::keyed_ref<tally> tallies_;
  all_known known_;
  std::uint64_t stamps_ = 0;
};
ATOLL_SERVICE(caller, "stress.Caller", ATOLL_METHOD(work, calls));

void add_to(counts& sum, const counts& part) {
  for (const auto& [key, count] : part) sum[key] += count;
}

counts merged(const std::vector<counts>& parts) {
  counts sum;
  for (const auto& part : parts) add_to(sum, part);
  return sum;
}

void expect_within(const std::vector<counts>& counted, const known& k, const char* what) {
  counts sum = merged(counted);
  counts least = k.served;
  counts more = k.maybe;
  for (int key = 0; key < keys; ++key) {
    EXPECT_GE(sum[key], least[key]) << what << ", key " << key;
    EXPECT_LE(sum[key], least[key] + more[key]) << what << ", key " << key;
  }
}

all_known added(all_known a, const all_known& b) {
  for (auto member : {&all_known::in_table, &all_known::in_serial, &all_known::in_tally}) {
    add_to((a.*member).served, (b.*member).served);
    add_to((a.*member).maybe, (b.*member).maybe);
  }
  return a;
}

atoll::duration stress_time() {
  const char* seconds = std::getenv("ATOLL_STRESS_SECONDS");
  return std::chrono::seconds(seconds == nullptr ? 2 : std::strtol(seconds, nullptr, 10));
}

auto make_application() {
  return std::make_unique<atoll::application<decltype(atoll::part<caller>()), decltype(atoll::part<table>()),
                                             decltype(atoll::part<serial>()), decltype(atoll::part<archive>()),
                                             decltype(atoll::part<atoll::keyed<tally>>(atoll::keyed_options{}))>>(
      atoll::part<caller>(), atoll::part<table>(), atoll::part<serial>(), atoll::part<archive>(),
      atoll::part<atoll::keyed<tally>>(atoll::keyed_options{.idle_after = 1ms, .active_max = 10}));
}

ATOLL_TEST_ON(stress, calls_are_served_once_or_fail, 3) {
  const auto until = atoll::mono_now() + stress_time();
  auto app = make_application();
  while (atoll::mono_now() < until) {
    co_await app->start({.stop_within = 50ms});
    auto known_here = co_await app->get<caller>().map_reduce(&caller::work, &added, all_known{}, 500);
    // A move whose asker gave up may be under way: the next takes its turn after it.
    const auto slots = app->get<table>().slots();
    co_await slots.move(0, slots.owner(0));
    expect_within(co_await app->get<table>().map(&table::all), known_here.in_table, "table");
    expect_within(co_await app->get<serial>().map(&serial::all), known_here.in_serial, "serial");
    co_await app->get<atoll::keyed<tally>>().stop();  // all of them leave
    expect_within(co_await app->get<archive>().map(&archive::all), known_here.in_tally, "tally");
    co_await app->stop();
  }
}

ATOLL_TEST_ON(stress, services_stop_under_full_load, 3) {
  const auto until = atoll::mono_now() + stress_time();
  auto app = make_application();
  for (int round = 0; round < 3 || atoll::mono_now() < until; ++round) {
    co_await app->start({.stop_within = 5ms});
    auto working = app->get<caller>().on_all(&caller::work, 2'000);
    co_await atoll::sleep(std::chrono::microseconds(atoll::this_shard().random.below(5'000)));
    co_await app->stop();
    static_cast<void>(co_await as_result(std::move(working)));
  }
}

}  // namespace
