// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/future/cancel.hh>

#include <optional>
#include <string>
#include <vector>

#include <atoll/actors/future/combinators.hh>
#include <atoll/actors/future/periodic.hh>
#include <atoll/actors/future/shared_future.hh>
#include <atoll/actors/io/io_backend.hh>
#include <atoll/actors/sync/channel.hh>
#include <atoll/actors/sync/gate.hh>
#include <atoll/actors/sync/mutex.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::cancel_source;
using atoll::error;
using atoll::future;
using atoll::promise;
using atoll::status_code;
using atoll::this_shard;

/// Starts `wait` (a function that gives a future that never gets ready) in a context that is cancelled, one whose deadline
/// passes and one that is cancelled already. Each has to end, by the code of the reason, naming `what`.
template <class W>
future<> expect_cancellable(W wait, std::string what) {
  cancel_source source;
  auto waiting = source.run(wait);
  for (int i = 0; i < 20; ++i) co_await atoll::yield();
  EXPECT_FALSE(waiting.available()) << what << " did not wait";
  source.cancel(error(status_code::cancelled, "enough"));
  const auto cancelled = co_await as_result(std::move(waiting));
  const auto late = co_await as_result(atoll::with_timeout(1ms, wait));
  const auto too_late = co_await as_result(source.run(wait));
  ATOLL_REQUIRE(!cancelled && !late && !too_late);
  EXPECT_EQ(cancelled.error().code(), status_code::cancelled) << what;
  EXPECT_EQ(late.error().code(), status_code::deadline_exceeded) << what;
  EXPECT_EQ(too_late.error().code(), status_code::cancelled) << what;
  for (const auto* e : {&cancelled.error(), &late.error(), &too_late.error()}) {
    EXPECT_NE(e->message().find(what), std::string_view::npos) << e->message();
  }
}

ATOLL_TEST(cancel, ends_every_wait_of_one_shard) {
  co_await expect_cancellable([] { return atoll::sleep(1h); }, "sleep");
  co_await expect_cancellable([] { return atoll::sleep_until(atoll::never); }, "sleep");

  atoll::semaphore units("units", 1);
  auto held = co_await units.acquire();
  co_await expect_cancellable([&] { return units.acquire(); }, "semaphore units");
  atoll::mutex mutex("table");
  auto lock = co_await mutex.lock();
  co_await expect_cancellable([&] { return mutex.lock(); }, "mutex table");
  atoll::shared_mutex shared("index");
  auto writer = co_await shared.lock();
  co_await expect_cancellable([&] { return shared.lock(); }, "shared_mutex index");
  co_await expect_cancellable([&] { return shared.lock_shared(); }, "shared_mutex index");
  atoll::condition_variable changed("changed");
  co_await expect_cancellable([&] { return changed.wait(); }, "condition_variable changed");
  co_await expect_cancellable([&] { return changed.wait([] { return false; }); }, "condition_variable changed");
  co_await expect_cancellable([&] { return changed.wait_for(1h); }, "condition_variable changed");
  atoll::event started("started");
  co_await expect_cancellable([&] { return started.wait(); }, "event started");
  atoll::gate requests("requests");
  auto inside = requests.enter();
  co_await expect_cancellable([&] { return requests.close(); }, "gate requests");
  atoll::channel<int> numbers("numbers", 0);
  co_await expect_cancellable([&] { return numbers.push(1); }, "channel numbers");
  co_await expect_cancellable([&] { return numbers.pop(); }, "channel numbers");
  atoll::periodic_timer every("flush", 1h);
  co_await expect_cancellable([&] { return every.next(); }, "periodic_timer flush");
  promise<int> p;
  atoll::shared_future<int> one(p.get_future());
  co_await expect_cancellable([&] { return one.get(); }, "shared_future");
  atoll::shared_work<int> work("table", 0s, [] { return atoll::sleep(1h).then([] { return 1; }); });
  co_await expect_cancellable([&] { return work.get(); }, "shared_work table");
  promise<int> never;
  atoll::shared_future<int> kept(never.get_future());
  co_await expect_cancellable([&] { return atoll::interruptible(kept.get()); }, "");

  // All are as good as new.
  held.release();
  lock.release();
  writer.release();
  EXPECT_TRUE(units.acquire().available());
  EXPECT_TRUE(mutex.lock().available());
  EXPECT_TRUE(shared.lock().available());
  auto pop = numbers.pop();
  EXPECT_TRUE(numbers.push(3).available());
  EXPECT_EQ(co_await std::move(pop), 3);
  p.set_value(4);
  never.set_value(4);
  EXPECT_EQ(co_await one.get(), 4);
  EXPECT_EQ(co_await kept.get(), 4);
}

