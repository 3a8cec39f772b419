// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The public operations with a failure at each of their allocations in turn: they fail with `resource_exhausted` or do
// without, and leave nothing behind.
#include <filesystem>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <atoll/actors/future/combinators.hh>
#include <atoll/actors/future/group.hh>
#include <atoll/actors/future/periodic.hh>
#include <atoll/actors/future/shared_future.hh>
#include <atoll/actors/future/stream.hh>
#include <atoll/actors/io/io_backend.hh>
#include <atoll/actors/memory/buffer.hh>
#include <atoll/actors/memory/shard_memory.hh>
#include <atoll/actors/metrics/prometheus.hh>
#include <atoll/actors/metrics/shard_metrics.hh>
#include <atoll/actors/reactor/task_dump.hh>
#include <atoll/actors/sync/channel.hh>
#include <atoll/actors/sync/gate.hh>
#include <atoll/actors/sync/mutex.hh>
#include <atoll/actors/sync/scope.hh>
#include <atoll/testing/alloc_failures.hh>
#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::future;
using atoll::or_fail;
using atoll::testing::for_each_allocation_failure;
using atoll::testing::sweep_options;

/// A sweep with one failure a run, and one with three in a row. At least one allocation is expected.
future<> sweep(future<> (*body)()) {
  for (const std::uint64_t failures : {1U, 3U}) {
    const sweep_options options{.failures = failures};
    const auto runs = co_await for_each_allocation_failure(body, options);
    EXPECT_GT(runs, 0U);
  }
}

