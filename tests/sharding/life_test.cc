// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The phases of a service's life, their limits, and supervised instances.
#include <atomic>

#include <atoll/actors/sync/channel.hh>
#include <atoll/sharding/application.hh>
#include <atoll/sharding/keyed.hh>
#include <atoll/sharding/service_life.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/singleton.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::service_change;
using atoll::service_event;
using atoll::shard_id;
using atoll::sharded;
using atoll::status_code;

/// Which hooks ran, where, in which order.
struct hooks {
  std::atomic<int> ready = 0;
  std::atomic<int> drained = 0;
  std::atomic<int> stopped = 0;
  std::atomic<int> alive = 0;
};
hooks seen;

class phased {
 public:
  phased() { ++seen.alive; }
  phased(const phased&) = delete;
  phased& operator=(const phased&) = delete;
  ~phased() { --seen.alive; }

  future<> ready() {
    EXPECT_EQ(seen.alive, static_cast<int>(atoll::shard_count()));  // peers may be called
    EXPECT_EQ(atoll::current_deadline(), atoll::never);
    co_await atoll::yield();
    ++seen.ready;
  }
  future<> drain() {
    EXPECT_EQ(seen.stopped, 0);
    co_await atoll::yield();
    ++seen.drained;
  }
  future<> stop() {
    EXPECT_EQ(seen.drained, static_cast<int>(atoll::shard_count()));
    ++seen.stopped;
    return atoll::make_ready_future();
  }
  future<int> number() { return atoll::make_ready_future<int>(7); }
};
ATOLL_SERVICE(phased, "test.Phased", ATOLL_METHOD(number));

ATOLL_TEST_ON(life, goes_through_its_phases, 3) {
  std::vector<std::string> told;
  const auto on_event = [&told](const service_event& e) {
    EXPECT_EQ(e.service, "test.Phased");
    told.emplace_back(to_string(e.what));
    EXPECT_EQ(seen.ready, 3);
    EXPECT_EQ(seen.drained, e.what == service_change::stopped ? 3 : 0);
    EXPECT_EQ(seen.alive, e.what == service_change::stopped ? 0 : 3);
  };
  seen.ready = seen.drained = seen.stopped = 0;
  sharded<phased> services({.on_event = on_event});
  auto start = [&services] { return services.start(); };
  co_await atoll::with_timeout(10s, start);
  EXPECT_EQ(seen.ready, 3);
  EXPECT_EQ(co_await services.at(2).number(), 7);
  co_await services.stop();
  EXPECT_EQ(seen.drained, 3);
  EXPECT_EQ(seen.stopped, 3);
  EXPECT_EQ(told, (std::vector<std::string>{"started", "stopping", "stopped"}));
}

/// Whose hooks wait until they are ended, as it is told to.
class waiter {
 public:
  enum class in : std::uint8_t { nothing, ready, drain, stop, call };

  waiter(in which, shard_id where) : waits_(atoll::this_shard_id() == where ? which : in::nothing) {}

  future<> ready() { return wait(in::ready); }
  future<> drain() { return wait(in::drain); }
  future<> stop() { return wait(in::stop); }
  future<> serve() { return wait(in::call); }

 private:
  future<> wait(in which) { return waits_ == which ? never_.wait() : atoll::make_ready_future(); }

  in waits_;
  atoll::event never_{"never"};
};
ATOLL_SERVICE(waiter, "test.Waiter", ATOLL_METHOD(serve));

ATOLL_TEST(life, ready_has_a_limit_and_a_failure_undoes_the_start) {
  sharded<waiter> services({.ready_within = 5ms});
  const auto started = co_await as_result(services.start(waiter::in::ready, shard_id{1}));
  ATOLL_REQUIRE(!started);
  EXPECT_EQ(started.error().code(), status_code::deadline_exceeded);
  const auto call = co_await as_result(services.at(0).serve());
  ATOLL_REQUIRE(!call);
  EXPECT_EQ(call.error().code(), status_code::unavailable);
  co_await services.start(waiter::in::nothing, shard_id{0});
  co_await services.at(1).serve();
  co_await services.stop();
}

