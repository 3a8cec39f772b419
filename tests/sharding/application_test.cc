// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <array>
#include <atomic>
#include <optional>

#include <atoll/sharding/app.hh>
#include <atoll/sharding/application.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::application;
using atoll::as_result;
using atoll::dependencies;
using atoll::future;
using atoll::part;
using atoll::service_change;
using atoll::service_event;
using atoll::status_code;

std::atomic<int> alive = 0;
std::atomic<int> together = 0;
std::atomic<bool> right_may_not_start = false;

struct counted {
  counted() { ++alive; }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  ~counted() { --alive; }
};

class bottom : counted {
 public:
  explicit bottom(int n) : n_(n) {}
  future<int> number() { return atoll::make_ready_future<int>(n_); }

 private:
  int n_;
};
ATOLL_SERVICE(bottom, "test.Bottom", ATOLL_METHOD(number));

class ids : counted {
 public:
  future<int> next() { return atoll::make_ready_future<int>(100); }
};
ATOLL_SERVICE(ids, "test.Ids", ATOLL_METHOD(next));

/// Waits until both have come.
future<> meet() {
  ++together;
  while (together < 4) co_await atoll::sleep(1ms);
}

class left : counted {
 public:
  using depends_on = dependencies<bottom, ids>;
  left(bottom& b, atoll::shard_ref<ids> source) : bottom_(b), ids_(source) {}
  future<> ready() { return meet(); }
  future<int> number() {
    const int a = co_await bottom_.number();
    co_return a + co_await ids_.next();
  }

 private:
  bottom& bottom_;
  atoll::shard_ref<ids> ids_;
};
ATOLL_SERVICE(left, "test.Left", ATOLL_METHOD(number));

class right : counted {
 public:
  using depends_on = dependencies<bottom>;
  explicit right(atoll::sharded_ref<bottom> b) : bottom_(b) {
    if (right_may_not_start && atoll::this_shard_id() == 1) throw std::runtime_error("no");
  }
  future<> ready() { return meet(); }
  future<int> number() { return bottom_.at(0).number(); }

 private:
  atoll::sharded_ref<bottom> bottom_;
};
ATOLL_SERVICE(right, "test.Right", ATOLL_METHOD(number));

class top : counted {
 public:
  using depends_on = dependencies<left, right>;
  top(atoll::sharded_ref<left> l, right& r, std::string word) : left_(l), right_(r), word_(std::move(word)) {}
  future<std::string> all() {
    const int a = co_await left_.at(1).number();
    const int b = co_await right_.number();
    co_return word_ + std::to_string(a) + " " + std::to_string(b);
  }
  future<> wait() { return atoll::sleep(10min); }

 private:
  atoll::sharded_ref<left> left_;
  right& right_;
  std::string word_;
};
ATOLL_SERVICE(top, "test.Top", ATOLL_METHOD(all), ATOLL_METHOD(wait));

std::function<void(const service_event&)> into(std::vector<std::string>& told) {
  return [&told](const service_event& e) {
    told.push_back(std::string(e.service) + " " + std::string(to_string(e.what)));
  };
}
std::size_t place_of(const std::vector<std::string>& told, const std::string& what) {
  const auto at = std::ranges::find(told, what);
  EXPECT_NE(at, told.end()) << what;
  return static_cast<std::size_t>(at - told.begin());
}

auto make_parts() {
  return std::tuple(part<top>(std::string("x ")), part<right>(), part<left>(), part<bottom>(7),
                    part<atoll::singleton<ids>>());
}
using the_application = decltype(std::apply(
    [](auto... parts) { return std::type_identity<application<decltype(parts)...>>(); }, make_parts()))::type;
the_application make_application() {
  return std::apply([](auto... parts) { return the_application(std::move(parts)...); }, make_parts());
}

