// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// One-way methods, and methods served in a scheduling group.
#include <atomic>
#include <string>
#include <vector>

#include <atoll/actors/future/group.hh>
#include <atoll/actors/sync/condition_variable.hh>
#include <atoll/sharding/groups.hh>
#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace method_options {

class journal {
 public:
  static inline std::atomic<int> written = 0;
  static inline std::atomic<int> failed = 0;

  atoll::future<> note(std::string text, int ms) {
    if (text == "bad") {
      ++failed;
      co_await atoll::fail(atoll::status_code::data_loss, "on purpose");
    }
    EXPECT_EQ(atoll::current_deadline(), atoll::never) << "its own";
    if (ms > 0) co_await atoll::or_fail(atoll::sleep(std::chrono::milliseconds(ms)));
    all_.push_back(text);
    ++written;
  }
  atoll::future<> wait() { co_await go_on_.wait(); }
  atoll::future<> go_on() {
    go_on_.set();
    return atoll::make_ready_future();
  }
  atoll::future<std::vector<std::string>> read() const {
    return atoll::make_ready_future<std::vector<std::string>>(all_);
  }

 private:
  std::vector<std::string> all_;
  atoll::event go_on_;
};
ATOLL_SERVICE(journal, "test.v1.Journal", ATOLL_METHOD_WITH((.one_way = true), note, text, ms),
              ATOLL_METHOD_WITH((.one_way = true), wait), ATOLL_METHOD(go_on), ATOLL_METHOD(read));

/// Sends one-way messages to its peer while it serves a call.
class flooder : public atoll::peering<flooder> {
 public:
  /// How many were on their way at once.
  atoll::future<int> flood(atoll::shard_id to, int how_many);
  /// The one that was not.
  atoll::future<> last() { return std::move(last_).value(); }
  atoll::future<> hold() { co_await end_.wait(); }
  atoll::future<> end() {
    end_.set();
    return atoll::make_ready_future();
  }

 private:
  atoll::event end_;
  std::optional<atoll::future<>> last_;
};
ATOLL_SERVICE(flooder, "test.v1.Flooder", ATOLL_METHOD(flood, to, how_many), ATOLL_METHOD_WITH((.one_way = true), hold),
              ATOLL_METHOD(end), ATOLL_METHOD(last));

inline atoll::future<int> flooder::flood(atoll::shard_id to, int how_many) {
  int sent = 0;
  for (; sent < how_many; ++sent) {
    auto f = peers().at(to).hold();
    if (!f.available()) {
      last_ = std::move(f);
      break;
    }
    co_await std::move(f);
  }
  co_return sent;
}

class mixed {
 public:
  atoll::future<std::string> in_batch() { return name(); }
  atoll::future<std::string> in_batch_later() {
    co_await atoll::yield();
    co_return co_await name();
  }
  atoll::future<std::string> in_callers() { return name(); }

 private:
  static atoll::future<std::string> name() {
    const auto stats = atoll::this_shard().tasks.stats(atoll::current_group());
    return atoll::make_ready_future<std::string>(stats ? stats->name : "?");
  }
};
ATOLL_SERVICE(mixed, "test.v1.Mixed", ATOLL_METHOD_WITH((.group = "batch"), in_batch),
              ATOLL_METHOD_WITH((.group = "batch"), in_batch_later), ATOLL_METHOD(in_callers));

class counter_of : public atoll::actor<counter_of, std::string> {
 public:
  static inline std::atomic<int> added = 0;
  atoll::future<> add(int n) {
    added += n;
    return atoll::make_ready_future();
  }
  atoll::future<int> sum() { return atoll::make_ready_future<int>(added.load()); }
};
ATOLL_SERVICE(counter_of, "test.v1.CounterOf", ATOLL_METHOD_WITH((.one_way = true), add, n), ATOLL_METHOD(sum));

}  // namespace method_options

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::status_code;
using method_options::counter_of;
using method_options::flooder;
using method_options::journal;
using method_options::mixed;