ATOLL_TEST(life, drain_and_stop_have_limits) {
  for (const auto which : std::array{waiter::in::drain, waiter::in::stop}) {
    sharded<waiter> services({.drain_within = 5ms, .stop_within = 5ms});
    co_await services.start(which, shard_id{1});
    const auto stopped = co_await as_result(services.stop());
    ATOLL_REQUIRE(!stopped);
    EXPECT_EQ(stopped.error().code(), status_code::deadline_exceeded);
    const auto call = co_await as_result(services.at(0).serve());
    EXPECT_FALSE(call);  // it is stopped all the same
  }
}

ATOLL_TEST(life, a_stop_waits_for_the_start_and_for_a_stop_under_way) {
  sharded<waiter> services({.ready_within = 5ms});
  auto started = services.start(waiter::in::ready, shard_id{1});
  auto stopped = services.stop();  // nothing is destroyed under a ready() that runs
  auto again = services.stop();
  EXPECT_FALSE(again.available());
  EXPECT_FALSE(co_await as_result(std::move(started)));
  co_await std::move(stopped);
  co_await std::move(again);
  co_await services.start(waiter::in::nothing, shard_id{0});
  auto slow = services.stop();
  auto joined = services.stop();
  co_await std::move(joined);
  EXPECT_TRUE(slow.available() || !co_await as_result(services.at(0).serve()));
  co_await std::move(slow);
}

ATOLL_TEST(life, what_is_dropped_while_it_starts_is_stopped_in_the_end) {
  auto services = std::make_unique<sharded<waiter>>(
      atoll::life_options{.ready_within = 20ms, .on_event = [](const service_event& /*e*/) {}});
  auto started = services->start(waiter::in::ready, shard_id{1});
  services.reset();
  EXPECT_FALSE(co_await as_result(std::move(started)));
}

ATOLL_TEST(life, calls_that_stay_too_long_are_cancelled) {
  sharded<waiter> services({.stop_within = 5ms});
  for (shard_id s = 0; s < 2; ++s) {
    co_await services.start(waiter::in::call, s);
    auto call = services.at(s).serve();
    co_await services.stop();
    const auto outcome = co_await as_result(std::move(call));
    ATOLL_REQUIRE(!outcome);
    EXPECT_EQ(outcome.error().code(), status_code::unavailable) << outcome.error().to_string();
  }
}

/// Serves one call at a time, each until it is ended.
class slow {
 public:
  static constexpr atoll::service_options options{.concurrency = 1};
  future<> serve() {
    ++begun;
    return atoll::sleep(10min);
  }
  static inline std::atomic<int> begun = 0;
};
ATOLL_SERVICE(slow, "test.Slow", ATOLL_METHOD(serve));

ATOLL_TEST(life, calls_that_wait_for_their_turn_are_refused_then) {
  slow::begun = 0;
  sharded<slow> services({.stop_within = 5ms});
  co_await services.start();
  std::vector<future<>> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(services.at(1).serve());
  while (slow::begun == 0) co_await atoll::yield();
  co_await services.stop();
  for (auto& each : calls) {
    const auto outcome = co_await as_result(std::move(each));
    ATOLL_REQUIRE(!outcome);
    EXPECT_EQ(outcome.error().code(), status_code::unavailable) << outcome.error().to_string();
  }
  EXPECT_EQ(slow::begun, 1);
}

/// The same, an actor.
class dozer : public atoll::actor<dozer, std::string> {
 public:
  future<> on_deactivate() {
    ++left;
    return atoll::make_ready_future();
  }
  future<> serve() {
    ++slow::begun;
    return atoll::sleep(10min);
  }
  static inline std::atomic<int> left = 0;
};
ATOLL_SERVICE(dozer, "test.Dozer", ATOLL_METHOD(serve));

ATOLL_TEST(life, actors_that_are_busy_too_long_are_interrupted_and_leave) {
  slow::begun = 0;
  dozer::left = 0;
  atoll::keyed<dozer> dozers({.stop_within = 5ms});
  co_await dozers.start();
  std::vector<future<>> calls;
  for (int i = 0; i < 8; ++i) calls.push_back(dozers.at(std::to_string(i % 4)).serve());
  while (slow::begun < 4) co_await atoll::yield();
  co_await dozers.stop();
  for (auto& each : calls) {
    const auto outcome = co_await as_result(std::move(each));
    ATOLL_REQUIRE(!outcome);
    EXPECT_EQ(outcome.error().code(), status_code::unavailable) << outcome.error().to_string();
  }
  EXPECT_EQ(dozer::left, 4);
}