ATOLL_TEST(application, starts_each_part_after_what_it_needs_and_stops_in_reverse) {
  std::vector<std::string> told;
  auto app = make_application();
  for (int round = 0; round < 3; ++round) {
    told.clear();
    together = 0;  // left and right wait for each other: they start at the same time
    co_await app.start({.on_event = into(told)});
    EXPECT_EQ(co_await app.get<top>().at(1).all(), "x 107 7");
    EXPECT_EQ(co_await app.get<atoll::singleton<ids>>().ref().next(), 100);
    EXPECT_EQ(told.size(), 5U);
    EXPECT_EQ(place_of(told, "test.Top started"), 4U);
    EXPECT_LT(place_of(told, "test.Bottom started"), place_of(told, "test.Right started"));
    EXPECT_LT(place_of(told, "test.Bottom started"), place_of(told, "test.Left started"));
    EXPECT_LT(place_of(told, "test.Ids started"), place_of(told, "test.Left started"));
    told.clear();
    co_await app.stop();
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(told.size(), 10U);
    EXPECT_EQ(place_of(told, "test.Top stopped"), 1U);
    EXPECT_LT(place_of(told, "test.Left stopped"), place_of(told, "test.Ids stopping"));
    EXPECT_LT(place_of(told, "test.Left stopped"), place_of(told, "test.Bottom stopping"));
    EXPECT_LT(place_of(told, "test.Right stopped"), place_of(told, "test.Bottom stopping"));
    co_await app.stop();  // nothing runs any more
    EXPECT_EQ(told.size(), 10U);
  }
}

ATOLL_TEST(application, a_part_that_fails_to_start_undoes_exactly_what_started) {
  std::vector<std::string> told;
  auto app = make_application();
  right_may_not_start = true;
  together = 2;  // left need not wait for it
  const auto started = co_await as_result(app.start({.on_event = into(told)}));
  right_may_not_start = false;
  ATOLL_REQUIRE(!started);
  EXPECT_EQ(started.error().message(), "no");
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(std::ranges::count(told, "test.Top stopping"), 0);
  EXPECT_EQ(std::ranges::count(told, "test.Bottom stopped"), 1);
  together = 0;
  co_await app.start();
  co_await app.stop();
  EXPECT_EQ(alive, 0);
}

ATOLL_TEST(application, a_part_that_is_not_ready_in_time_undoes_the_start) {
  auto app = make_application();
  together = -100;
  const auto started = co_await as_result(app.start({.ready_within = 5ms}));
  ATOLL_REQUIRE(!started);
  EXPECT_EQ(started.error().code(), status_code::deadline_exceeded);
  EXPECT_EQ(alive, 0);
}

ATOLL_TEST(application, may_be_stopped_while_it_starts) {
  auto app = make_application();
  std::vector<std::string> told;
  together = -1000;
  auto started = app.start({.ready_within = 20ms, .on_event = into(told)});
  while (together < -998) co_await atoll::sleep(1ms);
  together = 0;
  auto stopped = app.stop();
  auto again = app.stop();
  const auto outcome = co_await as_result(std::move(started));
  ATOLL_REQUIRE(!outcome);
  EXPECT_EQ(outcome.error().code(), status_code::cancelled) << outcome.error().to_string();
  co_await std::move(stopped);
  co_await std::move(again);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(std::ranges::count(told, "test.Top started"), 0);
}

ATOLL_TEST(application, that_is_destroyed_while_it_starts_is_stopped) {
  std::optional<future<>> started;
  std::optional<future<>> failed;
  {
    auto app = make_application();
    together = -1000;
    started.emplace(app.start({.ready_within = 20ms}));
    failed.emplace(app.failure());
    while (together < -998) co_await atoll::sleep(1ms);
  }
  EXPECT_EQ((co_await as_result(*std::move(started))).error().code(), status_code::cancelled);
  EXPECT_EQ((co_await as_result(*std::move(failed))).error().code(), status_code::cancelled);
  EXPECT_EQ(alive, 0);
}

ATOLL_TEST(application, that_is_destroyed_while_it_stops_goes_on_with_that) {
  std::optional<future<>> call;
  std::optional<future<>> stopped;
  {
    auto app = make_application();
    together = 0;
    co_await app.start({.drain_within = 5ms, .stop_within = 5ms});
    call.emplace(app.get<top>().at(1).wait());
    stopped.emplace(app.stop());
    co_await atoll::yield();
    EXPECT_FALSE(stopped->available());
  }
  co_await *std::move(stopped);
  EXPECT_EQ((co_await as_result(*std::move(call))).error().code(), status_code::unavailable);
  EXPECT_EQ(alive, 0);
}

class unlucky {
 public:
  future<> ready() { return atoll::promise<>().get_future(); }  // "broken promise", which is `cancelled`
};
ATOLL_SERVICE(unlucky, "test.Unlucky");

future<int> run_unlucky() {
  application app(part<unlucky>());
  co_await app.run();
  co_return 0;
}

TEST(application, run_fails_where_a_part_fails_to_start_with_cancelled) {
  atoll::app app("unlucky", "Does not start.");
  std::array<char, 8> name{"unlucky"};
  std::array<char*, 2> arguments{name.data(), nullptr};
  EXPECT_EQ(app.run(1, arguments.data(), &run_unlucky), 1);
}

