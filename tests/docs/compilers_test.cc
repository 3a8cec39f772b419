// SPDX-License-Identifier: Apache-2.0
// Copyright the Atoll authors
//
// The code of docs/compilers.md that is right.
#include <string>
#include <vector>

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