ATOLL_TEST(cancel, ends_calls_to_other_shards_and_to_this_one) {
  // It doesn't care for the deadline that it is told.
  const auto stubborn = [] { return atoll::shielded([] { return atoll::sleep(100ms); }); };
  for (atoll::shard_id s = 0; s < 2; ++s) {
    co_await expect_cancellable([s, stubborn] { return atoll::submit_to(s, stubborn); }, "a call");
  }
  co_await atoll::sleep(110ms);  // what was called ends by itself
}

ATOLL_TEST(cancel, ends_the_waits_of_sockets_and_leaves_them_usable) {
  auto listener = this_shard().io->listen({"127.0.0.1", 0}, {}).value();
  co_await expect_cancellable([&] { return listener->accept(); }, "");
  auto incoming = listener->accept();
  auto a = co_await this_shard().io->connect(listener->address());
  auto b = co_await std::move(incoming);
  std::string buffer(100, '\0');
  co_await expect_cancellable([&] { return a->read_some(buffer); }, "socket read");
  co_await b->write_all("hello");
  EXPECT_EQ(co_await a->read_some(buffer), 5U);
  // A connection that is not accepted, and a backlog that is full, are not easily had here: writing is.
  const std::string much(30'000'000, 'x');
  const auto r = co_await as_result(atoll::with_timeout(5ms, [&] { return a->write_all(much); }));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
  EXPECT_NE(r.error().message().find("socket write"), std::string_view::npos);
  cancel_source cancelled;
  cancelled.cancel();
  const auto c = co_await as_result(cancelled.run([&] { return this_shard().io->connect(listener->address()); }));
  ATOLL_REQUIRE(!c);
  EXPECT_EQ(c.error().code(), status_code::cancelled);
}

ATOLL_TEST(cancel, the_first_reason_wins) {
  cancel_source source;
  auto first = source.run([] { return atoll::sleep(1h); });
  source.cancel(error(status_code::aborted, "first"));
  source.cancel(error(status_code::data_loss, "second"));
  auto second = source.run([] { return atoll::sleep(1h); });
  const auto a = co_await as_result(std::move(first));
  const auto b = co_await as_result(std::move(second));
  ATOLL_REQUIRE(!a && !b);
  EXPECT_EQ(a.error(), error(status_code::aborted, "first: in sleep"));
  EXPECT_EQ(b.error(), error(status_code::aborted, "first: in sleep"));
}

ATOLL_TEST(cancel, goes_from_parent_to_child_and_not_back) {
  struct family {
    static future<status_code> child(cancel_source& source) {
      const auto r = co_await as_result(source.run([] { return atoll::sleep(1h); }));
      co_return r ? status_code::ok : r.error().code();
    }
    static future<std::vector<status_code>> parent(std::optional<cancel_source>& inner) {
      inner.emplace();
      std::vector<status_code> codes;
      codes.push_back(co_await child(*inner));
      const auto own = co_await as_result(atoll::sleep(2ms));
      codes.push_back(own ? status_code::ok : own.error().code());
      co_return codes;
    }
  };
  cancel_source outer;
  std::optional<cancel_source> inner;
  auto only_child = outer.run([&] { return family::parent(inner); });
  inner->cancel(error(status_code::aborted));
  const auto codes = co_await std::move(only_child);
  EXPECT_EQ(codes, (std::vector{status_code::aborted, status_code::ok}));
  EXPECT_FALSE(outer.cancelled());
  auto both = outer.run([&] { return family::parent(inner); });
  outer.cancel(error(status_code::data_loss));
  EXPECT_TRUE(inner->cancelled());
  const auto both_codes = co_await std::move(both);
  EXPECT_EQ(both_codes, (std::vector{status_code::data_loss, status_code::data_loss}));
  // A context made below a cancelled one is cancelled.
  const auto born_late = [] { return cancel_source().cancelled(); };
  EXPECT_TRUE(co_await outer.run(born_late));
}