ATOLL_TEST(application, can_not_be_started_twice) {
  auto app = make_application();
  together = 0;
  co_await app.start();
  EXPECT_EQ((co_await as_result(app.start())).error().code(), status_code::failed_precondition);
  EXPECT_EQ((co_await as_result(app.run())).error().code(), status_code::failed_precondition);
  EXPECT_GT(alive, 0);
  co_await app.stop();
}

ATOLL_TEST(application, calls_that_stay_too_long_are_cancelled_by_its_stop) {
  auto app = make_application();
  together = 0;
  co_await app.start({.stop_within = 5ms});
  auto call = app.get<top>().at(1).wait();
  co_await app.stop();
  const auto outcome = co_await as_result(std::move(call));
  ATOLL_REQUIRE(!outcome);
  EXPECT_EQ(outcome.error().code(), status_code::unavailable);
}

ATOLL_TEST(application, run_wants_an_app) {
  auto app = make_application();
  const auto outcome = co_await as_result(app.run());
  ATOLL_REQUIRE(!outcome);
  EXPECT_EQ(outcome.error().code(), status_code::failed_precondition);
  together = 0;
  co_await app.start();
  co_await app.stop();
}

/// All drain before one is stopped.
std::atomic<int> drained = 0;

class far_end {
 public:
  future<> drain() {
    EXPECT_GE(drained++, 2);  // after who depends on it
    return atoll::make_ready_future();
  }
  future<> stop() {
    EXPECT_EQ(drained, 4);
    return atoll::make_ready_future();
  }
};
ATOLL_SERVICE(far_end, "test.FarEnd");

class near_end {
 public:
  using depends_on = dependencies<far_end>;
  explicit near_end(far_end& /*below*/) {}
  future<> drain() {
    co_await atoll::sleep(1ms);
    ++drained;
  }
  future<> stop() {
    EXPECT_EQ(drained, 4);
    return atoll::make_ready_future();
  }
};
ATOLL_SERVICE(near_end, "test.NearEnd");

ATOLL_TEST(application, drains_every_part_before_it_stops_one) {
  drained = 0;
  application app(part<near_end>(), part<far_end>());
  co_await app.start();
  co_await app.stop();
  EXPECT_EQ(drained, 4);
}

class sensor : public atoll::supervised {
 public:
  static constexpr atoll::supervision supervision{.restarts_max = 1, .first_pause = 1ms};
  future<> break_down() {
    fail(atoll::error(status_code::data_loss, "worn out"));
    return atoll::make_ready_future();
  }
};
ATOLL_SERVICE(sensor, "test.Sensor", ATOLL_METHOD(break_down));

class display : public atoll::actor<display, int> {
 public:
  using depends_on = dependencies<sensor>;
  explicit display(atoll::sharded_ref<sensor> from) : from_(from) {}
  future<> break_it() { return from_.at(1).break_down(); }

 private:
  atoll::sharded_ref<sensor> from_;
};
ATOLL_SERVICE(display, "test.Display", ATOLL_METHOD(break_it));

ATOLL_TEST(application, fails_when_a_part_gives_up) {
  std::vector<std::string> told;
  application app(part<sensor>(), part<atoll::keyed<display>>());
  co_await app.start({.on_event = into(told)});
  auto failed = app.failure();
  co_await app.get<atoll::keyed<display>>().at(1).break_it();
  while (std::ranges::count(told, "test.Sensor restarted") < 1) co_await atoll::sleep(1ms);
  EXPECT_FALSE(failed.available());
  co_await app.get<atoll::keyed<display>>().at(2).break_it();
  const auto why = co_await as_result(std::move(failed));
  ATOLL_REQUIRE(!why);
  EXPECT_EQ(why.error().code(), status_code::data_loss);
  EXPECT_EQ(why.error().message(), "worn out");
  co_await app.stop();
}

ATOLL_TEST(application, failure_ends_when_it_stops) {
  application app(part<sensor>());
  co_await app.start();
  auto failed = app.failure();
  co_await app.stop();
  const auto why = co_await as_result(std::move(failed));
  ATOLL_REQUIRE(!why);
  EXPECT_EQ(why.error().code(), status_code::cancelled);
}

ATOLL_TEST(application, that_is_destroyed_tells_who_waits_for_its_failure) {
  std::optional<future<>> failed;
  {
    application app(part<sensor>());
    co_await app.start();
    failed.emplace(app.failure());
  }
  EXPECT_EQ((co_await as_result(*std::move(failed))).error().code(), status_code::cancelled);
}