#define ATOLL_SWEEP(name)                                                    \
  future<> name##_body();                                                    \
  ATOLL_TEST_ON(allocation_sweep, name, 1) { co_await sweep(&name##_body); } \
  future<> name##_body()

/// Longer than any string without an allocation.
std::string text() { return std::string(100, 'x'); }

future<std::string> later(std::string value) {
  co_await atoll::yield();
  co_return value;
}
future<> fail_later() {
  co_await atoll::yield();
  co_await atoll::fail(atoll::status_code::resource_exhausted, "this is on purpose, and a long message at that");
}
future<std::string> text_after_long() {
  co_await or_fail(atoll::sleep(1h));
  co_return text();
}
future<> wait_for_long() { co_await or_fail(atoll::sleep(1h)); }

ATOLL_SWEEP(coroutines) {
  const auto value = co_await or_fail(later(text()));
  auto both = later(value);
  const auto other = co_await later(text());
  const auto first = co_await as_result(std::move(both));
  if (first) {
    EXPECT_EQ(*first, other);
  }
}

ATOLL_SWEEP(failures_as_exceptions) {
  try {
    co_await fail_later();
  } catch (const atoll::status_error& e) {
    EXPECT_EQ(e.code(), atoll::status_code::resource_exhausted);
  }
}

ATOLL_SWEEP(then) {
  const auto n = co_await or_fail(later(text()).then([](std::string s) { return later(s + s); }));
  EXPECT_EQ(n.size(), 200U);
}

ATOLL_SWEEP(then_wrapped) {
  co_await or_fail(fail_later().then_wrapped([](atoll::result<> r) { EXPECT_FALSE(r); }));
}

ATOLL_SWEEP(finally) {
  // By value: where no frame is to be had for the wait, this body ends before what it called.
  co_await or_fail(later(text()).finally([] { return later(text()).discard_value(); }).discard_value());
}

ATOLL_SWEEP(handle_error) {
  co_await or_fail(fail_later().handle_error([](const atoll::error&) {}));
  co_await or_fail(fail_later().handle_error(atoll::status_code::resource_exhausted, [](const atoll::error&) {}));
  co_await or_fail(fail_later().handle_error<atoll::status_error>([](const atoll::status_error&) {}));
}

ATOLL_SWEEP(promises) {
  atoll::promise<std::string> p;
  auto f = p.get_future().then([](const std::string& s) { return s.size(); });
  p.set_value(text());
  EXPECT_EQ(co_await or_fail(std::move(f)), 100U);
  atoll::promise<> broken;
  auto cancelled = broken.get_future();
  broken = atoll::promise<>();
  static_cast<void>(co_await as_result(std::move(cancelled)));
}

ATOLL_SWEEP(sleeping) {
  co_await or_fail(atoll::sleep(1us));
  co_await or_fail(atoll::sleep_until(atoll::mono_now()));
}

ATOLL_SWEEP(timeouts) {
  const auto r = co_await as_result(atoll::with_timeout(1us, [] { return wait_for_long(); }));
  EXPECT_FALSE(r);
  if (!r && r.error().code() != atoll::status_code::deadline_exceeded) co_await atoll::fail(r.error());
}

ATOLL_SWEEP(cancellation) {
  atoll::cancel_source source;
  auto f = source.run([] { return wait_for_long(); });
  auto g =
      source.run([] { return atoll::with_timeout(1h, [] { return wait_for_long().then([] { return text(); }); }); });
  source.cancel(atoll::error(atoll::status_code::resource_exhausted, "enough, and a message that is not short"));
  static_cast<void>(co_await as_result(std::move(f)));
  static_cast<void>(co_await as_result(std::move(g)));
  co_await or_fail(atoll::shielded([] { return later(text()); }));
}

ATOLL_SWEEP(interruptible) {
  atoll::promise<> never;
  atoll::cancel_source source;
  auto f = source.run([&] { return atoll::interruptible(never.get_future()); });
  source.cancel();
  static_cast<void>(co_await as_result(std::move(f)));
  never.set_error(atoll::error(atoll::status_code::internal, text()));
  co_await or_fail(atoll::interruptible(later(text())).discard_value());
}

ATOLL_SWEEP(interruptible_in_a_cancelled_context) {
  atoll::cancel_source source;
  source.cancel();
  auto f = source.run([] { return atoll::interruptible(fail_later()); });
  static_cast<void>(co_await as_result(std::move(f)));
}

ATOLL_SWEEP(scopes) {
  int ended = 0;
  std::string argument = text();
  atoll::scope s("a scope whose name is not a short one", [&ended](const atoll::error&) { ++ended; });
  const auto count = [&ended] { ++ended; };
  int started = 0;
  started += s.spawn([count] { return later(text()).discard_value().finally(count); }) ? 1 : 0;
  started += s.spawn([] { return fail_later(); }) ? 1 : 0;
  started += s.spawn([](std::string) { return wait_for_long(); }, std::move(argument)) ? 1 : 0;
  EXPECT_LE(started, 3);
  co_await s.stop();
  EXPECT_EQ(s.running(), 0U);
}

ATOLL_SWEEP(with_scope) {
  co_await or_fail(atoll::with_scope("a scope whose name is not a short one", [](atoll::scope& s) {
    s.spawn([] { return later(text()).discard_value(); });
    return later(text()).discard_value();
  }));
}

future<> hold_for_a_while(atoll::semaphore& s, std::uint64_t n) {
  const auto units = co_await or_fail(s.acquire(n));
  co_await atoll::yield();
}

ATOLL_SWEEP(semaphores) {
  atoll::semaphore s("a semaphore whose name is not a short one", 2);
  std::vector<future<>> all;
  for (std::uint64_t i = 0; i < 5; ++i) all.push_back(hold_for_a_while(s, 1 + i % 2));
  std::optional<atoll::error> failed;
  for (auto& each : all) {
    const auto r = co_await as_result(std::move(each));
    if (!r) failed = r.error();
  }
  EXPECT_EQ(s.available(), 2U);
  s.close(atoll::error(atoll::status_code::resource_exhausted, "closed, and there is more to say about it"));
  static_cast<void>(co_await as_result(s.acquire()));
  if (failed) co_await atoll::fail(*failed);
}

ATOLL_SWEEP(mutexes) {
  atoll::mutex m("a mutex whose name is not a short one");
  atoll::shared_mutex shared("a shared mutex whose name is not a short one");
  auto held = co_await or_fail(m.lock());
  auto waits = m.lock();
  auto reads = co_await or_fail(shared.lock_shared());
  auto writes = shared.lock();
  held = {};
  reads = {};
  const auto r = co_await as_result(std::move(waits));
  const auto w = co_await as_result(std::move(writes));
  if (!r) co_await atoll::fail(r.error());
  if (!w) co_await atoll::fail(w.error());
}

ATOLL_SWEEP(conditions_and_events) {
  atoll::condition_variable changed("a condition whose name is not a short one");
  atoll::event set("an event whose name is not a short one");
  bool ready = false;
  auto a = changed.wait([&ready] { return ready; });
  auto b = set.wait();
  auto timed = changed.wait_for(1us);
  ready = true;
  changed.notify_all();
  set.set();
  const auto ra = co_await as_result(std::move(a));
  const auto rb = co_await as_result(std::move(b));
  const auto rt = co_await as_result(std::move(timed));
  auto late = changed.wait();
  changed.close(atoll::error(atoll::status_code::resource_exhausted, "closed, and there is more to say about it"));
  static_cast<void>(co_await as_result(std::move(late)));
  if (!ra) co_await atoll::fail(ra.error());
  if (!rb) co_await atoll::fail(rb.error());
  if (!rt) co_await atoll::fail(rt.error());
}

ATOLL_SWEEP(gates) {
  atoll::gate g("a gate whose name is not a short one");
  auto inside = g.run([] { return later(text()); });
  auto closed = g.close();
  const auto refused = g.enter();
  EXPECT_FALSE(refused);
  const auto r = co_await as_result(std::move(inside));
  const auto c = co_await as_result(std::move(closed));
  EXPECT_EQ(g.inside(), 0U);
  if (!r) co_await atoll::fail(r.error());
  if (!c) co_await atoll::fail(c.error());
}

future<> push_all(atoll::channel<std::string>& to) {
  for (int i = 0; i < 20; ++i) co_await or_fail(to.push(text()));
}
future<std::size_t> pop_all(atoll::channel<std::string>& from) {
  std::size_t n = 0;
  const auto pop = [&from] { return from.pop(); };
  while (true) {
    const auto value = co_await as_result(atoll::detail::invoke_safely(pop));
    if (!value) {
      from.fail(value.error());  // who pushes would wait for ever
      co_await atoll::fail(value.error());
    }
    if (!*value) co_return n;
    EXPECT_EQ((*value)->size(), 100U);
    ++n;
  }
}

ATOLL_SWEEP(channels) {
  for (const std::size_t capacity : {0U, 1U, 10U}) {
    atoll::channel<std::string> c("a channel whose name is not a short one", capacity);
    auto popped = pop_all(c);
    if (popped.available()) co_await atoll::fail(popped.take_error());  // not started: nobody would ever pop
    auto pushed = push_all(c);
    const auto all = co_await as_result(std::move(pushed));
    c.close();
    const auto n = co_await as_result(std::move(popped));
    if (!all) co_await atoll::fail(all.error());
    if (!n) co_await atoll::fail(n.error());
    EXPECT_EQ(*n, 20U);
  }
}

ATOLL_SWEEP(channels_full_and_then_popped) {
  std::vector<std::string> more(5, text());
  atoll::channel<std::string> c("a channel whose name is not a short one", 3);
  auto pushed = push_all(c);
  for (auto& each : more) {
    try {
      auto value = c.try_pop();
      if (value) {
        EXPECT_EQ(value->size(), 100U);
      }
      if (!c.try_push(each)) {
        EXPECT_EQ(each.size(), 100U);
      }
    } catch (const std::bad_alloc&) {  // push_all still uses the channel
      c.close();
    }
    co_await atoll::yield();
  }
  c.fail(atoll::error(atoll::status_code::resource_exhausted, "enough, and there is more to say about it"));
  static_cast<void>(co_await as_result(std::move(pushed)));
}

ATOLL_SWEEP(shared_futures) {
  const atoll::shared_future<std::string> s(later(text()));
  auto a = s.get();
  auto b = s.get();
  const auto ra = co_await as_result(std::move(a));
  const auto rb = co_await as_result(std::move(b));
  const auto rc = co_await as_result(s.get());
  for (const auto* r : {&ra, &rb, &rc}) {
    if (!*r) co_await atoll::fail(r->error());
    EXPECT_EQ((**r).size(), 100U);
  }
}

ATOLL_SWEEP(shared_work) {
  atoll::shared_work<std::string> work("a work whose name is not a short one", 1h, [] { return later(text()); });
  auto a = work.get();
  auto b = work.get();
  const auto ra = co_await as_result(std::move(a));
  const auto rb = co_await as_result(std::move(b));
  if (!ra) co_await atoll::fail(ra.error());
  if (!rb) co_await atoll::fail(rb.error());
  EXPECT_EQ((co_await or_fail(work.get())).size(), 100U);
}

ATOLL_SWEEP(shared_work_that_everybody_leaves) {
  atoll::shared_work<std::string> work("a work whose name is not a short one", 1h, [] { return text_after_long(); });
  const auto r = co_await as_result(atoll::with_timeout(1us, [&work] { return work.get(); }));
  EXPECT_FALSE(r);
  if (!r && r.error().code() != atoll::status_code::deadline_exceeded) co_await atoll::fail(r.error());
}

ATOLL_SWEEP(all_of_them) {
  auto outcomes = co_await or_fail(atoll::when_all(later(text()), later(text())));
  if (!std::get<0>(outcomes)) co_await atoll::fail(std::get<0>(outcomes).error());
  co_await or_fail(atoll::when_all_succeed(later(text()), later(text())).discard_value());
  std::vector<future<std::string>> many;
  for (int i = 0; i < 3; ++i) many.push_back(later(text()));
  co_await or_fail(atoll::when_all_succeed(std::move(many)).discard_value());
}

ATOLL_SWEEP(all_of_a_vector) {
  std::vector<future<std::string>> many;
  many.reserve(3);
  for (int i = 0; i < 3; ++i) many.push_back(later(text()));
  const auto all = co_await or_fail(atoll::when_all(std::move(many)));
  for (const auto& each : all) {
    if (!each) co_await atoll::fail(each.error());
  }
}

ATOLL_SWEEP(any_of_them) {
  const auto slow = [] { return text_after_long(); };
  const auto first = co_await or_fail(atoll::when_any([] { return later(text()); }, [] { return later(text()); }));
  if (!first.outcome) co_await atoll::fail(first.outcome.error());
  std::vector<std::function<future<std::string>()>> list{slow, [] { return later(text()); }, slow};
  const auto one = co_await or_fail(atoll::when_any(std::move(list)));
  if (!one.outcome) co_await atoll::fail(one.outcome.error());
}

ATOLL_SWEEP(loops) {
  std::vector<std::string> names{text(), text(), text()};
  co_await or_fail(atoll::parallel_for_each(names, [](const std::string& s) { return later(s); }));
  co_await or_fail(atoll::max_concurrent_for_each(names, 2, [](const std::string& s) { return later(s); }));
  const auto bytes = co_await or_fail(atoll::map_reduce(
      names, [](const std::string& s) { return later(s); }, std::size_t{0},
      [](std::size_t n, const std::string& s) { return n + s.size(); }));
  EXPECT_EQ(bytes, 300U);
}

ATOLL_SWEEP(retrying) {
  atoll::retry_policy policy;
  policy.first_pause = 1us;
  int n = 0;
  const auto r = co_await or_fail(atoll::retry(policy, [&n] {
    ++n;
    return n < 3 ? fail_later().then([] { return std::string(); }) : later(text());
  }));
  EXPECT_EQ(r.size(), 100U);
}

ATOLL_SWEEP(buffers) {
  auto b = atoll::buffer::copy_of(text());
  int held = 0;
  b.attach(std::shared_ptr<int>(&held, [](int* n) { ++*n; }));
  auto head = b.share(0, 10);
  atoll::buffer_chain chain(std::move(b));
  if (head) chain.append(*std::move(head));
  chain.append(atoll::buffer(5000));
  auto front = chain.take_front(50);
  if (!front) co_await atoll::fail(front.error());
  auto shared = chain.share();
  EXPECT_EQ(shared.size(), chain.size());
  auto detached = atoll::buffer::copy_of(text());
  auto other = detached.share();
  auto copy = std::move(detached).detach();
  EXPECT_EQ(copy, other);
}

std::ptrdiff_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return std::distance(begin(all), end(all));
}

ATOLL_SWEEP(sockets) {
  const atoll::socket_address any{"127.0.0.1", 0};
  const auto listening = co_await or_fail(atoll::this_shard().io->listen(any, {}));
  const auto far = co_await or_fail(atoll::this_shard().io->connect(listening->address()));
  const auto near = co_await or_fail(listening->accept());
  co_await or_fail(near->write_all("ping"));
  std::string got(4, ' ');
  EXPECT_EQ(co_await or_fail(far->read_some(got)), 4U);
}

ATOLL_TEST_ON(allocation_sweep, sockets_leave_no_descriptor_open, 1) {
  const auto before = open_descriptors();
  co_await sweep(&sockets_body);
  EXPECT_EQ(open_descriptors(), before);
}

// finally() of a future that is ready runs its function whether there is memory or not; handle_error() the same.
ATOLL_TEST_ON(continuations_of_ready_futures, want_no_memory, 1) {
  int ran = 0;
  std::optional<atoll::result<int>> kept;
  std::optional<atoll::result<int>> failed;
  std::optional<atoll::result<int>> handled;
  std::optional<atoll::result<int>> passed;
  {
    const atoll::testing::alloc_failures failing(1, atoll::testing::alloc_failures::all);
    const auto failure = [] { return atoll::make_failed_future<int>(atoll::error(atoll::status_code::not_found)); };
    kept = atoll::make_ready_future<int>(7).finally([&ran] { ++ran; }).get_result();
    failed = failure().finally([&ran] { ++ran; }).get_result();
    handled = failure().handle_error([](const atoll::error&) { return 5; }).get_result();
    passed = failure().handle_error(atoll::status_code::aborted, [](const atoll::error&) { return 5; }).get_result();
    EXPECT_EQ(failing.allocations(), 0U);
  }
  EXPECT_EQ(ran, 2);
  EXPECT_EQ(kept->value(), 7);
  EXPECT_EQ(failed->error().code(), atoll::status_code::not_found);
  EXPECT_EQ(handled->value(), 5);
  EXPECT_EQ(passed->error().code(), atoll::status_code::not_found);
  co_return;
}

atoll::stream<std::string> texts(int how_many) {
  for (int i = 0; i < how_many; ++i) co_yield text();
}

ATOLL_SWEEP(streams) {
  auto s = texts(100);
  std::size_t bytes = 0;
  while (true) {
    const auto next = co_await or_fail(s.next());
    if (!next) break;
    bytes += next->size();
  }
  EXPECT_EQ(bytes, 10'000U);
  auto left = texts(100);
  static_cast<void>(co_await or_fail(left.next_batch()));
  co_await or_fail(left.close());
}

ATOLL_SWEEP(periodic_timers) {
  atoll::periodic_timer every("a timer whose name is not a short one", 1us);
  co_await or_fail(every.next().discard_value());
  auto waits = [&every] {
    every.restart(1h);
    return every.next();
  }();
  every.cancel();
  static_cast<void>(co_await as_result(std::move(waits)));
}

ATOLL_SWEEP(contexts_and_groups) {
  co_await or_fail(atoll::with_context({}, [] { return later(text()); }).discard_value());
  co_await or_fail(atoll::with_deadline(atoll::never, [] { return later(text()); }).discard_value());
  co_await or_fail(atoll::with_group(atoll::current_group(), [] { return later(text()); }).discard_value());
}

ATOLL_SWEEP(repeated) {
  int n = 0;
  co_await or_fail(atoll::repeat(
      [&n] { return later(text()).then([&n](const std::string&) { return atoll::stop_iteration{++n == 3}; }); }));
  co_await or_fail(atoll::do_until([&n] { return n == 0; },
                                   [&n] {
                                     --n;
                                     return later(text()).discard_value();
                                   }));
}

ATOLL_SWEEP(dumps_of_tasks) {
  auto waits = later(text());
  const auto dump = [] { return atoll::make_ready_future<std::string>(atoll::dump_tasks()); };
  const auto told = co_await as_result(atoll::detail::invoke_safely(dump));
  static_cast<void>(co_await as_result(std::move(waits)));
  if (!told) co_await atoll::fail(told.error());
  EXPECT_NE(told->find("coroutine"), std::string::npos);
}

ATOLL_SWEEP(levels_of_the_log) {
  const auto before = atoll::this_shard().logs;
  const auto set = atoll::this_shard().logs.set("warning,a-logger-whose-name-is-not-short=debug");
  atoll::this_shard().logs = before;
  if (!set) co_await atoll::fail(set.error());
}

ATOLL_SWEEP(reclaimers) {
  std::string kept = text();
  const atoll::reclaimer gives([kept](std::size_t) { return kept.size(); });
  EXPECT_EQ((co_await or_fail(later(text()))).size(), 100U);
}

ATOLL_SWEEP(metrics) {
  atoll::metric_group group(atoll::shard_metrics(), "a_subsystem_whose_name_is_not_short", {{"kind", text()}});
  atoll::counter hits{group, "hits_total", "Hits, told at length so that no small string holds it."};
  atoll::gauge depth{group, "depth", "Depth, told at length so that no small string holds it."};
  atoll::histogram_metric took{group, "took_seconds", "Time, told at length so that no small string holds it."};
  hits.add(1);
  const auto page = atoll::render_prometheus(std::vector{atoll::shard_metrics()->collect()});
  EXPECT_FALSE(page.empty());
  co_return;
}

ATOLL_TEST(semaphore, names_itself_where_there_is_no_memory_to_wait_with) {
  const auto name = std::string("a semaphore whose name is not a short one");
  atoll::semaphore s(name, 1);
  const auto taken = co_await s.acquire();
  auto waits = [&s] {
    const auto failing = atoll::testing::alloc_failures::after(1);
    return s.acquire();
  }();
  const auto r = co_await as_result(std::move(waits));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::resource_exhausted);
  EXPECT_NE(r.error().message().find(name), std::string_view::npos) << r.error().to_string();
}

}  // namespace