/// Background work fails where it is told to.
class fragile : public atoll::supervised {
 public:
  static constexpr atoll::supervision supervision{.restarts_max = 2, .first_pause = 1ms};

  explicit fragile(int first) : number_(first) { ++made; }
  fragile(const fragile&) = delete;
  fragile& operator=(const fragile&) = delete;
  ~fragile() {
    EXPECT_EQ(background().running(), 0U);
    ++gone;
  }

  future<> ready() {
    if (may_start-- <= 0) co_await atoll::fail(atoll::status_code::not_found, "not now");
    background().spawn([this] { return work(); });
  }
  future<> stop() {
    ++stopped;
    return atoll::make_ready_future();
  }
  future<int> next() { return atoll::make_ready_future<int>(number_++); }
  future<> break_down() {
    broken_.set();
    return atoll::make_ready_future();
  }
  future<> wait_for_ever() { return never_.wait(); }

  static inline std::atomic<int> made = 0;
  static inline std::atomic<int> gone = 0;
  static inline std::atomic<int> stopped = 0;
  static inline std::atomic<int> may_start = 0;

 private:
  future<> work() {
    co_await broken_.wait();
    throw std::runtime_error("broken");
  }

  int number_;
  atoll::event broken_;
  atoll::event never_;
};
ATOLL_SERVICE(fragile, "test.Fragile", ATOLL_METHOD(next), ATOLL_METHOD(break_down), ATOLL_METHOD(wait_for_ever));

struct told {
  std::string what;
  shard_id shard;
  std::string why;
  bool operator==(const told&) const = default;
};
std::function<void(const service_event&)> into(std::vector<told>& all) {
  return [&all](const service_event& e) {
    all.push_back({std::string(to_string(e.what)), e.shard, e.why == nullptr ? "" : std::string(e.why->message())});
  };
}

void begin_anew(int may_start) {
  fragile::made = fragile::gone = fragile::stopped = 0;
  fragile::may_start = may_start;
}

/// Waits until so many events were told.
future<> wait_for(const std::vector<told>& events, std::size_t how_many) {
  while (events.size() < how_many) co_await atoll::sleep(1ms);
}

ATOLL_TEST(supervised, an_instance_whose_background_work_fails_is_made_anew) {
  for (shard_id s = 0; s < 2; ++s) {
    begin_anew(1000);
    std::vector<told> events;
    sharded<fragile> services({.on_event = into(events)});
    co_await services.start(5);
    for (const shard_id each : std::array<shard_id, 2>{0, 1}) EXPECT_EQ(co_await services.at(each).next(), 5);
    auto stuck = services.at(s).wait_for_ever();
    co_await services.at(s).break_down();
    const auto ended = co_await as_result(std::move(stuck));
    ATOLL_REQUIRE(!ended);
    EXPECT_EQ(ended.error().code(), status_code::unavailable) << ended.error().to_string();
    co_await wait_for(events, 3);
    EXPECT_EQ(events, (std::vector<told>{{"started", 0, ""}, {"failed", s, "broken"}, {"restarted", s, ""}}));
    EXPECT_EQ(co_await services.at(s).next(), 5);
    EXPECT_EQ(co_await services.at(1 - s).next(), 6);  // nothing happened to that one
    co_await services.stop();
    EXPECT_EQ(fragile::made, 3);
    EXPECT_EQ(fragile::gone, 3);
    EXPECT_EQ(fragile::stopped, 3);
  }
}

ATOLL_TEST(supervised, a_service_gives_up_on_an_instance_that_fails_too_often) {
  begin_anew(1000);
  std::vector<told> events;
  sharded<fragile> services({.on_event = into(events)});
  co_await services.start(5);
  for (std::size_t i = 0; i < 3; ++i) {
    co_await services.at(1).break_down();
    co_await wait_for(events, 3 + 2 * i);
  }
  ATOLL_REQUIRE(events.size() == 7);
  EXPECT_EQ(events.back(), (told{"gave up", 1, "broken"}));
  const auto call = co_await as_result(services.at(1).next());
  ATOLL_REQUIRE(!call);
  EXPECT_EQ(call.error().code(), status_code::unavailable);
  EXPECT_EQ(co_await services.at(0).next(), 5);
  co_await services.stop();
  EXPECT_EQ(fragile::made, fragile::gone);
}

