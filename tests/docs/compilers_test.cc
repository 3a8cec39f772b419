// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The code of docs/compilers.md that is right.
#include <string>
#include <vector>

#include <atoll/actors/future/stream.hh>
#include <atoll/sharding/runtime.hh>
#include <atoll/sharding/sharded.hh>
#include <atoll/sharding/submit.hh>
#include <atoll/testing/atoll_test.hh>

namespace treasure {

struct hit {
  std::string name;
  std::int64_t total = 0;
};
ATOLL_MESSAGE(hit, name, total);

class finds {
 public:
  atoll::future<> put(hit found) {
    all_.push_back(std::move(found));
    co_return;
  }
  atoll::future<std::int64_t> totals() const {
    std::int64_t sum = 0;
    for (const auto& each : all_) sum += each.total;
    co_return sum;
  }

 private:
  std::vector<hit> all_;
};
ATOLL_SERVICE(finds, "docs.v1.Finds", ATOLL_METHOD(put, found), ATOLL_METHOD(totals));

}  // namespace treasure

namespace {

using atoll::submit_to;
using treasure::hit;

std::size_t used = 0;
void use(const std::string& text) { used += text.size(); }

atoll::future<> named(atoll::shard_ref<treasure::finds> ref, std::string text) {
  hit first{"pearl", 3};
  co_await ref.put(std::move(first));
  const auto work = [text] { use(text); };
  co_await submit_to(1, work);
}

int attempts_made = 0;
atoll::future<> attempt() {
  co_await atoll::yield();
  if (++attempts_made < 3) co_await atoll::fail(atoll::status_code::aborted, "not yet");
}

using atoll::as_result;

atoll::future<int> until_it_works() {
  int attempts = 1;
  while (!co_await as_result(attempt())) ++attempts;
  co_return attempts;
}

ATOLL_TEST(docs_compilers, a_variable_at_the_top_lets_a_condition_await) {
  attempts_made = 0;
  EXPECT_EQ(co_await until_it_works(), 3);
}

atoll::future<> with_nothing_at_the_top() {
  while (!co_await as_result(attempt())) co_await atoll::yield();
}
atoll::stream<int> stream_with_nothing_at_the_top() {
  while (!co_await as_result(attempt())) co_yield 1;
}

atoll::future<int> call_unnamed(bool streams) {
  attempts_made = 0;
  if (streams) {
    auto ones = stream_with_nothing_at_the_top();
    while (const auto one = co_await ones.next()) EXPECT_EQ(*one, 1);
  } else {
    co_await with_nothing_at_the_top();
  }
  co_return 0;
}

int run_unnamed(bool streams) {
  const auto run = [streams] { return call_unnamed(streams); };
  const auto ended = atoll::runtime::run({.shards = 1, .pin = false}, run);
  return ended ? *ended : 1;
}

TEST(docs_compilers, what_g_plus_plus_lays_out_wrongly_is_seen_when_it_is_called) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const bool streams : {false, true}) {
#if defined(__GNUC__) && !defined(__clang__) && (__GNUC__ < 12 || (__GNUC__ == 12 && __GNUC_MINOR__ < 3))
    EXPECT_DEATH(run_unnamed(streams), "declare a variable at the top of its body");
#else
    EXPECT_EQ(run_unnamed(streams), 0);
#endif
  }
}

ATOLL_TEST(docs_compilers, what_is_named_before_the_co_await_is_destroyed_once) {
  atoll::sharded<treasure::finds> finds;
  co_await finds.start();
  used = 0;
  co_await named(finds.at(1), std::string(100, 'x'));
  EXPECT_EQ(co_await finds.at(1).totals(), 3);
  EXPECT_EQ(used, 100U);
  co_await finds.stop();
}

}  // namespace