ATOLL_TEST(application, starts_and_stops_often) {
  application app(part<sensor>(), part<atoll::keyed<display>>(atoll::keyed_options{.idle_after = 1s}), part<near_end>(),
                  part<far_end>());
  for (int i = 0; i < 100; ++i) {
    drained = 0;
    co_await app.start();
    co_await app.stop();
  }
}

/// Gets ready after a while.
class slow_base : counted {
 public:
  slow_base() = default;
  slow_base(const slow_base&) = delete;
  slow_base& operator=(const slow_base&) = delete;
  ~slow_base() { EXPECT_EQ(users, 0); }
  future<> ready() {
    ++getting_ready;
    return atoll::sleep(10ms);
  }
  static inline std::atomic<int> users = 0;
  static inline std::atomic<int> getting_ready = 0;
};
ATOLL_SERVICE(slow_base, "test.SlowBase");

class on_slow_base : counted {
 public:
  using depends_on = dependencies<slow_base>;
  explicit on_slow_base(slow_base& /*below*/) { ++slow_base::users; }
  on_slow_base(const on_slow_base&) = delete;
  on_slow_base& operator=(const on_slow_base&) = delete;
  ~on_slow_base() { --slow_base::users; }
};
ATOLL_SERVICE(on_slow_base, "test.OnSlowBase");

future<int> end_while_an_application_starts(
    std::unique_ptr<application<decltype(part<on_slow_base>()), decltype(part<slow_base>())>>& app) {
  app = std::make_unique<application<decltype(part<on_slow_base>()), decltype(part<slow_base>())>>(part<on_slow_base>(),
                                                                                                   part<slow_base>());
  slow_base::getting_ready = 0;
  auto started = app->start();
  while (slow_base::getting_ready < 2) co_await atoll::yield();
  co_return 0;  // nobody waits for it
}

TEST(application, that_starts_when_the_runtime_ends_is_stopped_with_it) {
  std::unique_ptr<application<decltype(part<on_slow_base>()), decltype(part<slow_base>())>> app;
  EXPECT_TRUE(atoll::runtime::run({.shards = 2}, [&app] { return end_while_an_application_starts(app); }));
  EXPECT_EQ(alive, 0);
  app.reset();
}

ATOLL_TEST(application, that_is_gone_tells_nobody) {
  std::optional<future<>> started;
  {
    std::vector<std::string> told;
    application app(part<on_slow_base>(), part<slow_base>());
    slow_base::getting_ready = 0;
    started.emplace(app.start({.on_event = into(told)}));
    while (slow_base::getting_ready < 2) co_await atoll::yield();
  }
  EXPECT_EQ((co_await as_result(*std::move(started))).error().code(), status_code::cancelled);
  EXPECT_EQ(alive, 0);
}

/// Fails to get ready when another part is asked to stop.
class hopeless {
 public:
  future<> ready() {
    co_await atoll::sleep(5ms);
    co_await atoll::fail(status_code::not_found, "never");
  }
};
ATOLL_SERVICE(hopeless, "test.Hopeless");

ATOLL_TEST(application, a_part_that_can_not_start_is_told_also_where_a_stop_came_before) {
  application app(part<hopeless>());
  auto started = app.start();
  co_await app.stop();
  const auto outcome = co_await as_result(std::move(started));
  ATOLL_REQUIRE(!outcome);
  EXPECT_EQ(outcome.error().code(), status_code::not_found);
}

/// Gives up before the application has started.
class brittle : public atoll::supervised {
 public:
  static constexpr atoll::supervision supervision{.restarts_max = 0};
  future<> ready() {
    fail(atoll::error(status_code::data_loss, "broken from the start"));
    return atoll::make_ready_future();
  }
};
ATOLL_SERVICE(brittle, "test.Brittle");

ATOLL_TEST(application, a_part_that_gives_up_ends_the_start) {
  application app(part<brittle>(), part<slow_base>(), part<on_slow_base>());
  const auto started = co_await as_result(app.start());
  ATOLL_REQUIRE(!started);
  EXPECT_EQ(started.error().message(), "broken from the start");
  EXPECT_EQ(alive, 0);
}

/// Two of these go down together, or not at all: each waits for the other. Described as instances of a template.
template <int Which>
class twin {
 public:
  future<> drain() { return meet_twin(draining); }
  future<> stop() { return meet_twin(stopping); }
  static inline std::atomic<int> draining = 0;
  static inline std::atomic<int> stopping = 0;

