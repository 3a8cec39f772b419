// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
#include <atoll/actors/sync/mutex.hh>

#include <optional>
#include <vector>

#include <atoll/testing/atoll_test.hh>

namespace {

using namespace std::chrono_literals;
using atoll::as_result;
using atoll::cancel_source;
using atoll::error;
using atoll::future;
using atoll::status_code;

ATOLL_TEST(mutex, guards_across_awaits) {
  atoll::mutex m("table");
  struct worker {
    static future<> run(atoll::mutex& m, int& value) {
      const auto lock = co_await m.lock();
      const int seen = value;
      co_await atoll::yield();
      value = seen + 1;
    }
  };
  int value = 0;
  std::vector<future<>> all;
  for (int i = 0; i < 100; ++i) all.push_back(worker::run(m, value));
  EXPECT_TRUE(m.locked());
  for (auto& f : all) co_await std::move(f);
  EXPECT_EQ(value, 100);
  EXPECT_FALSE(m.locked());
}

ATOLL_TEST(mutex, try_lock_gets_it_only_when_it_is_free) {
  atoll::mutex m;
  {
    const auto lock = m.try_lock();
    EXPECT_TRUE(lock.has_value());
    EXPECT_FALSE(m.try_lock());
  }
  EXPECT_TRUE(m.try_lock());
  co_return;
}

ATOLL_TEST(mutex, names_itself_in_the_failure_of_a_wait) {
  atoll::mutex m("table");
  const auto lock = co_await m.lock();
  const auto r = co_await as_result(atoll::with_timeout(1ms, [&m] { return m.lock(); }));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::deadline_exceeded, "deadline exceeded: in mutex table"));
  cancel_source source;
  auto cancelled = source.run([&m] { return m.lock(); });
  auto behind = m.lock();
  source.cancel();
  const auto c = co_await as_result(std::move(cancelled));
  ATOLL_REQUIRE(!c);
  EXPECT_EQ(c.error(), error(status_code::cancelled, "in mutex table"));
  EXPECT_FALSE(behind.available());
  m.close(error(status_code::unavailable, "gone"));
  const auto b = co_await as_result(std::move(behind));
  ATOLL_REQUIRE(!b);
  EXPECT_EQ(b.error().code(), status_code::unavailable);
}

ATOLL_TEST(shared_mutex, lets_readers_in_together_and_writers_alone) {
  atoll::shared_mutex m("index");
  auto a = co_await m.lock_shared();
  auto b = co_await m.lock_shared();
  EXPECT_EQ(m.readers(), 2U);
  auto writer = m.lock();
  EXPECT_FALSE(writer.available());
  auto late_reader = m.lock_shared();
  EXPECT_FALSE(late_reader.available()) << "a reader overtook a writer that waits";
  EXPECT_FALSE(m.try_lock_shared());
  a.release();
  EXPECT_FALSE(writer.available());
  b.release();
  EXPECT_TRUE(writer.available());
  EXPECT_FALSE(late_reader.available());
  auto second_writer = m.lock();
  {
    const auto held = co_await std::move(writer);
    EXPECT_FALSE(m.try_lock());
  }
  EXPECT_TRUE(late_reader.available());
  EXPECT_FALSE(second_writer.available());
  static_cast<void>(co_await std::move(late_reader));
  static_cast<void>(co_await std::move(second_writer));
  EXPECT_TRUE(m.try_lock());
  EXPECT_EQ(m.readers(), 0U);
}

ATOLL_TEST(shared_mutex, a_writer_that_is_cancelled_lets_the_readers_behind_it_in) {
  atoll::shared_mutex m("index");
  const auto reader = co_await m.lock_shared();
  cancel_source source;
  auto writer = source.run([&m] { return m.lock(); });
  auto behind = m.lock_shared();
  source.cancel();
  EXPECT_TRUE(behind.available());
  const auto r = co_await as_result(std::move(writer));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::cancelled, "in shared_mutex index"));
  static_cast<void>(co_await std::move(behind));
}

ATOLL_TEST(shared_mutex, names_itself_at_a_deadline) {
  atoll::shared_mutex m("index");
  const auto writer = co_await m.lock();
  const auto r = co_await as_result(atoll::with_timeout(1ms, [&m] { return m.lock_shared(); }));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error(), error(status_code::deadline_exceeded, "deadline exceeded: in shared_mutex index"));
}

ATOLL_TEST(mutex, that_goes_fails_who_waits) {
  std::optional<atoll::mutex> m("ledger");
  auto held = co_await m->lock();
  auto waits = m->lock();
  m.reset();
  const auto r = co_await as_result(std::move(waits));
  ATOLL_REQUIRE(!r);
  EXPECT_EQ(r.error().code(), atoll::status_code::cancelled);
  EXPECT_EQ(r.error().message(), "destroyed: in mutex ledger");
}

ATOLL_TEST(shared_mutex, that_goes_fails_readers_and_writers_that_wait) {
  std::optional<atoll::shared_mutex> m("ledger");
  auto held = co_await m->lock_shared();
  auto writes = m->lock();
  auto reads = m->lock_shared();
  m.reset();
  const auto w = co_await as_result(std::move(writes));
  const auto r = co_await as_result(std::move(reads));
  ATOLL_REQUIRE(!w && !r);
  EXPECT_EQ(w.error().message(), "destroyed: in shared_mutex ledger");
  EXPECT_EQ(r.error().code(), atoll::status_code::cancelled);
}

}  // namespace