ATOLL_TEST(cancel, does_not_reach_what_is_shielded) {
  cancel_source source;
  struct handler {
    static future<> run(int& cleaned) {
      if (co_await as_result(atoll::sleep(1h))) co_return;
      co_await atoll::shielded([] { return atoll::sleep(1ms); });
      ++cleaned;
      co_await atoll::sleep(1ms);  // fails: only what is shielded waits
      ++cleaned;
    }
  };
  int cleaned = 0;
  auto f = source.run([&] { return handler::run(cleaned); });
  source.cancel();
  EXPECT_FALSE(co_await as_result(std::move(f)));
  EXPECT_EQ(cleaned, 1);
  EXPECT_EQ(co_await atoll::with_timeout(1h, [] { return atoll::shielded([] { return atoll::current_deadline(); }); }),
            atoll::never);
}

ATOLL_CLOCK_TEST(with_timeout, inside_another_ends_at_the_earlier, clock) {
  struct nested {
    static future<> run(atoll::duration outer, atoll::duration inner, std::string& log) {
      const auto both = [inner, &log] { return in(inner, log); };
      const auto r = co_await as_result(atoll::with_timeout(outer, both));
      log += r ? "outer ok" : "outer " + std::string(to_string(r.error().code()));
    }
    static future<> in(atoll::duration inner, std::string& log) {
      const auto r = co_await as_result(atoll::with_timeout(inner, [] { return atoll::sleep(1h); }));
      log += r ? "inner ok, " : "inner " + std::string(to_string(r.error().code())) + ", ";
      co_await atoll::or_fail(atoll::sleep(1s));
    }
  };
  std::string inner_first, outer_first;
  auto a = nested::run(10s, 2s, inner_first);
  auto b = nested::run(2s, 10s, outer_first);
  co_await clock.advance(2s);
  for (int i = 0; i < 100 && !b.available(); ++i) co_await atoll::yield();
  while (!a.available()) {
    co_await clock.advance(1s);
    co_await atoll::yield();
  }
  co_await std::move(a);
  co_await std::move(b);
  EXPECT_EQ(inner_first, "inner deadline_exceeded, outer ok");
  EXPECT_EQ(outer_first, "inner deadline_exceeded, outer deadline_exceeded");
}

ATOLL_TEST(with_timeout, of_no_or_endless_time) {
  EXPECT_EQ(co_await atoll::with_timeout(atoll::duration::max(), [] { return atoll::current_deadline(); }),
            atoll::never);
  EXPECT_FALSE(co_await as_result(atoll::with_timeout(-1h, [] { return atoll::sleep(1h); })));
  EXPECT_TRUE(co_await as_result(atoll::with_timeout(-1h, [] { return atoll::make_ready_future(); })));
  EXPECT_TRUE(co_await as_result(atoll::with_timeout(1h, [] { return atoll::sleep(1ms); })));
}

ATOLL_TEST(with_timeout, waits_for_work_that_ignores_it) {
  promise<int> p;
  auto f = atoll::with_timeout(1ms, [&p] { return p.get_future(); });
  co_await atoll::sleep(3ms);
  EXPECT_FALSE(f.available());
  p.set_value(5);
  EXPECT_EQ(co_await std::move(f), 5);
}

ATOLL_TEST(cancel, within_a_cancel_and_from_a_continuation_of_one) {
  cancel_source a, b;
  // What waits in b is cancelled by the continuation of what waits in a, and the other way round.
  auto in_a = a.run([&b] {
    return atoll::sleep(1h).then_wrapped([&b](const atoll::result<>& r) {
      b.cancel(error(status_code::aborted, "from a"));
      return r ? status_code::ok : r.error().code();
    });
  });
  auto in_b = b.run([&a] {
    return atoll::sleep(1h).then_wrapped([&a](const atoll::result<>& r) {
      a.cancel(error(status_code::aborted, "from b"));
      return r ? status_code::ok : r.error().code();
    });
  });
  a.cancel();
  EXPECT_EQ(co_await std::move(in_a), status_code::cancelled);
  EXPECT_EQ(co_await std::move(in_b), status_code::aborted);
}