future<> until(std::atomic<int>& number, int wanted) {
  for (int i = 0; i < 10'000 && number < wanted; ++i) co_await atoll::sleep(1ms);
  EXPECT_EQ(number, wanted);
}

ATOLL_TEST(one_way, is_ready_when_it_has_left_and_served_in_order) {
  journal::written = 0;
  atoll::sharded<journal> journals;
  co_await journals.start();
  for (const atoll::shard_id to : {0U, 1U}) {
    auto ref = journals.at(to);
    auto first = ref.note("first", 0);
    EXPECT_TRUE(first.available());
    co_await std::move(first);
    co_await ref.note("second", 0);
    const std::vector<std::string> wanted{"first", "second"};
    EXPECT_EQ(co_await ref.read(), wanted);
  }
  co_await journals.stop();
}

ATOLL_TEST(one_way, goes_on_when_its_caller_s_time_is_up) {
  journal::written = 0;
  atoll::sharded<journal> journals;
  co_await journals.start();
  atoll::cancel_source caller;
  for (const atoll::shard_id to : {0U, 1U}) {
    co_await caller.run([&journals, to] { return journals.at(to).note("late", 5); });
    co_await atoll::with_timeout(1h, [&journals, to] { return journals.at(to).note("later", 5); });
    co_await journals.at(to).within(1h).note("latest", 5);
  }
  caller.cancel();
  co_await until(journal::written, 6);
  co_await journals.stop();
}

ATOLL_TEST(one_way, tells_its_caller_what_keeps_it_from_leaving) {
  atoll::sharded<journal> journals;
  co_await journals.start();
  const auto nowhere = co_await as_result(journals.at(7).note("x", 0));
  ATOLL_REQUIRE(!nowhere);
  EXPECT_EQ(nowhere.error().code(), status_code::out_of_range);
  const auto late = co_await as_result(journals.at(1).within(0ns).note("x", 0));
  ATOLL_REQUIRE(!late);
  EXPECT_EQ(late.error().code(), status_code::deadline_exceeded);
  co_await journals.stop();
}

ATOLL_TEST(one_way, that_fails_is_logged_and_counted_where_it_was_served) {
  journal::failed = 0;
  atoll::sharded<journal> journals;
  co_await journals.start();
  testing::internal::CaptureStderr();
  co_await journals.at(1).note("bad", 0);
  co_await until(journal::failed, 1);
  static_cast<void>(co_await journals.at(1).read());
  const auto told = testing::internal::GetCapturedStderr();
  EXPECT_NE(told.find("one-way"), std::string::npos) << told;
  EXPECT_NE(told.find("test.v1.Journal"), std::string::npos) << told;
  EXPECT_NE(told.find("on purpose"), std::string::npos) << told;
  const auto lost = [] { return atoll::local_sharding().calls_served(status_code::data_loss); };
  EXPECT_EQ(co_await atoll::submit_to(1, lost), 1U);
  co_await journals.stop();
  // To one that doesn't run: the same, and no failure that nobody read.
  testing::internal::CaptureStderr();
  co_await journals.at(1).note("x", 0);
  co_await atoll::submit_to(1, [] {});
  static_cast<void>(testing::internal::GetCapturedStderr());
}

ATOLL_TEST(one_way, waits_while_too_many_are_under_way) {
  atoll::sharded<journal> journals;
  co_await journals.start();
  const auto ref = journals.at(1);
  for (std::uint32_t i = 0; i < atoll::outbox::calls_in_flight_max; ++i) {
    auto f = ref.wait();
    EXPECT_TRUE(f.available());
    co_await std::move(f);
  }
  auto too_much = ref.wait();
  EXPECT_FALSE(too_much.available());
  const auto timed = co_await as_result(atoll::with_timeout(5ms, [&ref] { return ref.wait(); }));
  ATOLL_REQUIRE(!timed);
  EXPECT_EQ(timed.error().code(), status_code::deadline_exceeded);
  EXPECT_FALSE(too_much.available());
  const auto all = journals.ref();
  co_await atoll::submit_to(1, [all] { return all.at(1).go_on(); });
  co_await std::move(too_much);
  co_await journals.stop();
}

ATOLL_TEST(one_way, of_a_handler_has_a_bound_too) {
  atoll::sharded<flooder> all;
  co_await all.start();
  constexpr auto most = static_cast<int>(atoll::outbox::calls_in_flight_max);
  EXPECT_EQ(co_await all.at(0).flood(1, most + 10), most);
  const auto ref = all.ref();
  co_await atoll::submit_to(1, [ref] { return ref.at(1).end(); });
  co_await all.at(0).last();
  co_await all.stop();
}

ATOLL_TEST(one_way, reaches_actors) {
  counter_of::added = 0;
  atoll::keyed<counter_of> counters;
  co_await counters.start();
  for (int i = 0; i < 10; ++i) co_await counters.at("k" + std::to_string(i)).add(1);
  co_await until(counter_of::added, 10);
  co_await counters.stop();
}

ATOLL_TEST(method_group, is_where_its_calls_are_served) {
  const auto batch = co_await atoll::create_scheduling_group("batch", 100);
  ATOLL_REQUIRE(batch);
  atoll::sharded<mixed> all;
  co_await all.start();
  for (const atoll::shard_id to : {0U, 1U}) {
    EXPECT_EQ(co_await all.at(to).in_batch(), "batch");
    EXPECT_EQ(co_await all.at(to).in_batch_later(), "batch");
    EXPECT_EQ(co_await all.at(to).in_callers(), "main");
    EXPECT_EQ(atoll::current_group().id, 0);
    const auto from_batch = [&all, to] { return all.at(to).in_callers(); };
    EXPECT_EQ(co_await atoll::with_group(*batch, from_batch), "batch");
  }
  co_await all.stop();
}

ATOLL_TEST(method_group, that_does_not_exist_ends_the_start) {
  atoll::sharded<mixed> all;
  const auto r = co_await as_result(all.start());
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::not_found);
  EXPECT_NE(r.error().message().find("has no scheduling group batch"), std::string_view::npos) << r.error().to_string();
  const auto called = co_await as_result(all.at(1).in_callers());
  ATOLL_REQUIRE(!called);
  EXPECT_EQ(called.error().code(), status_code::unavailable);
}

}  // namespace