ATOLL_TEST(supervised, a_restart_that_fails_counts) {
  begin_anew(2);
  std::vector<told> events;
  sharded<fragile> services({.on_event = into(events)});
  co_await services.start(5);
  co_await services.at(0).break_down();
  co_await wait_for(events, 5);
  EXPECT_EQ(events, (std::vector<told>{{"started", 0, ""},
                                       {"failed", 0, "broken"},
                                       {"failed", 0, "not now"},
                                       {"failed", 0, "not now"},
                                       {"gave up", 0, "not now"}}));
  co_await services.stop();
  EXPECT_EQ(fragile::made, fragile::gone);
}

ATOLL_TEST(supervised, may_be_stopped_at_any_point_of_a_restart) {
  for (int i = 0; i < 50; ++i) {
    begin_anew(1000);
    atoll::singleton<fragile> service;
    co_await service.start_on(static_cast<shard_id>(i) % 2, 5);
    co_await service.ref().break_down();
    co_await atoll::sleep(std::chrono::microseconds(i * 50));
    co_await service.stop();
    EXPECT_EQ(fragile::made, fragile::gone);
  }
}

ATOLL_TEST(supervised, a_service_that_is_dropped_is_stopped_in_the_end) {
  begin_anew(1000);
  sharded<fragile> services;
  co_await services.start(5);
}

ATOLL_TEST_ON(life, a_start_by_a_caller_that_gives_up_is_not_cut_short, 2) {
  seen.ready = seen.drained = seen.stopped = 0;
  sharded<phased> services;
  atoll::cancel_source gives_up;
  auto started = gives_up.run([&services] { return services.start(); });
  gives_up.cancel();
  co_await std::move(started);
  EXPECT_EQ(seen.ready, 2);
  co_await services.stop();
}

ATOLL_TEST(life, a_stop_that_is_told_late_leaves_the_next_start_alone) {
  seen.ready = seen.drained = seen.stopped = 0;
  sharded<phased> services;
  co_await services.start();
  auto first = services.stop();
  auto second = services.stop();
  co_await std::move(first);
  seen.drained = seen.stopped = 0;
  co_await services.start();
  co_await std::move(second);
  EXPECT_EQ(co_await services.at(1).number(), 7);
  co_await services.stop();
  EXPECT_EQ(seen.stopped, 2);
  EXPECT_EQ(seen.alive, 0);
}

/// Counts its stops, which take a while.
class stopped_once {
 public:
  explicit stopped_once(bool gets_ready) : gets_ready_(gets_ready) { ++alive; }
  stopped_once(const stopped_once&) = delete;
  stopped_once& operator=(const stopped_once&) = delete;
  ~stopped_once() {
    EXPECT_TRUE(stopped_);
    --alive;
  }
  future<> ready() {
    co_await atoll::sleep(2ms);
    if (!gets_ready_) co_await atoll::fail(status_code::aborted, "not ready");
  }
  future<> stop() {
    ++stops;
    co_await atoll::sleep(1ms);
    stopped_ = true;
  }
  static inline std::atomic<int> alive = 0;
  static inline std::atomic<int> stops = 0;

 private:
  bool gets_ready_;
  bool stopped_ = false;
};
ATOLL_SERVICE(stopped_once, "test.StoppedOnce");

ATOLL_TEST(life, however_many_stop_it_while_it_starts_it_stops_once) {
  for (const bool gets_ready : {true, false}) {
    stopped_once::stops = 0;
    sharded<stopped_once> services;
    auto started = services.start(gets_ready);
    auto first = services.stop();
    auto second = services.stop();
    EXPECT_EQ(static_cast<bool>(co_await as_result(std::move(started))), gets_ready);
    co_await std::move(first);
    co_await std::move(second);
    EXPECT_EQ(stopped_once::stops, 2);
    EXPECT_EQ(stopped_once::alive, 0);
  }
}

/// Calls all its peers from stop(), late on one shard.
class clinger : public atoll::peering<clinger> {
 public:
  future<> stop();
  future<int> number() const { return atoll::make_ready_future<int>(7); }
  static inline std::atomic<int> stopped = 0;
  static inline std::atomic<int> answers = 0;
};
ATOLL_SERVICE(clinger, "test.Clinger", ATOLL_METHOD(number));