ATOLL_TEST(cancel, of_a_tree_with_many_waits_and_dropped_futures) {
  cancel_source root;
  std::vector<future<>> kept;
  for (int i = 0; i < 1'000; ++i) {
    kept.push_back(root.run([] { return atoll::with_timeout(1h, [] { return atoll::sleep(1h); }); }));
    auto dropped = root.run([] { return atoll::sleep(1h).handle_error([](const error&) {}); });
  }
  root.cancel();
  for (auto& f : kept) EXPECT_FALSE(co_await as_result(std::move(f)));
}

ATOLL_TEST(cancel, of_contexts_a_hundred_thousand_deep) {
  struct deep {
    static future<> nest(int left) {
      if (left == 0) return atoll::sleep(1h);
      return atoll::with_timeout(1h, [left] { return nest_later(left - 1); });
    }
    static future<> nest_later(int left) {
      co_await atoll::yield();  // from the run queue, not from the caller's stack
      co_await atoll::or_fail(nest(left));
    }
  };
  cancel_source root;
  auto f = root.run([] { return deep::nest(100'000); });
  for (int i = 0; i < 100; ++i) co_await atoll::yield();
  co_await atoll::sleep(1ms);
  root.cancel();
  const auto r = co_await as_result(std::move(f));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::cancelled);
}

ATOLL_CLOCK_TEST(check_cancelled, sees_a_deadline_even_where_nothing_ever_waits, clock) {
  struct computes {
    static future<int> run(atoll::testing::manual_clock& clock) {
      for (int rounds = 0; rounds < 100; ++rounds) {
        co_await atoll::or_fail(atoll::check_cancelled());
        clock.set_forward(1s);
      }
      co_return 0;
    }
  };
  const auto r = co_await as_result(atoll::with_timeout(10s, [&] { return computes::run(clock); }));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), status_code::deadline_exceeded);
}

ATOLL_TEST(check_cancelled, tells_the_reason) {
  EXPECT_TRUE(atoll::check_cancelled());
  cancel_source source;
  source.cancel(error(status_code::aborted, "why"));
  const auto r = co_await as_result(source.run([] { return future<>::from_result(atoll::check_cancelled()); }));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::aborted, "why"));
}

ATOLL_TEST(interruptible, drops_a_late_outcome_without_calling_a_failure_abandoned) {
  promise<int> fails, succeeds;
  cancel_source source;
  auto a = source.run([&] { return atoll::interruptible(fails.get_future()); });
  auto b = source.run([&] { return atoll::interruptible(succeeds.get_future()); });
  source.cancel();
  promise<int> too_late;
  auto c = source.run([&] { return atoll::interruptible(too_late.get_future()); });
  EXPECT_FALSE(co_await as_result(std::move(a)));
  EXPECT_FALSE(co_await as_result(std::move(b)));
  EXPECT_FALSE(co_await as_result(std::move(c)));
  fails.set_error(error(status_code::aborted, "late"));
  succeeds.set_value(1);
  too_late.set_error(error(status_code::aborted, "late"));
  for (int i = 0; i < 100; ++i) co_await atoll::yield();
  EXPECT_EQ(co_await atoll::testing::take_failures_abandoned(), 0U);
}

ATOLL_TEST(interruptible, gives_what_comes_first) {
  promise<int> p;
  auto f = atoll::with_timeout(1h, [&] { return atoll::interruptible(p.get_future()); });
  p.set_value(3);
  EXPECT_EQ(co_await std::move(f), 3);
  const auto failed =
      co_await as_result(atoll::interruptible(atoll::make_failed_future<int>(error(status_code::data_loss))));
  EXPECT_FALSE(failed);
}

}  // namespace