 private:
  static future<> meet_twin(std::atomic<int>& mine);
};
using first_twin = twin<1>;
using second_twin = twin<2>;
ATOLL_SERVICE(first_twin, "test.FirstTwin");
ATOLL_SERVICE(second_twin, "test.SecondTwin");

template <int Which>
future<> twin<Which>::meet_twin(std::atomic<int>& mine) {
  const auto& other = &mine == &draining ? twin<3 - Which>::draining : twin<3 - Which>::stopping;
  ++mine;
  while (other == 0) co_await atoll::or_fail(atoll::sleep(1ms));
}

ATOLL_TEST(application, parts_that_need_nothing_of_each_other_go_down_together) {
  application app(part<first_twin>(), part<second_twin>());
  co_await app.start();
  co_await app.stop();
  EXPECT_EQ(first_twin::stopping, 2);
  EXPECT_EQ(second_twin::draining, 2);
}

/// What is no service: starts and stops with the others.
class lamp {
 public:
  enum class mode : std::uint8_t { works, does_not_start, does_not_stop, has_no_memory_to_stop };
  using depends_on = dependencies<bottom>;
  static constexpr std::string_view part_name = "lamp";

  future<> start(atoll::sharded_ref<bottom> power, mode how) {
    how_ = how;
    EXPECT_EQ(co_await power.at(1).number(), 7);
    if (how == mode::does_not_start) co_await atoll::fail(status_code::not_found, "no bulb");
    is_on = true;
  }
  future<> stop() {
    EXPECT_LE(alive, 2);  // the services below, and no others
    ++stops;
    if (how_ == mode::does_not_stop) co_await atoll::or_fail(atoll::sleep(1h));
    if (how_ == mode::has_no_memory_to_stop) co_await atoll::fail(status_code::resource_exhausted, "");
    is_on = false;
  }
  std::string ref() const { return is_on ? "light" : "dark"; }

  static inline bool is_on = false;
  static inline int stops = 0;

 private:
  mode how_ = mode::works;
};

class reader : counted {
 public:
  using depends_on = dependencies<lamp>;
  explicit reader(std::string sees) { EXPECT_EQ(sees, "light"); }
};
ATOLL_SERVICE(reader, "test.Reader");

ATOLL_TEST(application, has_parts_that_are_no_services) {
  std::vector<std::string> told;
  application app(part<reader>(), part<lamp>(lamp::mode::works), part<bottom>(7));
  for (int i = 0; i < 2; ++i) {
    told.clear();
    lamp::stops = 0;
    co_await app.start({.on_event = into(told)});
    EXPECT_TRUE(lamp::is_on);
    EXPECT_EQ(alive, 4);
    EXPECT_EQ(app.get<lamp>().ref(), "light");
    co_await app.stop();
    EXPECT_EQ(lamp::stops, 1);
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(told, (std::vector<std::string>{"test.Bottom started", "lamp started", "test.Reader started",
                                              "test.Reader stopping", "test.Reader stopped", "lamp stopping",
                                              "lamp stopped", "test.Bottom stopping", "test.Bottom stopped"}));
  }
}

ATOLL_TEST(application, a_part_that_is_no_service_and_does_not_start_undoes_the_start) {
  lamp::stops = 0;
  application app(part<reader>(), part<lamp>(lamp::mode::does_not_start), part<bottom>(7));
  const auto started = co_await as_result(app.start());
  ATOLL_REQUIRE(!started);
  EXPECT_EQ(started.error().message(), "no bulb");
  EXPECT_EQ(lamp::stops, 1);
  EXPECT_EQ(alive, 0);
}

ATOLL_TEST(application, the_stop_of_a_part_that_is_no_service_has_its_limits) {
  for (const auto how : {lamp::mode::does_not_stop, lamp::mode::has_no_memory_to_stop}) {
    lamp::stops = 0;
    application app(part<lamp>(how), part<bottom>(7));
    co_await app.start({.stop_within = 5ms});
    const auto stopped = co_await as_result(app.stop());
    ATOLL_REQUIRE(!stopped);
    EXPECT_EQ(stopped.error().code(),
              how == lamp::mode::does_not_stop ? status_code::deadline_exceeded : status_code::resource_exhausted);
    EXPECT_EQ(lamp::stops, how == lamp::mode::does_not_stop ? 1 : 100);
    EXPECT_EQ(alive, 0);
  }
}

}  // namespace