future<> clinger::stop() {
  const int others = static_cast<int>(atoll::shard_count()) - 1;
  while (atoll::this_shard_id() == 0 && stopped < others) co_await atoll::or_fail(atoll::sleep(1ms));
  for (shard_id s = 0; s < atoll::shard_count(); ++s) {
    if (co_await peers().at(s).number() == 7) ++answers;
  }
  ++stopped;
}

ATOLL_TEST_ON(life, peers_answer_until_all_have_stopped, 3) {
  clinger::stopped = clinger::answers = 0;
  sharded<clinger> services;
  co_await services.start();
  co_await services.stop();
  EXPECT_EQ(clinger::answers, 9);
}

ATOLL_TEST(life, who_is_told_that_a_service_gave_up_may_drop_it) {
  begin_anew(2);
  std::string last;
  std::unique_ptr<sharded<fragile>> services;
  const auto drop = [&services, &last, word = std::string(100, 'x')](const service_event& e) {
    if (e.what != service_change::gave_up) return;
    services.reset();
    last = word;
  };
  services = std::make_unique<sharded<fragile>>(atoll::life_options{.on_event = drop});
  co_await services->start(5);
  co_await services->at(1).break_down();
  while (services != nullptr) co_await atoll::sleep(1ms);
  EXPECT_EQ(last, std::string(100, 'x'));
}

ATOLL_TEST(life, what_fails_while_its_service_stops_is_seen_by_nobody_too_late) {
  for (int i = 0; i < 300; ++i) {
    begin_anew(1000);
    sharded<fragile> services;
    co_await services.start(5);
    auto broken = services.at(static_cast<shard_id>(i) % 2).break_down();
    for (int yields = 0; yields < i % 6; ++yields) co_await atoll::yield();
    co_await services.stop();
    static_cast<void>(co_await as_result(std::move(broken)));
    EXPECT_EQ(fragile::made, fragile::gone);
  }
}

ATOLL_TEST(singleton, that_runs_stays_where_it_is_though_it_is_asked_to_start_elsewhere) {
  atoll::singleton<waiter> service;
  co_await service.start_on(0, waiter::in::nothing, shard_id{0});
  EXPECT_FALSE(co_await as_result(service.start_on(1, waiter::in::nothing, shard_id{0})));
  co_await service.ref().serve();
  co_await service.stop();
}

/// Whose drain takes a while, in which it must not go.
class drainer : public atoll::supervised {
 public:
  static constexpr atoll::supervision supervision{.first_pause = 1ms};
  drainer() { ++alive; }
  drainer(const drainer&) = delete;
  drainer& operator=(const drainer&) = delete;
  ~drainer() {
    EXPECT_FALSE(draining_);
    --alive;
  }
  future<> drain() {
    draining_ = true;
    ++drains;
    co_await atoll::sleep(5ms);
    draining_ = false;
  }
  future<> break_down() {
    fail(atoll::error(status_code::data_loss, "broken"));
    return atoll::make_ready_future();
  }
  static inline std::atomic<int> alive = 0;
  static inline std::atomic<int> drains = 0;

 private:
  bool draining_ = false;
};
ATOLL_SERVICE(drainer, "test.Drainer", ATOLL_METHOD(break_down));

ATOLL_TEST(life, nothing_is_destroyed_under_a_drain) {
  for (const int which : {0, 1}) {
    drainer::drains = 0;
    atoll::application app(atoll::part<drainer>());
    co_await app.start();
    auto stopped = app.stop();
    while (drainer::drains < 2) co_await atoll::yield();
    if (which == 0) co_await app.get<drainer>().at(1).break_down();
    if (which == 1) co_await app.get<drainer>().stop();
    co_await std::move(stopped);
    EXPECT_EQ(drainer::drains, 2);
    EXPECT_EQ(drainer::alive, 0);
  }
}

future<int> drop_an_application_that_drains() {
  drainer::drains = 0;
  std::optional<future<>> stopped;
  {
    atoll::application app(atoll::part<drainer>());
    co_await app.start();
    stopped.emplace(app.stop());
    while (drainer::drains < 2) co_await atoll::yield();
  }
  stopped.reset();
  co_return 0;  // the runtime stops what is left
}

TEST(life, nothing_is_destroyed_under_a_drain_at_the_end_of_the_runtime) {
  EXPECT_TRUE(atoll::runtime::run({.shards = 2}, &drop_an_application_that_drains));
  EXPECT_EQ(drainer::alive, 0);
}

}  // namespace
