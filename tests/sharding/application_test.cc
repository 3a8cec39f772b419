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

}  // namespace
